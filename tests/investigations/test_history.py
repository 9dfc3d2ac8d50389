"""What happened before: our own investigations and the source's, those alike, newest first."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.investigations import repository
from app.investigations.brief import Brief, Cited
from app.investigations.history import History, alike
from app.investigations.intake import Intake
from app.storage.engine import begin
from tests.investigations.conftest import alert
from tests.investigations.test_repository import PLACE, begun, with_thread

CAUSE = "The pool of the ledger was full."


async def once_before(engine: AsyncEngine, intake: Intake) -> None:
    taken = await with_thread(engine, await begun(engine, intake))
    brief = Brief(
        headline="h",
        impact=Cited(text="i"),
        since="",
        likely_cause=Cited(text=CAUSE),
        confidence_level="high",
        confidence=0.9,
    )
    async with begin(engine) as connection:
        await repository.save(connection, taken, brief=brief.model_dump(mode="json"))
        await repository.finish(connection, taken, "done")
    await intake.accept(alert(status="resolved"))


async def test_an_earlier_incident_is_remembered_with_its_cause_and_thread(
    engine: AsyncEngine, intake: Intake
) -> None:
    await once_before(engine, intake)
    history = History(engine, lambda channel, ts: f"https://slack.example/{channel}/{ts}")
    [(_, title, cause, link)] = await history.past("checkout", "")
    assert title == "High error rate on checkout"
    assert cause == CAUSE
    assert link == f"https://slack.example/{PLACE.channel_id}/{PLACE.thread_ts}"
    assert await history.past("checkout", "certificate of mail expires") == []
    assert await history.past("payments", "") == []
    assert await history.past(None, "") == ()


async def test_an_investigation_is_not_its_own_past(engine: AsyncEngine, intake: Intake) -> None:
    await once_before(engine, intake)
    now = await begun(engine, intake, "Q2")
    found = await History(engine, clock=lambda: datetime.now(UTC)).before(now)
    assert [each.cause for each in found] == [CAUSE]
    assert all(each.at < now.created_at for each in found)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("High error rate on checkout", "High error rate on checkout", True),
        ("High error rate on checkout", "error rate of checkout above 5 %", True),
        ("High error rate on checkout", "certificate of mail expires", False),
        ("", "", False),
    ],
)
def test_titles_are_alike_by_their_telling_words(one: str, other: str, same: bool) -> None:
    assert alike(one, other) is same
