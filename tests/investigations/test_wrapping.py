"""How an investigation ends: a report, its line, one audit row, whatever it came to."""

from __future__ import annotations

import io
import json
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.escalation.escalation import Escalation
from app.investigations import afterwards, recording, repository
from app.investigations.brief import Brief, Cited
from app.investigations.diagnose import Outcome
from app.investigations.intake import Intake
from app.investigations.intents import StoredIntents
from app.investigations.models import Investigation
from app.investigations.queueing import defer_diagnose
from app.investigations.surface import Headline, Opened, Told
from app.investigations.thread import headline
from app.investigations.wrapping import DEEPER_EXPIRED, Wrapping
from app.settings import Settings
from app.storage.engine import begin
from app.storage.errors import StaleAttempt
from app.tools.masking import mask
from tests.investigations.cases import FINDINGS
from tests.investigations.conftest import STARTED, Rows, alert
from tests.investigations.test_repository import diagnosing, look, with_thread

BRIEF = Brief(
    headline="checkout fails",
    impact=Cited(text="Buyers cannot pay.", evidence=("E1",)),
    since="02:01 UTC",
    likely_cause=Cited(text="The deploy of 02:00.", evidence=("E1", "E2")),
    confidence_level="high",
    confidence=0.8,
)


NOBODY = "Nobody was called: set PAGERDUTY_API_TOKEN to a token that may write, to escalate incidents of PagerDuty's own."


