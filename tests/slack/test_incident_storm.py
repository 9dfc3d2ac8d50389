"""The thread of a storm in a real workspace: each P1 that joins is told once, whoever died on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.reply import Ledger
from app.investigations import opening, repository
from app.investigations.assembling import Looked
from app.investigations.intake import Intake
from app.investigations.ledger import InvestigationLedger
from app.investigations.queueing import defer_diagnose
from app.investigations.surface import IncidentSurface, IncidentThread
from app.investigations.updating import Updater
from app.investigations.wrapping import Wrapping
from app.playground.slack import Message
from app.storage.engine import begin, create_engine
from tests.investigations import stages
from tests.investigations.cases import NOTHING
from tests.investigations.conftest import alert, intake_on
from tests.slack.conftest import Play
from tests.slack.test_incident_blocks import texts
from tests.slack.test_incident_surface import CHANNEL, messages, surface


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


class Killed(Exception):
    pass


class Dying:
    """A surface whose process is killed in the place of a thread's n-th save from now on."""

    def __init__(self, given: IncidentSurface, saves: int) -> None:
        self._given, self._saves = given, saves

    def thread(self, investigation_id: UUID, channel: str, ledger: Ledger) -> IncidentThread:
        return self._given.thread(investigation_id, channel, DyingLedger(ledger, self._saves))


class DyingLedger:
    def __init__(self, given: Ledger, saves: int) -> None:
        self._given, self._left = given, saves

    async def load(self) -> dict[str, Any] | None:
        return await self._given.load()

    async def save(self, state: dict[str, Any]) -> None:
        if self._left == 0:
            raise Killed
        self._left -= 1
        await self._given.save(state)


def updater(
    engine: AsyncEngine, play: Play, *, dies_at: int | None = None, apart_seconds: float = 60
) -> Updater:
    def nobody(_: UUID) -> Any:
        raise AssertionError("nobody is called by an update")

    given: IncidentSurface = surface(play)
    shown = given if dies_at is None else Dying(given, dies_at)
    wrapping = Wrapping(engine, nobody)
    return stages.updater(engine, shown, wrapping, apart_seconds=apart_seconds)


async def in_a_thread(engine: AsyncEngine, play: Play) -> tuple[Intake, str]:
    """A storm from the third incident on, and its leader's id; the leader has its thread."""
    intake = intake_on(engine, incidents=2)
    leader = (await intake.accept(alert("Q0", severity="P3"))).investigation_id
    await intake.accept(alert("Q1", service="mail", severity="P3"))
    assert leader
    async with begin(engine) as connection:
        taken = await repository.begin_look(connection, leader)
    assert taken
    ledger = InvestigationLedger(engine, leader, taken.attempt)
    await opening.opened(engine, surface(play).thread(leader, CHANNEL, ledger), taken)
    async with begin(engine) as connection:
        await defer_diagnose(connection, taken)
        await repository.save(connection, taken, observations=Looked(NOTHING).stored())
    return intake, str(leader)


async def join(intake: Intake, *numbers: int, severity: str = "P1", service: str = "payments") -> None:
    for number in numbers:
        joined = await intake.accept(
            alert(f"P{number}", service=service, severity=severity, title=f"alarm {number}")
        )
        assert joined.status == "joined"


async def rows(engine: AsyncEngine, statement: str) -> list[tuple[Any, ...]]:
    async with engine.begin() as connection:
        found = await connection.execute(text(statement))
        return [tuple(row) for row in found] if found.returns_rows else []


def notes(play: Play) -> list[str]:
    return [each.text for each in messages(play)[1:]]


def root(play: Play) -> Message:
    return messages(play)[0]


async def test_a_p1_that_joins_is_told_and_others_are_only_listed(engine: AsyncEngine, play: Play) -> None:
    intake, leader = await in_a_thread(engine, play)
    await join(intake, 1, severity="P2")
    await updater(engine, play).run(leader)
    assert notes(play) == []

    await join(intake, 2)
    for _ in range(2):
        await updater(engine, play).run(leader)
    assert notes(play) == [
        "🔴 A P1 incident joined this storm: payments: alarm 2 (it is about payments as well)."
    ]
    assert "P1" in texts(root(play).blocks)[0]


