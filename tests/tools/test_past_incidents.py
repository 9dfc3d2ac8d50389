"""Whether it has happened before, and the pattern in it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.errors import AgentError
from app.sources.pagerduty import PagerDutyReader
from app.tools import past_incidents
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute
from app.tools.past_incidents import Case
from app.tools.recurrence import pattern
from tests.fakes.pagerduty import FakePagerDuty, incident

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MONDAY = datetime(2026, 11, 16, 2, 30, tzinfo=UTC)


def weekly(count: int) -> list[datetime]:
    return [MONDAY - timedelta(days=7 * number) for number in range(count)]


@pytest.mark.parametrize(
    ("dates", "said"),
    [
        ([], "Nothing like it is known."),
        (weekly(1), "1 time since 2026-11-16, 1 in the last 30 days; last on 2026-11-16 02:30 UTC. Too few"),
        (
            weekly(5),
            "About every 7 days; mostly on Mondays (5 of 5); mostly between 02:00 and 03:00 UTC (5 of 5).",
        ),
        ([NOW - timedelta(hours=6 * number) for number in range(1, 7)], "About every 6 hours."),
        (
            [NOW - timedelta(days=days, hours=days * 5 % 24) for days in (1, 4, 20, 23, 60)],
            "No pattern in days, hours or intervals.",
        ),
        ([NOW, NOW, NOW], "3 times"),
        (
            [datetime(2026, 11, day, hour, tzinfo=UTC) for day, hour in ((1, 23), (5, 0), (12, 1))],
            "between 23:00 and 02:00",
        ),
    ],
)
def test_the_pattern_in_dates(dates: list[datetime], said: str) -> None:
    assert said in pattern(dates, NOW)


@dataclass
class Ours:
    """Our own history, in memory."""

    cases: list[Case] = field(default_factory=list)
    away: bool = False

    async def past(self, service: str | None, title: str) -> Sequence[Case]:
        if self.away:
            raise AgentError("The database is away.")
        return self.cases


@dataclass
class Parts:
    history: Ours | None
    pagerduty: PagerDutyReader | None

    async def ask(self, service: str | None = "checkout", **arguments: Any) -> Executed:
        made = past_incidents.tool(self)
        assert made is not None
        scope = ToolScope(service=service, clock=lambda: NOW)
        return await execute(Catalogue([made]), "past_incidents", arguments, scope=scope, limit_bytes=4096)


@pytest.fixture
async def server() -> AsyncIterator[FakePagerDuty]:
    async with FakePagerDuty() as running:
        yield running


@pytest.fixture
async def parts(server: FakePagerDuty) -> AsyncIterator[Parts]:
    reader = PagerDutyReader(server.endpoint)
    yield Parts(Ours(), reader)
    await reader.aclose()


async def test_both_histories_are_told_once_each_with_what_it_was(
    server: FakePagerDuty, parts: Parts
) -> None:
    assert parts.history
    parts.history.cases = [(NOW - timedelta(days=2), "Pool exhausted", None, "https://slack.example/1")]
    server.past = [
        {"incident": incident("QPAST01", "2026-11-18T12:04:00Z", "Pool exhausted on checkout")},
        {"incident": incident("QPAST02", "2026-11-10T12:00:00Z", "Slow")},
    ]
    server.notes = {"QPAST01": [{"content": "It was the batch job", "created_at": "2026-11-18T13:00:00Z"}]}
    done = await parts.ask(incident_id="QNOW001")

    assert done.text.splitlines()[0].startswith("2 earlier incidents of checkout. 2 times since 2026-11-10")
    assert done.text.splitlines()[1:] == [
        "- 2026-11-18 12:00 Pool exhausted: It was the batch job [our own history]",
        "- 2026-11-10 12:00 Slow: nobody wrote down what it was [PagerDuty]",
    ]
    assert done.sources[0].url == "https://slack.example/1"


async def test_without_an_id_the_service_s_resolved_incidents_are_looked_at(
    server: FakePagerDuty, parts: Parts
) -> None:
    server.incidents = [
        incident("QOPEN01", "2026-11-20T11:00:00Z", "Now", "triggered"),
        incident("QPAST01", "2026-11-19T11:00:00Z", "Yesterday"),
        incident("QPAST00", "2026-01-01T11:00:00Z", "Long ago"),
    ]
    done = await parts.ask()

    assert "Yesterday" in done.text
    assert "Now" not in done.text
    assert "Long ago" not in done.text


async def test_what_else_is_open_is_told(server: FakePagerDuty, parts: Parts) -> None:
    server.related = [
        {"incident": incident("QOPEN02", "2026-11-20T11:00:00Z", "Cart slow", "triggered", "cart")}
    ]

    assert "Open at the same time: Cart slow (cart)" in (await parts.ask(incident_id="QNOW001")).text


async def test_one_history_away_is_said_and_both_are_a_failure(server: FakePagerDuty, parts: Parts) -> None:
    assert parts.history
    parts.history.cases = [(NOW - timedelta(days=2), "Pool exhausted", "the batch job", None)]
    server.fault = "500"
    done = await parts.ask(incident_id="QNOW001")
    assert not done.failed
    assert done.text.startswith("pagerduty answered with an error")
    assert "the batch job" in done.text

    parts.history.away = True
    assert (await parts.ask(incident_id="QNOW001")).failed


async def test_nothing_known_is_said_and_a_service_is_needed(parts: Parts) -> None:
    assert (await parts.ask()).text == "0 earlier incidents of checkout. Nothing like it is known."
    assert (await parts.ask(None)).failed


def test_without_any_history_the_tool_is_not_offered() -> None:
    assert past_incidents.tool(Parts(None, None)) is None