class Heard:
    """A thread in memory: what was noted in it."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.waiting: list[str] = []

    async def open(self, headline: Headline) -> Opened:
        return Opened("T1", "C1", "100.1")

    async def headline(self, headline: Headline) -> None: ...

    async def evidence_brief(self, told: Told) -> None: ...

    async def all_evidence(self, told: Told) -> None: ...

    async def chart(self, png: bytes, alt: str) -> None: ...

    async def final_brief(self, told: Told, *, round: int = 1) -> None: ...

    async def failed(self, reason: str, **_: object) -> None: ...

    async def note(self, sentence: str, *, key: str = "", calls: bool = False) -> None:
        self.notes.append(sentence)

    async def waits(self, sentence: str, *, round: int = 1) -> None:
        self.waiting.append(sentence)

    async def waited(self, sentence: str, *, round: int = 1) -> None:
        if self.waiting:
            self.waiting.append(sentence)

    async def attach(self, file_name: str, title: str, content: bytes) -> None: ...


def wrapping(engine: AsyncEngine, out: io.StringIO, folder: Path | None = None) -> Wrapping:
    settings = Settings.load(env_file=None).escalation

    def escalation(key: UUID) -> Escalation:
        return Escalation(settings, StoredIntents(engine, key), mask=mask)

    return Wrapping(engine, escalation, folder=folder, out=lambda: out)


async def shown() -> bool:
    return True


async def concluded(taken: Investigation, given: Wrapping, outcome: Outcome) -> None:
    await given.done(taken, Heard(), outcome, STARTED, shown())


async def test_a_diagnosis_ends_in_a_report_a_file_a_line_and_one_audit_row(
    engine: AsyncEngine, intake: Intake, rows: Rows, tmp_path: Path
) -> None:
    out = io.StringIO()
    taken = await diagnosing(engine, intake)
    await concluded(taken, wrapping(engine, out, tmp_path), Outcome(BRIEF, FINDINGS))
    [(report, status)] = await rows("SELECT report, status FROM investigations")
    assert status == "done"
    assert "## Token Usage" in report
    [file] = tmp_path.iterdir()
    assert file.read_text() == report
    name, _, told = out.getvalue().partition(" ")
    assert name == "INCIDENT_REPORT"
    assert json.loads(told)["file"] == file.name
    assert await rows("SELECT confidence FROM audit_log WHERE action = 'investigation'") == [(0.8,)]


async def test_what_ran_out_of_budget_says_so_in_its_report(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    taken = await diagnosing(engine, intake)
    spent = Outcome(BRIEF, FINDINGS, failure="Gone.", over_budget="Gone.", why="budget")
    await concluded(taken, wrapping(engine, io.StringIO()), spent)
    [(report,)] = await rows("SELECT report FROM investigations")
    assert "Budget Exceeded: yes" in report


async def test_a_failure_ends_in_a_report_too(engine: AsyncEngine, intake: Intake, rows: Rows) -> None:
    out, thread = io.StringIO(), Heard()
    taken = await diagnosing(engine, intake)
    await wrapping(engine, out).failed(taken, thread, "Something on my side broke.", "failure", shown())
    [(report, status)] = await rows("SELECT report, status FROM investigations")
    assert status == "failed"
    assert "Something on my side broke." in report
    assert '"status": "failed"' in out.getvalue()
    assert thread.notes == [f"{NOBODY} The automatic diagnosis failed."]
    assert thread.notes[0] in report


async def test_a_folder_that_cannot_be_written_costs_no_investigation_its_end(
    engine: AsyncEngine, intake: Intake, rows: Rows, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    taken = await diagnosing(engine, intake)
    await concluded(taken, wrapping(engine, io.StringIO(), tmp_path / "taken"), Outcome(BRIEF, FINDINGS))
    assert await rows("SELECT status FROM investigations") == [("done",)]


async def test_a_worker_that_was_overtaken_ends_nothing(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    out = io.StringIO()
    taken = await diagnosing(engine, intake)
    async with begin(engine) as connection:
        await repository.begin_diagnose(connection, taken.id, ttl_seconds=600)
    with pytest.raises(StaleAttempt):
        await concluded(taken, wrapping(engine, out), Outcome(BRIEF, FINDINGS))
    assert out.getvalue() == ""
    assert await rows("SELECT status FROM investigations") == [("diagnosing",)]
    assert await rows("SELECT count(*) FROM audit_log WHERE action = 'investigation'") == [(0,)]


async def test_what_came_of_calling_people_is_in_every_record_of_it(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    taken, thread = await diagnosing(engine, intake), Heard()
    unsure = Outcome(BRIEF, FINDINGS, why="low_confidence")
    await wrapping(engine, io.StringIO()).done(taken, thread, unsure, STARTED, shown())
    told = f"{NOBODY} The automatic diagnosis is not sure of the cause."
    assert thread.notes == [told]
    assert (await recording.finished(engine, taken.id)).escalations == (told,)
    assert await rows("SELECT action FROM audit_log WHERE sre_tagged ORDER BY action") == [
        ("investigation",),
        ("sre_tagged",),
    ]


async def test_nobody_is_called_about_what_is_over(engine: AsyncEngine, intake: Intake, rows: Rows) -> None:
    accepted = await intake.accept(alert("A1", source="alertmanager"))
    taken = await with_thread(engine, await look(engine, accepted.investigation_id))
    async with begin(engine) as connection:
        await defer_diagnose(connection, taken)
        mine = await repository.begin_diagnose(connection, taken.id, ttl_seconds=600)
    assert mine
    await intake.accept(alert("A1", source="alertmanager", status="resolved"))
    thread = Heard()
    unsure = Outcome(BRIEF, FINDINGS, why="low_confidence")
    await wrapping(engine, io.StringIO()).done(mine, thread, unsure, STARTED, shown())
    assert thread.notes == []
    assert await rows("SELECT status, escalations FROM investigations") == [("done", {})]


async def test_a_deeper_look_that_waits_too_long_leaves_what_was_concluded(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    taken, given, thread = await diagnosing(engine, intake), wrapping(engine, io.StringIO()), Heard()
    sure = Outcome(BRIEF.model_copy(update={"model": "claude-haiku-5-5"}), FINDINGS)
    async with begin(engine) as connection:
        await repository.save(connection, taken, brief=sure.stored(1))
    await concluded(taken, given, sure)
    async with begin(engine) as connection:
        await afterwards.reopen(connection, taken.id, priority=100)
        mine = await repository.begin_diagnose(connection, taken.id, ttl_seconds=-1)
    assert mine
    await given.expired(mine, thread)
    assert thread.notes == [DEEPER_EXPIRED]
    async with begin(engine) as connection:
        found = await repository.load(connection, taken.id)
    assert found
    assert (found.status, headline(found).state) == ("expired", "diagnosed")
    assert found.report
    assert "The deeper look failed" in found.report
    assert BRIEF.headline in found.report


async def test_a_line_that_nobody_reads_costs_no_investigation_its_end(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    closed = io.StringIO()
    closed.close()
    await concluded(await diagnosing(engine, intake), wrapping(engine, closed), Outcome(BRIEF, FINDINGS))
    assert await rows("SELECT status FROM investigations") == [("done",)]
