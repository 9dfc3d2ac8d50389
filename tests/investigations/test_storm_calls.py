"""Whoever is called about a storm is called about the gravest that burns in it, whenever that joined."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.reply import Ledger, NotReached
from app.escalation.models import EscalationFailed, Why
from app.investigations import afterwards, models, repository
from app.investigations.calling import burning, called_about
from app.investigations.diagnose import Outcome
from app.investigations.intake import Intake
from app.investigations.models import Investigation
from app.investigations.queueing import defer_diagnose
from app.investigations.surface import Headline, IncidentThread, Opened
from app.storage.engine import begin
from tests.fakes.pagerduty_escalation import PagerDutyWire
from tests.investigations import stages
from tests.investigations.cases import FINDINGS
from tests.investigations.conftest import STARTED, Rows, alert, intake_on
from tests.investigations.test_repository import look, with_thread
from tests.investigations.test_wrapping import BRIEF, Heard, shown

AM = {"source": "alertmanager"}


class Place:
    """A surface in memory with one thread, which is away when told so."""

    def __init__(self) -> None:
        self.heard = Heard()
        self.away = False

    def thread(self, investigation_id: UUID, channel: str, ledger: Ledger) -> IncidentThread:
        return _Away() if self.away else self.heard

    async def people(self, emails: Sequence[str]) -> tuple[str, ...]:
        return ()


class _Away(Heard):
    async def open(self, headline: Headline) -> Opened:
        raise NotReached("Slack is away.")


@pytest.fixture
async def wire() -> AsyncIterator[PagerDutyWire]:
    async with PagerDutyWire() as server:
        yield server


async def stormy(engine: AsyncEngine, **changes: Any) -> tuple[Intake, Investigation]:
    """From the third incident on a storm; the leader, a P3 about checkout, whose diagnosis has begun."""
    intake = intake_on(engine, incidents=2)
    first = await intake.accept(alert("A0", **{**AM, "severity": "P3", **changes}))
    await intake.accept(alert("A1", **AM, service="search", severity="P3"))
    taken = await with_thread(engine, await look(engine, first.investigation_id))
    async with begin(engine) as connection:
        await defer_diagnose(connection, taken)
        mine = await repository.begin_diagnose(connection, taken.id, ttl_seconds=600)
    assert mine
    return intake, mine


async def stormy_elsewhere(engine: AsyncEngine) -> tuple[Intake, Investigation]:
    intake = intake_on(engine, incidents=100)
    first = await intake.accept(alert("E0", **AM, service="mail"))
    place = models.Place("T1", "C1", "200.1")
    taken = await with_thread(engine, await look(engine, first.investigation_id), place)
    async with begin(engine) as connection:
        await defer_diagnose(connection, taken)
        mine = await repository.begin_diagnose(connection, taken.id, ttl_seconds=600)
    assert mine
    return intake, mine


async def joins(intake: Intake, key: str, **changes: Any) -> None:
    values = {**AM, "severity": "P1", "service": "payments", "title": f"Payments fail, {key}", **changes}
    joined = await intake.accept(alert(key, **values))
    assert joined.status == "joined"


async def ended(engine: AsyncEngine, wire: PagerDutyWire, mine: Investigation, why: Why | None) -> Heard:
    """As a diagnosis ends: its brief is stored before anybody is called. What the thread heard."""
    thread, outcome = Heard(), Outcome(BRIEF, FINDINGS, why=why)
    async with begin(engine) as connection:
        await repository.save(connection, mine, brief=outcome.stored(mine.round))
    await stages.calling(engine, wire, out=io.StringIO).done(mine, thread, outcome, STARTED, shown())
    return thread


async def update(
    engine: AsyncEngine, wire: PagerDutyWire, place: Place, mine: Investigation, **more: Any
) -> None:
    given = stages.calling(engine, wire, out=io.StringIO, **more)
    await stages.updater(engine, place, given).run(str(mine.id))


def summaries(wire: PagerDutyWire) -> list[tuple[str, str]]:
    return [(each["payload"]["severity"], each["payload"]["summary"]) for each in wire.world.events]


async def test_people_are_called_about_the_gravest_that_burns_and_told_of_the_other_p1s(
    engine: AsyncEngine, wire: PagerDutyWire
) -> None:
    intake, mine = await stormy(engine)
    for key in ("M1", "M2", "M3"):
        await joins(intake, key)
    await joins(intake, "M4", severity="P2", service="stock")
    await intake.accept(alert("M1", **AM, status="resolved"))
    thread = await ended(engine, wire, mine, "low_confidence")

    assert summaries(wire) == [("critical", "Payments fail, M2")]
    [event] = wire.world.events
    assert event["payload"]["custom_details"]["found"].startswith(
        "P1 as well, in the same thread: Payments fail, M3.\n"
    )
    assert thread.notes == [
        "📟 I sent an event to PagerDuty, which pages the routing key's service (about Payments fail, M2). "
        "The automatic diagnosis is not sure of the cause."
    ]
    # The update behind the end calls nobody about what the call has named.
    await update(engine, wire, Place(), mine, apart_seconds=0)
    assert len(wire.world.events) == 1


async def test_a_member_of_pagerduty_s_own_is_escalated_there(
    engine: AsyncEngine, wire: PagerDutyWire
) -> None:
    intake, mine = await stormy(engine)
    await joins(intake, "M1")
    await joins(intake, "PT4KHLK", source="pagerduty", service="stock")
    await ended(engine, wire, mine, "timeout")
    assert (wire.world.paged, wire.world.events) == ([("PPOLICY", 2)], [])
    assert "P1 as well, in the same thread: Payments fail, M1." in wire.world.notes[0]


async def test_a_p1_that_joins_after_people_were_called_calls_them_too_once(
    engine: AsyncEngine, wire: PagerDutyWire, rows: Rows
) -> None:
    intake, mine = await stormy(engine)
    await ended(engine, wire, mine, "low_confidence")
    assert summaries(wire) == [("warning", "High error rate on checkout")]

    await joins(intake, "M1")
    await joins(intake, "M2", severity="P2")
    place = Place()
    for _ in range(3):
        await update(engine, wire, place, mine)
    assert summaries(wire)[1:] == [("critical", "Payments fail, M1")]
    assert len({each["dedup_key"] for each in wire.world.events}) == 2
    told = (
        "📟 I sent an event to PagerDuty, which pages the routing key's service (about Payments fail, M1). "
        "The automatic diagnosis is not sure of the cause. This joined the storm after people had been called."
    )
    assert place.heard.notes.count(told) == 2  # by key once in Slack; each update writes it
    assert await rows(
        "SELECT response_text FROM audit_log WHERE response_text LIKE '%joined the storm%'"
    ) == [(told,)]

    # Soon after it, others wait for a call of their own, and are in one.
    await joins(intake, "M3")
    await joins(intake, "M4")
    await update(engine, wire, place, mine)
    assert len(wire.world.events) == 2
    assert await rows(
        f"SELECT scheduled_at > now() FROM procrastinate_jobs "
        f"WHERE queueing_lock = 'called:{mine.id}' AND status = 'todo'"
    ) == [(True,)]
    for _ in range(2):
        await update(engine, wire, place, mine, apart_seconds=0)
    assert summaries(wire)[2:] == [("critical", "Payments fail, M3")]
    assert "Payments fail, M4" in wire.world.events[2]["payload"]["custom_details"]["found"]


async def test_a_member_that_becomes_a_p1_later_calls_people(
    engine: AsyncEngine, wire: PagerDutyWire
) -> None:
    intake, mine = await stormy(engine)
    await joins(intake, "M1", severity="P3")
    await ended(engine, wire, mine, "budget")
    await joins(intake, "M1", title="Much worse")
    await update(engine, wire, Place(), mine)
    assert summaries(wire) == [("warning", "High error rate on checkout"), ("critical", "Much worse")]


async def test_whoever_is_cut_off_in_a_later_call_is_succeeded_by_one_who_calls_about_the_same(
    engine: AsyncEngine, wire: PagerDutyWire
) -> None:
    intake, mine = await stormy(engine)
    await ended(engine, wire, mine, "low_confidence")
    await joins(intake, "M1")
    wire.failures = [503] * 3
    with pytest.raises(EscalationFailed):
        await update(engine, wire, Place(), mine)
    await joins(intake, "M2", severity="P1", service="payments-db", title="The database is down")
    await update(engine, wire, Place(), mine)
    assert summaries(wire)[1:] == [("critical", "Payments fail, M1")]
    await update(engine, wire, Place(), mine, apart_seconds=0)
    assert summaries(wire)[2:] == [("critical", "The database is down")]


async def test_a_pagerduty_that_stays_away_is_given_up_and_the_thread_says_so(
    engine: AsyncEngine, wire: PagerDutyWire
) -> None:
    intake, mine = await stormy(engine)
    await ended(engine, wire, mine, "low_confidence")
    await joins(intake, "M1")
    wire.failures = [503] * 3
    place, given = Place(), stages.calling(engine, wire)
    later = datetime.now(UTC) + timedelta(minutes=6)
    await stages.updater(engine, place, given, clock=lambda: later).run(str(mine.id))
    await update(engine, wire, place, mine)
    assert len(wire.world.events) == 1
    assert place.heard.notes[-1].startswith("I could not call anybody: ")


@pytest.mark.parametrize("why", [None, "unseen"])
async def test_where_no_reason_stands_nobody_is_called_about_what_joins(
    engine: AsyncEngine, wire: PagerDutyWire, why: Why | None
) -> None:
    intake, mine = await stormy(engine)
    await ended(engine, wire, mine, why)
    before = len(wire.world.events)
    await joins(intake, "M1")
    place = Place()
    await update(engine, wire, place, mine)
    assert len(wire.world.events) == before
    # But what cannot be shown is read by nobody.
    place.away = True
    with pytest.raises(NotReached):
        await update(engine, wire, place, mine)
    assert len(wire.world.events) == 2 * before


async def test_what_is_over_before_its_call_calls_nobody(engine: AsyncEngine, wire: PagerDutyWire) -> None:
    intake, mine = await stormy(engine)
    await ended(engine, wire, mine, "low_confidence")
    await joins(intake, "M1")
    wire.failures = [503] * 3
    with pytest.raises(EscalationFailed):
        await update(engine, wire, Place(), mine)
    await joins(intake, "M2")
    for key in ("M1", "M2"):
        await intake.accept(alert(key, **AM, status="resolved"))
    await update(engine, wire, Place(), mine, apart_seconds=0)
    assert len(wire.world.events) == 1


async def test_an_attempt_that_comes_to_another_end_calls_nobody_for_another_reason(
    engine: AsyncEngine, wire: PagerDutyWire, rows: Rows
) -> None:
    """Its predecessor had called people and died before the thread was told."""
    _, mine = await stormy(engine, source="pagerduty")
    await rows("UPDATE incidents SET incident_key = 'PT4KHLK' WHERE source = 'pagerduty'")
    given = stages.calling(engine, wire, out=io.StringIO)
    await given.call_people(mine, "failure", "Something broke.")
    async with begin(engine) as connection:
        mine = await repository.begin_diagnose(connection, mine.id, ttl_seconds=600) or mine
    for why in ("low_confidence", None):
        async with begin(engine) as connection:
            again = await repository.load(connection, mine.id)
        assert again
        await given._told(again, thread := Heard(), shown(), why)  # type: ignore[arg-type]
        assert "The automatic diagnosis failed." in thread.notes[0]
    assert wire.world.paged == [("PPOLICY", 2)]


async def test_what_cannot_be_ended_otherwise_still_calls_people_and_has_its_line(
    engine: AsyncEngine, wire: PagerDutyWire, rows: Rows
) -> None:
    _, mine = await stormy(engine)
    out = io.StringIO()
    await stages.calling(engine, wire, out=lambda: out).unsaid(mine, "Something on my side broke.")
    assert summaries(wire) == [("warning", "High error rate on checkout")]
    assert out.getvalue().startswith("INCIDENT_REPORT {")
    assert '"status": "failed"' in out.getvalue()
    assert await rows("SELECT status, error_code FROM investigations WHERE finished_at IS NOT NULL") == [
        ("failed", "internal")
    ]
    # And while nobody can be called either, it ends all the same.
    wire.failures = [503] * 9
    _, other = await stormy_elsewhere(engine)
    await stages.calling(engine, wire, out=lambda: out).unsaid(other, "Something on my side broke.")
    assert await rows("SELECT count(*) FROM investigations WHERE status = 'failed'") == [(2,)]


async def test_the_report_of_a_deeper_look_tells_of_calls_before_it_and_of_what_joined_meanwhile(
    engine: AsyncEngine, wire: PagerDutyWire, rows: Rows
) -> None:
    intake, mine = await stormy(engine)
    await joins(intake, "M1", title="Payments are down")
    await ended(engine, wire, mine, "low_confidence")
    async with begin(engine) as connection:
        await afterwards.reopen(connection, mine.id, priority=100)
        again = await repository.begin_diagnose(connection, mine.id, ttl_seconds=600)
    assert again
    await ended(engine, wire, again, None)
    [(report,)] = await rows("SELECT report FROM investigations WHERE report IS NOT NULL")
    assert "I sent an event to PagerDuty" in report
    assert "Payments are down" in report


async def test_of_one_thing_pagerduty_s_own_incident_is_called_about(engine: AsyncEngine) -> None:
    intake = intake_on(engine)
    first = await intake.accept(alert("A0", **AM, severity="P1"))
    await intake.accept(alert("PD0", severity="P3"))
    assert first.investigation_id
    async with begin(engine) as connection:
        found = await repository.load(connection, first.investigation_id)
    assert found
    [thing] = burning(found.incidents)
    assert [each.incident_key for each in thing] == ["PD0", "A0"]
    about = called_about(found, None)
    assert (about.incident_key, about.severity, about.named) == ("PD0", "P1", "")
    await intake.accept(alert("PD0", status="resolved"))
    async with begin(engine) as connection:
        found = await repository.load(connection, first.investigation_id)
    assert found
    assert called_about(found, None).incident_key == "A0"
