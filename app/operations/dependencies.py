"""What this process depends on, and how each of it answers: asked in parallel, each within its deadline.

What costs money or is counted by its owner (models, GitHub) is not asked for a page: it is told from the work
that was done. So is a git mirror, which is asked every minute anyway.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from app.context.addresses import parse
from app.errors import AgentError
from app.instruments import DEPENDENCY_ANSWERED, DEPENDENCY_UP
from app.knowledge.keeping import Keeper
from app.operations.config import without_credentials
from app.operations.models import DependencyHealth, DependencyListed, Health, Verdict
from app.operations.repository import workers
from app.settings import Settings
from app.sources.clients import Clients
from app.sources.failures import NotThere, QueryRejected
from app.standing import Standing, Standings
from app.storage.engine import ask, begin

DEADLINE_SECONDS = 3.0
FRESH_SECONDS = 5.0
MOST_REPOS = 50
NOBODY = "sre-agent"
"""A service's name to ask sources about: the question is cheap, whether or not there is such a one."""

Ask = Callable[[], Awaitable[object]]
"""Returns when the dependency has given a good answer, raises otherwise."""


class NoWorker(AgentError):
    """Jobs are stored and nobody carries them out."""

    code = "no_worker"
    status = 503


class NotAsItShould(AgentError):
    """Something answers, and says that it is not well."""

    code = "dependency_not_well"
    status = 503


@dataclass(frozen=True)
class Dependency:
    """`ask` is None for what is told from earlier work alone; `without_it` is a sentence for people."""

    name: str
    kind: str
    without_it: str
    critical: bool = False
    address: str | None = None
    ask: Ask | None = None


@dataclass
class Dependencies:
    """Those of one process. Answers are kept for `FRESH_SECONDS`, however often somebody wants them."""

    every: Callable[[], tuple[Dependency, ...]]
    standings: Standings
    deadline_seconds: float = DEADLINE_SECONDS
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    seconds: Callable[[], float] = time.monotonic
    _kept: Health | None = field(default=None, init=False)
    _kept_at: float = field(default=0, init=False)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def health(self) -> Health:
        async with self._asking:
            if self._kept is None or self.seconds() - self._kept_at >= FRESH_SECONDS:
                every = self.every()
                await asyncio.gather(*(self._ask(each) for each in every))
                told = tuple(self._told(each) for each in every)
                self._kept = Health(verdict=verdict_of(told), at=self.clock(), dependencies=told)
                self._kept_at = self.seconds()
                self.expose()
            return self._kept

    def listed(self) -> tuple[DependencyListed, ...]:
        """As they last answered; nobody is asked."""
        return tuple(self._listed(each) for each in self.every())

    def expose(self) -> None:
        """To the gauges, as they last answered."""
        standings = {each.name: self.standings.of.get(each.name, Standing()) for each in self.every()}
        known = {name: each.is_up for name, each in standings.items()}
        DEPENDENCY_UP.replace({(name,): float(up) for name, up in known.items() if up is not None})
        DEPENDENCY_ANSWERED.replace(
            {(name,): each.ok_at.timestamp() for name, each in standings.items() if each.ok_at}
        )

    async def _ask(self, dependency: Dependency) -> None:
        if dependency.ask is None:
            return
        began = self.seconds()
        try:
            async with asyncio.timeout(self.deadline_seconds):
                await dependency.ask()
        except TimeoutError:
            late = f"did not answer within {self.deadline_seconds:g} seconds."
            self.standings.failed(dependency.name, late)
        except (QueryRejected, NotThere):
            # Whoever says no to a question answers.
            self.standings.answered(dependency.name, self.seconds() - began)
        except Exception as error:
            said = error.sentence if isinstance(error, AgentError) else f"failed ({type(error).__name__})."
            self.standings.failed(dependency.name, said)
        else:
            self.standings.answered(dependency.name, self.seconds() - began)

    def _told(self, dependency: Dependency) -> DependencyHealth:
        standing = self.standings.of.get(dependency.name, Standing())
        age = (self.clock() - standing.ok_at).total_seconds() if standing.ok_at else None
        return DependencyHealth(
            name=dependency.name,
            kind=dependency.kind,
            critical=dependency.critical,
            status=_status(standing),
            asked=dependency.ask is not None,
            latency_ms=standing.milliseconds,
            last_ok_at=standing.ok_at,
            age_seconds=None if age is None else round(max(age, 0.0), 1),
            detail=standing.trouble,
        )

    def _listed(self, dependency: Dependency) -> DependencyListed:
        standing = self.standings.of.get(dependency.name, Standing())
        return DependencyListed(
            name=dependency.name,
            kind=dependency.kind,
            critical=dependency.critical,
            address=without_credentials(dependency.address) if dependency.address else None,
            without_it=dependency.without_it,
            status=_status(standing),
            last_ok_at=standing.ok_at,
        )


def _status(standing: Standing) -> Any:
    return {None: "unknown", True: "ok", False: "failing"}[standing.is_up]


def verdict_of(dependencies: tuple[DependencyHealth, ...]) -> Verdict:
    """Unhealthy without a critical one, degraded without any other. Pure."""
    failing = [each for each in dependencies if each.status == "failing"]
    if any(each.critical for each in failing):
        return "unhealthy"
    return "degraded" if failing else "healthy"


