"""Every source is asked at once; what one of them does costs the others nothing and the look never."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from app.context.runbooks import Runbooks
from app.errors import AgentError
from app.investigations.alert import Alert
from app.investigations.evidence import Gap
from app.investigations.gather import Before, Gatherer, PastTime, Seen, Sources, symptom, with_level
from app.investigations.models import Incident, Investigation
from app.investigations.questions import Signal, Signals, SignalsError, questions
from app.signals.models import Change, ClusterEvent, LogLine, Series, Span
from app.sources.changed import Changed
from tests.investigations.conftest import SHOP, alert

NOW = datetime(2026, 11, 21, 2, 5, tzinfo=UTC)
AT = NOW.timestamp()
SIGNALS = Signals(
    metrics=(
        Signal(name="error_rate", query='errors{$label=~"$services"}', unit="ratio", symptom=("error",)),
        Signal(name="requests", query='requests{$label=~"$services"}', unit="1/s"),
    ),
    logs='{$label=~"$services"}',
)
SECRET = "ghp_" + "canary7Qx2Vb9Lm4Np6Rt8Yw1Zc3Df5Gh7Jk9"
STEPPED = tuple((AT - 3600 + 30 * n, 0.2 if n > 100 else 0.001 + n % 3 / 1e4) for n in range(120))
NAMES = {
    "prometheus": "prometheus",
    "loki": "loki",
    "tempo": "traces",
    "argocd": "argocd",
    "kubernetes": "kubernetes",
    "past": "past incidents",
    "pagerduty": "on call",
}
"""Each source as a gap names it."""


class Away(AgentError):
    code = "away"


@dataclass
class Systems:
    """All sources in memory; `faults` says what becomes of a question to one of them."""

    faults: dict[str, Any] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    missing: tuple[tuple[str, str], ...] = ()
    unread: tuple[Gap, ...] = ()
    times: tuple[PastTime, ...] = (PastTime(NOW - timedelta(days=3), "Errors", f"pw: {SECRET}"),)

    async def _answer(self, name: str, answer: Any) -> Any:
        self.asked.append(name)
        fault = self.faults.get(name)
        if fault == "hangs":
            await asyncio.Event().wait()
        if isinstance(fault, Exception):
            raise fault
        return answer

    def link(self, *_: Any) -> str:
        return "https://grafana.example/e"

    async def query_range(self, query: str, start: float, end: float, step: float = 30) -> Any:
        if query.startswith("{"):
            line = LogLine(end - 5, f"ERROR charge refused, token={SECRET}", "checkout")
            return await self._answer("loki", (line,))
        return await self._answer("prometheus", (Series(query, STEPPED, None, {"service": "checkout"}),))

    async def search(self, **_: Any) -> Sequence[Span]:
        return await self._answer(
            "tempo", (Span("t1", "s1", "checkout", "/pay", AT - 60, 12, failed=True, error=SECRET),)
        )

    async def between(self, start: float, end: float, around: Sequence[str]) -> Changed:
        change = Change("deploy", "4f1c", AT - 300, f"use {SECRET}", "checkout")
        return await self._answer("argocd", Changed((change,), self.missing))

    async def not_healthy(self, service: str) -> Sequence[ClusterEvent]:
        return await self._answer("kubernetes", (ClusterEvent(AT, "Pod", "p-1", "BackOff", SECRET),))

    async def past(self, investigation: Investigation) -> Before:
        return await self._answer("past", Before(self.times, self.unread))

    async def on_call(self, investigation: Investigation) -> str:
        return await self._answer("pagerduty", "Maya")

    async def tickets(self, investigation: Investigation) -> tuple[str, ...]:
        return await self._answer("tickets", ())

    async def runbooks(self) -> Runbooks:
        return await self._answer("runbooks", Runbooks(()))


def investigation(told: Alert) -> Investigation:
    incident = Incident(
        id=1,
        source=told.source,
        incident_key=told.incident_key,
        title=told.title,
        service_name=told.service,
        severity="P2",
        status="open",
        alert=told,
        started_at=told.started_at,
        created_at=NOW,
    )
    return Investigation(
        id=UUID(int=1),
        title=told.title,
        service_name=told.service,
        severity="P2",
        status="looking",
        priority=1,
        attempt=1,
        incidents=(incident,),
        trace_id="t",
        created_at=NOW,
    )


async def gathered(systems: Systems, told: Alert | None = None, signals: Any = None) -> Seen:
    async def given() -> Signals:
        if isinstance(signals, Exception):
            raise signals
        return SIGNALS

    sources = Sources(
        metrics=systems,
        logs=systems,  # type: ignore[arg-type]
        traces=systems,
        changes=systems,  # type: ignore[arg-type]
        cluster=systems,  # type: ignore[arg-type]
        past=systems.past,
        on_call=systems.on_call,
        runbooks=systems.runbooks,
        tickets=systems.tickets,
    )
    gatherer = Gatherer(sources, lambda: SHOP, given, clock=lambda: NOW, seconds=0.1)
    return await gatherer.gather(investigation(told or alert()))


async def test_everything_is_asked_and_kept_with_how_it_was_asked() -> None:
    seen = await gathered(Systems())
    assert seen.gaps == ()
    assert seen.asked["series:error_rate"].query.startswith('errors{service=~"checkout|payments|stock')
    assert seen.observations.symptom is not None
    assert seen.observations.symptom.name == "error_rate"
    assert seen.trace_links == {"t1": "https://grafana.example/e"}
    assert seen.on_call == "Maya"
    assert {"prometheus", "loki", "traces", "argocd", "kubernetes"} <= seen.observations.sources_asked


async def test_no_secret_stays_in_what_was_seen() -> None:
    seen = await gathered(Systems())
    assert SECRET not in repr(seen)
    assert "charge refused" in seen.observations.logs[0].text


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        *((each, "hangs") for each in NAMES),
        *((each, Away("It is away.")) for each in NAMES),
        ("argocd", ValueError("odd")),
    ],
)
async def test_a_source_that_fails_is_a_gap_and_nothing_else(source: str, fault: Any) -> None:
    systems = Systems({source: fault})
    seen = await gathered(systems)
    assert {each.source for each in seen.gaps} == {NAMES[source]}
    assert len(set(systems.asked)) == 9
    assert NAMES[source] not in seen.observations.sources_asked


async def test_runbooks_that_cannot_be_read_are_a_gap() -> None:
    seen = await gathered(Systems({"runbooks": ValueError("odd")}))
    assert [each.source for each in seen.gaps] == ["runbooks"]
    assert seen.runbooks == ()


async def test_a_list_of_signals_that_cannot_be_read_is_a_gap_and_the_usual_ones_are_asked() -> None:
    seen = await gathered(Systems(), signals=SignalsError("templates/signals.yaml cannot be used: line 3"))
    assert [each.source for each in seen.gaps] == ["knowledge"]
    assert "series:error_rate" in seen.asked


@dataclass
class SlowMetrics(Systems):
    """A Prometheus that answers what is about one service, and hangs on the rest."""

    windows: list[tuple[str, float, float]] = field(default_factory=list)

    async def query_range(self, query: str, start: float, end: float, step: float = 30) -> Any:
        if not query.startswith("{"):
            self.windows.append((query, start, end))
            self.faults["prometheus"] = "hangs" if "|" in query else None
        return await super().query_range(query, start, end, step)


async def test_the_probe_goes_first_and_stands_in_for_what_is_not_answered() -> None:
    systems = SlowMetrics()
    seen = await gathered(systems)
    assert systems.windows[0] == ('errors{service=~"checkout"}', AT - 300 - 30 * 60, AT)
    assert len(systems.windows) == 3
    assert [each.source for each in seen.gaps] == ["prometheus"]
    assert seen.observations.symptom is not None
    assert (seen.observations.symptom.service, seen.observations.symptom.name) == ("checkout", "error_rate")
    assert seen.asked["series:error_rate"].query == 'errors{service=~"checkout"}'


async def test_what_was_asked_at_length_is_told_once() -> None:
    seen = await gathered(Systems())
    assert [each.name for each in seen.observations.series] == ["error_rate", "requests"]
    assert seen.asked["series:error_rate"].start == AT - 300 - 90 * 60


@pytest.mark.parametrize(
    ("probe", "first"), [(None, "error_rate"), ("requests", "requests")], ids=["by default", "as named"]
)
def test_a_team_says_what_is_asked_first(probe: str | None, first: str) -> None:
    signals = SIGNALS.model_copy(update={"probe": probe})
    asked = questions(signals, ["checkout", "payments"]).probe
    assert asked is not None
    assert asked[0].name == first
    assert asked[1].endswith('{service=~"checkout"}')
    with pytest.raises(ValueError, match="there is no metric 'latency'"):
        Signals.model_validate({**signals.model_dump(), "probe": "latency"})


async def test_what_came_with_a_rollout_and_could_not_be_had_is_a_gap() -> None:
    seen = await gathered(Systems(missing=(("github", "could not tell what rollouts brought"),)))
    assert seen.gaps == (Gap("github", "could not tell what rollouts brought"),)
    assert [each.id for each in seen.observations.changes] == ["4f1c"]
    assert {"argocd", "deploys"} <= seen.observations.sources_asked


async def test_a_record_that_could_not_be_read_is_a_gap_and_no_first_time() -> None:
    unread = (Gap("past incidents", "pagerduty answered with status 500."),)
    seen = await gathered(Systems(unread=unread, times=()))
    assert seen.gaps == unread
    assert seen.past is None


async def test_what_one_record_has_is_told_when_another_cannot_be_read() -> None:
    unread = (Gap("past incidents", "pagerduty answered with status 500."),)
    seen = await gathered(Systems(unread=unread))
    assert seen.gaps == unread
    assert [each.title for each in seen.past or ()] == ["Errors"]


async def test_what_is_not_configured_is_one_gap() -> None:
    async def given() -> Signals:
        return SIGNALS

    async def looked(sources: Sources) -> tuple[Gap, ...]:
        gatherer = Gatherer(sources, lambda: SHOP, given, clock=lambda: NOW)
        return (await gatherer.gather(investigation(alert()))).gaps

    systems: Any = Systems()
    source = "not configured, so not looked at"
    assert await looked(Sources(metrics=systems, logs=systems, traces=systems, on_call=systems.on_call)) == (
        Gap(source, "deploys (ARGOCD_URL), the cluster (KUBERNETES), open tickets (tickets: in MCP_SERVERS)"),
    )
    sources = Sources(
        systems,
        systems,
        systems,
        commits=systems,
        cluster=systems,
        on_call=systems.on_call,
        tickets=systems.tickets,
    )
    assert await looked(sources) == (Gap(source, "deploys (ARGOCD_URL; commits on GitHub stand in)"),)


async def test_an_alert_from_the_future_is_looked_at_as_of_now() -> None:
    seen = await gathered(Systems(), alert(started_at=NOW + timedelta(hours=3)))
    assert seen.observations.alerted_at == AT


def test_the_symptom_is_what_the_alert_complains_of_and_moved() -> None:
    flat = Series("latency_p99", tuple((float(n), 1.0) for n in range(120)), "checkout")
    stepped = Series("error_rate", STEPPED, "checkout")
    other = Series("error_rate", STEPPED, "payments")
    assert symptom((flat, other, stepped), "checkout", ("latency_p99", "error_rate")) == stepped
    assert symptom((flat, other), "checkout", ("error_rate",)) == flat
    assert symptom((other,), "checkout", ("error_rate",)) is None


@pytest.mark.parametrize(
    ("text", "level"),
    [("WARNING low on memory", "warn"), ("panic: nil", "fatal"), ("all is well", ""), ("Error: x", "error")],
)
def test_a_line_without_a_level_has_the_one_it_names(text: str, level: str) -> None:
    assert with_level(LogLine(1.0, text)).level == level
