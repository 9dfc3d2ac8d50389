"""What happened before: our own investigations and the source's, those alike, newest first."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.investigations import repository
from app.investigations.brief import Brief, Cited
from app.investigations.history import NO_SERVICE, History, alike
from app.investigations.intake import Intake
from app.sources.pagerduty import PagerDutyReader
from app.storage.engine import begin
from tests.fakes.pagerduty import FakePagerDuty
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
    assert [each.cause for each in found.times] == [CAUSE]
    assert all(each.at < now.created_at for each in found.times)
    assert found.gaps == ()


async def test_a_pagerduty_that_is_away_is_a_gap_beside_what_we_know(
    engine: AsyncEngine, intake: Intake
) -> None:
    await once_before(engine, intake)
    now = await begun(engine, intake, "PINC002")
    async with FakePagerDuty() as server:
        server.fault = "500"
        pagerduty = PagerDutyReader(server.endpoint, timeout_seconds=60)
        found = await History(engine, pagerduty=pagerduty).before(now)
        await pagerduty.aclose()
    assert [each.cause for each in found.times] == [CAUSE]
    assert [each.source for each in found.gaps] == ["past incidents"]
    assert "500" in found.gaps[0].reason


async def test_without_a_service_our_own_past_is_not_known(engine: AsyncEngine, intake: Intake) -> None:
    now = (await begun(engine, intake)).model_copy(update={"service_name": None})
    assert [each.reason for each in (await History(engine).before(now)).gaps] == [NO_SERVICE]


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
