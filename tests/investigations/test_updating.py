"""A thread is rewritten to what is stored: the headline as things stand, a note for each thing once."""

from __future__ import annotations

import asyncio
import io
from contextlib import ExitStack
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.reply import Ledger
from app.giving_way import MANY, PATIENCE_SECONDS, RightOfWay
from app.investigations import queueing, repository
from app.investigations.intake import Intake
from app.investigations.ledger import InvestigationLedger
from app.investigations.models import Investigation
from app.investigations.thread import headline
from app.investigations.updating import notes
from app.storage.engine import begin
from app.storage.errors import StaleAttempt
from tests.investigations.conftest import Rows, alert
from tests.investigations.stages import updater
from tests.investigations.test_repository import begun, diagnosing, with_thread
from tests.investigations.test_wrapping import Heard, wrapping


async def loaded(engine: AsyncEngine, investigation: Investigation) -> Investigation:
    async with begin(engine) as connection:
        found = await repository.load(connection, investigation.id)
    assert found
    return found


async def test_what_happened_to_the_incident_is_a_note_each(engine: AsyncEngine, intake: Intake) -> None:
    taken = await begun(engine, intake)
    assert notes(taken) == {}
    await intake.accept(alert(status="acknowledged"))
    await intake.accept(alert("G7", source="grafana"))
    await intake.accept(alert(status="resolved"))
    told = list(notes(await loaded(engine, taken)).values())
    assert told[0].startswith("👤 Acknowledged in pagerduty at ")
    assert told[1].startswith("🔗 grafana tells of it too: High error rate on checkout (same service")
    # What a twin's title says later is no news.
    before = notes(await loaded(engine, taken))
    await intake.accept(alert("G7", source="grafana", title="High error rate on checkout, 7 alerts"))
    assert notes(await loaded(engine, taken)).keys() == before.keys()


async def test_what_is_over_reads_so_whatever_its_diagnosis_came_to(
    engine: AsyncEngine, intake: Intake
) -> None:
    taken = await diagnosing(engine, intake)
    await intake.accept(alert(status="resolved"))
    over = await loaded(engine, taken)
    assert headline(over).state == "resolved"
    assert headline(over, state="diagnosed").state == "resolved"
    assert headline(taken, state="diagnosed").state == "diagnosed"


async def test_the_headline_says_whose_cause_it_is_and_how_sure(engine: AsyncEngine, intake: Intake) -> None:
    taken = await diagnosing(engine, intake)

    def said(text: str, model: str | None) -> str:
        told = {"confidence_level": "low", "confidence": 0.2, "likely_cause": {"text": text}, "model": model}
        return headline(taken.model_copy(update={"brief": told})).said

    assert said("The pool.", "claude-haiku-5-5") == "Likely cause (low confidence, 20%): The pool."
    assert said("The pool.", None) == "Likely cause by the evidence alone (low confidence, 20%): The pool."
    assert said("Not established. Nothing fits.", None) == "Likely cause: Not established. Nothing fits."


async def test_stage_and_update_write_the_same_headline(engine: AsyncEngine, intake: Intake) -> None:
    """Else one would take away what the other has written."""
    taken = await with_thread(engine, await begun(engine, intake))
    async with begin(engine) as connection:
        await repository.save(connection, taken, observations={"on_call": "Maya"})
    stored = await loaded(engine, taken)
    assert headline(stored, state="evidence").on_call == "Maya"
    assert headline(stored, state="evidence") == headline(taken, state="evidence", on_call="Maya")


async def test_an_update_behind_a_stage_does_not_wait_in_place_of_another(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    """One that is waiting already may begin before the stage's end is stored."""
    taken = await diagnosing(engine, intake)
    async with begin(engine) as connection:
        await queueing.update_after(connection, taken.id)
        await queueing.update_after(connection, taken.id)
    found = await rows(
        "SELECT lock, queueing_lock FROM procrastinate_jobs WHERE task_name = 'update_incident'"
    )
    assert found == [(f"update:{taken.id}", None)] * 2


@dataclass
class Threads:
    """An incident channel in memory."""

    heard: dict[UUID, Heard] = field(default_factory=dict)

    def thread(self, investigation_id: UUID, channel: str, ledger: Ledger) -> Heard:
        return self.heard.setdefault(investigation_id, Heard())

    async def people(self, emails: object) -> tuple[str, ...]:
        return ()


class Crossing(RightOfWay):
    """While many webhooks come, nobody passes before `expected` steps wait; `passed` are their patiences."""

    def __init__(self, expected: int) -> None:
        super().__init__(sleep=self._all_there)
        self.expected, self.passed = expected, list[float]()

    async def wait(self, patience_seconds: float) -> None:
        self.expected -= 1
        await super().wait(patience_seconds)
        self.passed.append(patience_seconds)

    async def _all_there(self, _: float) -> None:
        while self.expected > 0:
            await asyncio.sleep(0.01)


async def test_the_update_of_a_graver_incident_goes_first(engine: AsyncEngine, intake: Intake) -> None:
    lesser = await intake.accept(alert(severity="P4"))
    graver = await intake.accept(alert("Q2", service="mail", title="No mail leaves", severity="P1"))
    way = Crossing(2)
    updating = updater(engine, Threads(), wrapping(engine, io.StringIO()), way=way)
    with ExitStack() as house:
        for _ in range(MANY):
            house.enter_context(way.first())
        ids = (lesser.investigation_id, graver.investigation_id)
        await asyncio.gather(*(updating.run(str(each)) for each in ids))
    assert way.passed == [PATIENCE_SECONDS["P1"], PATIENCE_SECONDS["P4"]]


async def test_an_update_that_was_taken_over_writes_nothing_any_more(
    engine: AsyncEngine, intake: Intake
) -> None:
    taken = await diagnosing(engine, intake)
    stage = InvestigationLedger(engine, taken.id, taken.attempt)
    ledgers = []
    for _ in range(2):
        async with begin(engine) as connection:
            number = await repository.begin_update(connection, taken.id)
        ledgers.append(InvestigationLedger(engine, taken.id, update=number))
    former, successor = ledgers
    with pytest.raises(StaleAttempt):
        await former.save({"messages": {"root": {"ts": "1"}}})
    await stage.save({"messages": {"final:1": {"ts": "2"}}})
    await successor.save({"messages": {"root": {"ts": "3"}}})
    assert await stage.load() == {"messages": {"final:1": {"ts": "2"}, "root": {"ts": "3"}}}
