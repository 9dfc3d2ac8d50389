"""The weekly post: once a week, whichever replica is first, and never lost to a place that is away."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import AgentError
from app.investigations.intake import Intake
from app.investigations.weekly import post_every_week, post_once, week_due
from tests.investigations.conftest import Rows, alert

MONDAY = datetime(2026, 11, 16, 9, 0, tzinfo=UTC)


@pytest.fixture
async def now(intake: Intake, rows: Rows) -> datetime:
    """With one brief a day before."""
    await intake.accept(alert())
    now = datetime.now(UTC)
    await rows(
        "UPDATE investigations SET created_at = now() - interval '1 day', evidence_brief = "
        '\'{"confidence_level": "low", "confidence": 0.1, "likely_cause": {"text": "A leak"}}\''
    )
    return now


@pytest.mark.parametrize(
    ("at", "week"),
    [
        (MONDAY, "2026-W47"),
        (MONDAY - timedelta(seconds=1), "2026-W46"),
        (MONDAY + timedelta(days=6), "2026-W47"),
        (datetime(2027, 1, 1, 12, tzinfo=UTC), "2026-W53"),
    ],
)
def test_a_week_begins_on_monday_morning(at: datetime, week: str) -> None:
    assert week_due(at) == week


async def test_replicas_that_look_at_once_post_once(engine: AsyncEngine, now: datetime, rows: Rows) -> None:
    said: list[str] = []
    await rows("INSERT INTO knowledge_revisions (revision, accepted) VALUES ('r1', true), ('r2', false)")

    async def tell(sentence: str) -> None:
        await asyncio.sleep(0.05)
        said.append(sentence)

    posted = await asyncio.gather(*(post_once(engine, tell, now) for _ in range(4)))
    posted.append(await post_once(engine, tell, now))
    assert sorted(posted) == [False, False, False, False, True]
    assert len(said) == 1
    assert said[0].startswith("1 brief this week. Not enough outcomes")
    columns = "action, input_text, response_text, knowledge_revision"
    assert await rows(f"SELECT {columns} FROM audit_log") == [
        ("weekly_accuracy", week_due(now), said[0], "r1")
    ]


async def test_the_next_week_is_another(engine: AsyncEngine, now: datetime) -> None:
    said: list[str] = []

    async def tell(sentence: str) -> None:
        said.append(sentence)

    assert await post_once(engine, tell, now - timedelta(days=7) + timedelta(days=6)) is True
    assert await post_once(engine, tell, now + timedelta(days=6)) is True
    assert len(said) == 2


async def test_a_week_without_briefs_is_not_told(engine: AsyncEngine, rows: Rows) -> None:
    async def tell(sentence: str) -> None:
        pytest.fail("there is nothing to tell")

    assert await post_once(engine, tell, datetime.now(UTC)) is False
    assert await rows("SELECT 1 FROM audit_log") == []


async def test_what_could_not_be_posted_is_posted_later(
    engine: AsyncEngine, now: datetime, rows: Rows
) -> None:
    """A place that is away, then one that breaks, then one that takes it."""
    failures: list[Exception] = [AgentError("Slack is away."), ValueError("broken")]
    waits: list[float] = []

    async def tell(sentence: str) -> None:
        if failures:
            raise failures.pop(0)

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) > 4:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await post_every_week(engine, tell, clock=lambda: now, sleep=sleep)
    assert failures == []
    assert await rows("SELECT count(*) FROM audit_log") == [(1,)]