async def test_p1s_that_join_together_are_one_note(engine: AsyncEngine, play: Play) -> None:
    intake, leader = await in_a_thread(engine, play)
    await join(intake, *range(5))
    await updater(engine, play).run(leader)
    assert notes(play) == [
        "🔴 5 P1 incidents joined this storm: payments: alarm 0 (checkout depends on payments); "
        "payments: alarm 1 (it is about payments as well); "
        "payments: alarm 2 (it is about payments as well); and 2 more."
    ]


async def test_a_storm_of_p1s_is_told_in_few_notes(engine: AsyncEngine, play: Play) -> None:
    intake, leader = await in_a_thread(engine, play)
    await rows(engine, "UPDATE procrastinate_jobs SET status = 'succeeded'")
    for number in range(6):
        await join(intake, number)
        await updater(engine, play).run(leader)
    assert len(notes(play)) == 1
    # Those that wait are told by an update of their own, which stands before no other.
    waiting = await rows(
        engine,
        "SELECT priority, scheduled_at - now() BETWEEN interval '5 s' AND interval '60 s'"
        "  FROM procrastinate_jobs WHERE status = 'todo' ORDER BY priority",
    )
    assert waiting == [(0, True), (100, False)]

    for _ in range(2):
        await updater(engine, play, apart_seconds=0).run(leader)
    assert len(notes(play)) == 2
    assert notes(play)[1].startswith("🔴 5 P1 incidents joined this storm: payments: alarm 1 (")


async def test_what_becomes_a_p1_in_a_storm_is_told_too(engine: AsyncEngine, play: Play) -> None:
    intake, leader = await in_a_thread(engine, play)
    await join(intake, 1, severity="P3")
    await updater(engine, play).run(leader)
    again = alert("P1", service="payments", severity="P1", title="much worse")
    assert (await intake.accept(again)).reason == "this incident is open already"
    await updater(engine, play).run(leader)
    assert notes(play) == [
        "🔴 A P1 incident joined this storm: payments: alarm 1 (checkout depends on payments)."
    ]


async def test_nobody_is_woken_for_what_is_over_already(engine: AsyncEngine, play: Play) -> None:
    intake, leader = await in_a_thread(engine, play)
    await join(intake, 1)
    await intake.accept(alert("P1", status="resolved"))
    await updater(engine, play).run(leader)
    assert notes(play) == []
    assert "1 of 2 over" in texts(root(play).blocks)[1]


@pytest.mark.parametrize("dies_at", range(4))
async def test_whoever_dies_on_the_way_a_p1_is_told_once(
    engine: AsyncEngine, play: Play, dies_at: int
) -> None:
    intake, leader = await in_a_thread(engine, play)
    await join(intake, 1)
    died = False
    try:
        await updater(engine, play, dies_at=dies_at).run(leader)
    except Killed:
        died = True
    assert died == (dies_at < 3), "the last of these must live"
    # What it says elsewhere may have changed meanwhile, and more may have come.
    await intake.accept(alert("P1", service="payments", severity="P1", title="alarm 1, still"))
    await join(intake, 2)
    await updater(engine, play).run(leader)
    assert [each for each in notes(play) if "alarm 1" in each] == [notes(play)[0]]
    # Dead before it was said which P1s the note tells of: both; else the second one waits.
    told = 2 if dies_at == 0 else 1
    assert await rows(engine, "SELECT count(told_at) FROM investigations") == [(told,)]


async def test_the_thread_says_why_each_is_in_it_and_is_over_with_the_last(
    engine: AsyncEngine, play: Play
) -> None:
    intake, leader = await in_a_thread(engine, play)
    await join(intake, 1)
    await join(intake, 2, service="stock", severity="P2")
    await intake.accept(alert("Q0", status="resolved"))
    await updater(engine, play).run(leader)

    head, facts, *_, storm = texts(root(play).blocks)
    assert head.startswith("🟠 P1")
    assert "1 of 3 over" in facts
    assert storm.split("\n") == [
        "*3 incidents*, grouped because:",
        "• *P1* payments: alarm 1: checkout depends on payments",
        "• *P2* stock: alarm 2: checkout depends on stock",
        "• ☑️ *P3* High error rate on checkout",
    ]
    for key in ("P1", "P2"):
        await intake.accept(alert(key, status="resolved"))
    await updater(engine, play).run(leader)
    assert texts(root(play).blocks)[0].startswith("☑️")
    assert notes(play)[-1].startswith("✅ Resolved at ")