def dependencies_of(
    settings: Settings,
    engine: AsyncEngine,
    keeper: Keeper,
    clients: Clients,
    *,
    ask_slack: Ask,
    standings: Standings,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Dependencies:
    """What the settings name. `ask_slack` is Slack's `auth.test`."""
    fixed = (
        *_core(settings, engine, keeper, ask_slack),
        *_model(settings),
        *_collector(settings),
        *_sources(settings, clients, lambda: clock().timestamp()),
    )

    def every() -> tuple[Dependency, ...]:
        return (*fixed, *_repos(settings, standings))

    return Dependencies(every, standings, clock=clock)


def _core(settings: Settings, engine: AsyncEngine, keeper: Keeper, ask_slack: Ask) -> Iterator[Dependency]:
    storage, git = settings.storage, settings.git
    url = storage.database_url.get_secret_value() if storage.database_url else None
    yield Dependency(
        "database",
        "postgres",
        "Nothing is accepted: webhooks are answered 503 and Slack delivers again.",
        critical=True,
        address=url or "embedded",
        ask=lambda: ask(engine),
    )
    yield Dependency(
        "queue",
        "postgres",
        "What is accepted is kept, and waits until a worker is there.",
        critical=True,
        ask=lambda: _has_workers(engine),
    )
    yield Dependency(
        "slack",
        "slack",
        "Nobody hears or is answered; what was accepted is answered when it is back.",
        critical=True,
        address=settings.slack.api_url,
        ask=ask_slack,
    )
    yield Dependency(
        "system_prompt",
        "knowledge",
        "Without instructions nothing is answered.",
        critical=True,
        address=str(settings.model.system_prompt_file or "system-prompt.md of the knowledge repo"),
        ask=lambda: _has_prompt(keeper),
    )
    yield Dependency(
        "knowledge",
        "knowledge",
        "The last good revision stays in force.",
        address=git.knowledge_repo_url or str(git.knowledge_path or "packaged"),
        ask=lambda: _is_sound(keeper),
    )


async def _has_workers(engine: AsyncEngine) -> None:
    async with begin(engine) as connection:
        alive = await workers(connection)
    if not alive:
        raise NoWorker("No worker's heart beats; start one with `sre-agent worker`.")


async def _has_prompt(keeper: Keeper) -> None:
    if not keeper.current.system_prompt.text.strip():
        raise NotAsItShould("The system prompt is empty.")


async def _is_sound(keeper: Keeper) -> None:
    if notices := keeper.notices():
        raise NotAsItShould(" ".join(notices))


def _model(settings: Settings) -> Iterator[Dependency]:
    model = settings.model
    if model.chosen != "offline":
        address = {
            "anthropic": model.anthropic_base_url,
            "openai": model.openai_base_url,
            "ollama": model.ollama_base_url,
        }[model.chosen]
        yield Dependency(
            "model",
            "model",
            "The offline analyst and the evidence core answer, and say so.",
            address=address or f"{model.chosen}'s own",
        )


def _collector(settings: Settings) -> Iterator[Dependency]:
    if settings.telemetry.is_on:
        yield Dependency(
            "otlp",
            "telemetry",
            "Traces, metrics and logs are dropped; nothing else.",
            address=settings.telemetry.endpoint,
        )


def _sources(settings: Settings, clients: Clients, now: Callable[[], float]) -> Iterator[Dependency]:
    sources, missing = settings.sources, "Investigations go on without it and name the gap."
    if (prometheus := clients.prometheus) is not None:
        yield Dependency(
            "prometheus",
            "source",
            missing,
            address=sources.prometheus_url,
            ask=lambda: prometheus.query("1", now()),
        )
    if (loki := clients.loki) is not None:
        yield Dependency(
            "loki",
            "source",
            missing,
            address=sources.loki_url,
            ask=lambda: loki.query_range(f'{{service_name="{NOBODY}"}}', now() - 60, now(), 1),
        )
    if (traces := clients.traces) is not None:
        yield Dependency(
            "tempo" if sources.tempo_url else "jaeger",
            "source",
            missing,
            address=sources.tempo_url or sources.jaeger_url,
            ask=lambda: traces.search(start=now() - 60, end=now(), service=NOBODY, limit=1),
        )
    if (argocd := clients.argocd) is not None:
        yield Dependency(
            "argocd",
            "source",
            missing,
            address=sources.argocd_url,
            ask=lambda: argocd.http.json(
                "/api/v1/applications", {"name": NOBODY, "fields": "items.metadata.name"}
            ),
        )
    if (kubernetes := clients.kubernetes) is not None:
        yield Dependency(
            "kubernetes",
            "source",
            missing,
            address=sources.kubernetes,
            ask=lambda: kubernetes.objects("nodes", most=1),
        )
    if (pagerduty := clients.pagerduty) is not None:
        yield Dependency(
            "pagerduty",
            "source",
            "Nobody is called through it, and who is on call is not told.",
            address=settings.escalation.pagerduty_api_url,
            ask=lambda: pagerduty.http.json("/oncalls", {"limit": 1}),
        )
    if clients.github_changes is not None:
        yield Dependency("github", "source", missing, address=settings.git.github_api_url)
    for service in settings.alerts.services:
        if service.url:
            yield Dependency(f"service:{service.name}", "registered service", missing, address=service.url)
    if (mcp := clients.mcp) is not None:
        yield Dependency("mcp", "source", missing, ask=lambda: _mcp_is_well(mcp.gaps))


async def _mcp_is_well(gaps: Callable[[], tuple[tuple[str, str], ...]]) -> None:
    if found := gaps():
        raise NotAsItShould("; ".join(f"{name}: {reason}" for name, reason in found))


def _repos(settings: Settings, standings: Standings) -> Iterator[Dependency]:
    """The mirrors that were asked for: the two of the settings first, then those of services."""
    named = {
        f"git:{parse(url).name}": url
        for url in (settings.git.knowledge_repo_url, settings.git.blueprints_repo_url)
        if url
    }
    asked = [name for name in standings.of if name.startswith("git:") and name not in named]
    for name in (*named, *asked[:MOST_REPOS]):
        yield Dependency(name, "git", "The copy at hand is read, and its age told.", address=named.get(name))
