"""One process seen from outside: everything the pages under `/ops` are made from."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib.metadata import PackageNotFoundError, version

from app import instruments, telemetry
from app.agent.budget import WindowLimits
from app.knowledge.keeping import Keeper
from app.operations import config, status
from app.operations.controls import Controls
from app.operations.dependencies import Dependencies
from app.operations.figures import FigureReader
from app.operations.models import (
    Config,
    DependencyList,
    ErrorHere,
    Figures,
    Health,
    KnowledgeFigures,
    Metrics,
    Percentiles,
    ProcessFigures,
    Rates,
    RecentErrorsTold,
    RoomOf,
    Status,
    TokensHere,
    TokenTotals,
    TokenUsage,
    TokenWindow,
)
from app.recent_errors import RecentErrors
from app.settings import Settings

ERROR_HOURS = 24
EXPOSE_SECONDS = 15.0


def instance() -> str:
    """What tells this process from the others: its host, which is its pod's name, and its number there."""
    return f"{socket.gethostname()}:{os.getpid()}"


def released() -> str:
    try:
        return version("sre-agent")
    except PackageNotFoundError:  # run from a checkout that nobody installed
        return "unknown"


@dataclass
class Operations:
    """`rooms` are the jobs of this process by queue; `roles` whether it is a door, a worker or both."""

    settings: Settings
    keeper: Keeper
    figures: FigureReader
    dependencies: Dependencies
    controls: Controls
    errors: RecentErrors
    rooms: Callable[[], Mapping[str, RoomOf]]
    roles: tuple[str, ...] = ()
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    started_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    @property
    def limits(self) -> WindowLimits:
        return self.figures.limits

    async def status(self) -> Status:
        health, figures = await asyncio.gather(self.dependencies.health(), self.figures.figures())
        told = status.signals(figures, self.rooms(), self.limits) if figures else None
        draining = self.controls.is_draining()
        verdict, because = status.verdict(health, told, draining=draining)
        return Status(
            verdict=verdict,
            because=because,
            draining=draining,
            roles=self.roles,
            version=released(),
            instance=self.controls.instance,
            started_at=self.started_at,
            uptime_seconds=round((self.clock() - self.started_at).total_seconds(), 1),
            signals=told,
        )

    async def health(self) -> Health:
        return await self.dependencies.health()

    def listed(self) -> DependencyList:
        return DependencyList(dependencies=self.dependencies.listed())

    def config(self) -> Config:
        return Config(log_level=telemetry.level(), groups=config.shown(self.settings))

    async def recent_errors(self) -> RecentErrorsTold:
        return RecentErrorsTold(
            hours=ERROR_HOURS,
            this_process=tuple(map(ErrorHere.model_validate, self.errors.groups())),
            stored=await self.figures.errors(ERROR_HOURS),
        )

    async def metrics(self) -> Metrics:
        figures = await self.figures.figures()
        return Metrics(
            at=self.clock(),
            rates=_rates(figures) if figures else None,
            latency=status.latency(figures) if figures else None,
            saturation=status.saturation(figures, self.rooms(), self.limits) if figures else None,
            queues=figures.queues if figures else None,
            turns=figures.turns if figures else None,
            investigations=figures.investigations if figures else None,
            incidents_active=figures.incidents_active if figures else None,
            token_usage=_token_usage(figures, self.limits) if figures else None,
            knowledge=self._knowledge(),
            process=_process(),
        )

    async def exposition(self) -> bytes:
        """For Prometheus; the figures of the database are those of a few seconds ago at most."""
        await self.figures.figures()
        self.expose()
        return self._written()

    async def keep_exposed(self) -> None:
        """The gauges, for an exporter that reads them by itself."""
        while True:
            await self.figures.figures()
            self.expose()
            await asyncio.sleep(EXPOSE_SECONDS)

    def expose(self) -> None:
        """Set the gauges that tell of this process."""
        rooms, refusal = self.rooms(), self.keeper.refusal
        instruments.JOBS_RUNNING.replace({(name,): each.running for name, each in rooms.items()})
        instruments.JOBS_ROOM.replace(
            {(name,): each.room for name, each in rooms.items() if each.room is not None}
        )
        instruments.DRAINING.set(self.controls.is_draining())
        instruments.STARTED.set(self.started_at.timestamp())
        instruments.KNOWLEDGE.replace({(revision,): 1} if (revision := self._revision) else {})
        instruments.KNOWLEDGE_REFUSED.set(refusal is not None)
        self.dependencies.expose()

    @cached_property
    def _written(self) -> Callable[[], bytes]:
        # Memory that only who is scraped needs.
        from app.operations.exposition import exposition, registry  # noqa: PLC0415

        return partial(exposition, registry())

    @property
    def _revision(self) -> str | None:
        return self.keeper.current.revision if self.keeper.is_loaded else None

    def _knowledge(self) -> KnowledgeFigures:
        refusal = self.keeper.refusal
        return KnowledgeFigures(
            revision=self._revision,
            refused_revision=refusal.revision if refusal else None,
            notices=self.keeper.notices(),
        )


def _rates(figures: Figures) -> Rates:
    return Rates(
        turns_per_minute=round(figures.turns.accepted / 60, 3),
        investigations_per_minute=round(figures.investigations.begun / 60, 3),
        model_requests_per_minute=round(figures.rolling_hour.requests / 60, 3),
    )


def _token_usage(figures: Figures, limits: WindowLimits) -> TokenUsage:
    windows = figures.windows
    return TokenUsage(
        totals=TokenTotals(tokens=windows.total_tokens, usd=windows.total_usd),
        rolling_hour=figures.rolling_hour,
        hour=TokenWindow(
            tokens=windows.hour_tokens,
            usd=windows.hour_usd,
            usd_limit=float(limits.usd_per_hour) or None,
            tokens_limit=limits.tokens_per_hour or None,
        ),
        day=TokenWindow(
            tokens=windows.day_tokens,
            usd=windows.day_usd,
            usd_limit=float(limits.usd_per_day) or None,
            tokens_limit=None,
        ),
        this_process=TokensHere(
            input_tokens=int(instruments.TOKENS_INPUT.total),
            output_tokens=int(instruments.TOKENS_OUTPUT.total),
            usd=round(instruments.MODEL_SPEND.total, 6),
        ),
    )


def _process() -> ProcessFigures:
    tools = instruments.TOOL_CALLS
    return ProcessFigures(
        webhooks_received=int(instruments.WEBHOOKS_RECEIVED.total),
        webhooks_failed=int(instruments.WEBHOOKS_FAILED.total),
        model_runs_completed=int(instruments.RUNS_COMPLETED.total),
        model_runs_failed=int(instruments.RUNS_FAILED.total),
        model_request_seconds=_percentiles(instruments.MODEL_REQUESTS),
        tool_calls={
            outcome: sum(told.count for (_, each), told in tools.values.items() if each == outcome)
            for outcome in ("ok", "failed")
        },
        tool_seconds=_percentiles(tools),
        source_request_seconds=_percentiles(instruments.SOURCE_REQUESTS),
    )


def _percentiles(histogram: instruments.Histogram) -> Percentiles | None:
    if (found := histogram.percentiles(0.5, 0.95, 0.99)) is None:
        return None
    p50, p95, p99 = (round(each, 4) for each in found)
    return Percentiles(p50=p50, p95=p95, p99=p99, count=sum(each.count for each in histogram.values.values()))
