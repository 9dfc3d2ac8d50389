"""What is stored of an investigation: fenced by its attempt, read back whole, and remembered."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.accept import accept
from app.conversations.models import Incoming
from app.investigations import afterwards, overview, repository
from app.investigations.evidence import Finding
from app.investigations.intake import Intake
from app.investigations.ledger import InvestigationLedger
from app.investigations.models import Investigation, Place
from app.investigations.queueing import defer_diagnose, queue_diagnosis
from app.storage.engine import begin
from app.storage.errors import StaleAttempt
from tests.investigations.conftest import STARTED, Rows, alert

PLACE = Place("T1", "C1", "100.1")
TTL = 600.0
FINDINGS = (
    Finding(
        "E1", "symptom", "prometheus", "5xx rose to 12 %", "checkout", "rate(…)", 1.0, 2.0, 1.5, "https://p/1"
    ),
    Finding("E2", "change", "argocd", "checkout was deployed at 02:01"),
)


async def begun(engine: AsyncEngine, intake: Intake, key: str = "Q1") -> Investigation:
    accepted = await intake.accept(alert(key))
    return await look(engine, accepted.investigation_id)


async def look(engine: AsyncEngine, investigation_id: UUID | None) -> Investigation:
    assert investigation_id
    async with begin(engine) as connection:
        taken = await repository.begin_look(connection, investigation_id)
    assert taken
    return taken


async def with_thread(engine: AsyncEngine, taken: Investigation, place: Place = PLACE) -> Investigation:
    async with begin(engine) as connection:
        await repository.open_thread(connection, taken, place)
        found = await repository.load(connection, taken.id)
    assert found
    return found


async def diagnosing(engine: AsyncEngine, intake: Intake) -> Investigation:
    taken = await with_thread(engine, await begun(engine, intake))
    async with begin(engine) as connection:
        await defer_diagnose(connection, taken)
        found = await repository.begin_diagnose(connection, taken.id, ttl_seconds=TTL)
    assert found
    return found


async def test_a_look_is_taken_with_all_there_is_to_know(engine: AsyncEngine, intake: Intake) -> None:
    await intake.accept(alert(labels={"env": "prod"}))
    other = alert(
        "G1", source="grafana", title="errors on checkout", started_at=STARTED + timedelta(minutes=1)
    )
    joined = await intake.accept(other)
    taken = await look(engine, joined.investigation_id)

    assert (taken.status, taken.attempt, taken.service_name, taken.severity) == (
        "looking",
        1,
        "checkout",
        "P2",
    )
    assert taken.alert == alert(labels={"env": "prod"})
    assert [each.source for each in taken.incidents] == ["pagerduty", "grafana"]
    assert taken.incidents[1].joined_because == "same service and symptom as PagerDuty incident Q1"
    assert (taken.lock_key, taken.place, taken.leader_id) == ("service:checkout", None, taken.id)


async def test_stages_come_one_after_the_other_and_end_once(engine: AsyncEngine, intake: Intake) -> None:
    taken = await begun(engine, intake)
    async with begin(engine) as connection:
        assert await repository.begin_diagnose(connection, taken.id, ttl_seconds=TTL) is None
        await defer_diagnose(connection, taken)
        assert await repository.begin_look(connection, taken.id) is None
        diagnosis = await repository.begin_diagnose(connection, taken.id, ttl_seconds=TTL)
        assert diagnosis
        assert (diagnosis.status, diagnosis.attempt) == ("diagnosing", 2)
        await repository.finish(connection, diagnosis, "done")
        assert await repository.begin_diagnose(connection, taken.id, ttl_seconds=TTL) is None
        assert await repository.begin_look(connection, taken.id) is None
    async with begin(engine) as connection:
        assert await repository.begin_look(connection, uuid4()) is None
        assert await repository.load(connection, uuid4()) is None


async def test_a_thread_is_a_session_of_the_service_with_a_turn(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    taken = await begun(engine, intake)
    for _ in range(2):  # resumed, it is the same one
        found = await with_thread(engine, taken)
    assert (found.place, found.turn_id) == (PLACE, found.id)
    assert await rows("SELECT thread_ts, lock_key, service_name FROM sessions") == [
        ("100.1", "service:checkout", "checkout")
    ]
    assert await rows("SELECT kind, user_id, message_ts, question, status, attempt FROM turns") == [
        ("alert", "alert", "100.1", "High error rate on checkout", "queued", 0)
    ]


async def test_a_follow_up_in_the_thread_waits_on_the_service(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    await with_thread(engine, await begun(engine, intake))
    question = Incoming(
        team_id="T1",
        channel_id="C1",
        thread_ts="100.1",
        message_ts="100.2",
        user_id="U1",
        text="what about the database?",
        kind="follow_up",
    )
    assert await accept(engine, question)
    assert await rows("SELECT lock, priority FROM procrastinate_jobs WHERE task_name = 'run_turn'") == [
        ("service:checkout", 100)
    ]


async def test_one_attempt_fences_the_investigation_and_its_turn(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    taken = await diagnosing(engine, intake)
    assert await rows("SELECT attempt, status FROM turns") == [(taken.attempt, "running")]
    await rows(
        "INSERT INTO messages (session_id, turn_id, attempt, kind, body) "
        f"SELECT session_id, id, {taken.attempt}, 'model', '{{}}' FROM turns"
    )
    assert await rows("SELECT count(*) FROM messages") == [(1,)]


async def test_results_are_read_back_as_they_were_stored(engine: AsyncEngine, intake: Intake) -> None:
    taken = await begun(engine, intake)
    onset = datetime(2026, 11, 21, 1, 57, tzinfo=UTC)
    async with begin(engine) as connection:
        await repository.save(
            connection,
            taken,
            onset_at=onset,
            observations={"gaps": ["loki"]},
            evidence_brief={"headline": "h\0"},
        )
        await repository.save(connection, taken, brief={"headline": "final"}, report="# Report")
        await repository.save_evidence(connection, taken, FINDINGS)
        await repository.save_evidence(connection, taken, ())
        found = await repository.load(connection, taken.id)
        stored = await repository.load_evidence(connection, taken.id)
    assert found
    assert (found.onset_at, found.observations, found.report) == (onset, {"gaps": ["loki"]}, "# Report")
    assert (found.evidence_brief, found.brief) == ({"headline": "h"}, {"headline": "final"})
    assert stored == FINDINGS


async def test_evidence_found_again_is_replaced(engine: AsyncEngine, intake: Intake) -> None:
    taken = await begun(engine, intake)
    better = Finding("E1", "symptom", "prometheus", "5xx rose to 13 %")
    for findings in (FINDINGS, (better,)):
        async with begin(engine) as connection:
            await repository.save_evidence(connection, taken, findings)
    async with begin(engine) as connection:
        assert await repository.load_evidence(connection, taken.id) == (better, FINDINGS[1])


async def test_only_results_can_be_saved(engine: AsyncEngine, intake: Intake) -> None:
    taken = await begun(engine, intake)
    async with begin(engine) as connection:
        with pytest.raises(TypeError, match="status"):
            await repository.save(connection, taken, status="done")


WRITES = {
    "a result": lambda c, i: repository.save(c, i, report="late"),
    "evidence": lambda c, i: repository.save_evidence(c, i, FINDINGS),
    "a thread": lambda c, i: repository.open_thread(c, i, PLACE),
    "the diagnosis to come": defer_diagnose,
    "the end": lambda c, i: repository.finish(c, i, "done"),
}


@pytest.mark.parametrize("what", WRITES)
async def test_what_a_superseded_attempt_writes_is_refused(
    engine: AsyncEngine, intake: Intake, rows: Rows, what: str
) -> None:
    stale = await begun(engine, intake)
    await look(engine, stale.id)
    with pytest.raises(StaleAttempt):
        async with begin(engine) as connection:
            await WRITES[what](connection, stale)
    assert await rows("SELECT status, attempt, report, session_id FROM investigations") == [
        ("looking", 2, None, None)
    ]
    assert await rows(
        "SELECT (SELECT count(*) FROM evidence) + (SELECT count(*) FROM sessions) + (SELECT count(*) FROM audit_log)"
    ) == [(0,)]


async def test_what_has_ended_is_written_no_more(engine: AsyncEngine, intake: Intake) -> None:
    taken = await begun(engine, intake)
    async with begin(engine) as connection:
        await repository.finish(connection, taken, "failed", error_code="x")
    with pytest.raises(StaleAttempt):
        async with begin(engine) as connection:
            await repository.save_evidence(connection, taken, FINDINGS)


async def test_the_end_is_written_with_its_audit_row(engine: AsyncEngine, intake: Intake, rows: Rows) -> None:
    taken = await diagnosing(engine, intake)
    async with begin(engine) as connection:
        await repository.finish(
            connection,
            taken,
            "done",
            said="payments-db was out of connections",
            confidence=0.8,
            sre_tagged=True,
        )
    assert await rows(
        "SELECT v.status, v.finished_at IS NOT NULL, t.status FROM investigations v JOIN turns t ON t.id = v.turn_id"
    ) == [("done", True, "done")]
    assert await rows(
        "SELECT action, thread_ts, channel_id, service_name, input_text, response_text, confidence, sre_tagged "
        "FROM audit_log WHERE action = 'investigation'"
    ) == [
        (
            "investigation",
            "100.1",
            "C1",
            "checkout",
            "High error rate on checkout",
            "payments-db was out of connections",
            0.8,
            True,
        )
    ]


async def test_a_stage_and_an_update_keep_what_each_has_shown(engine: AsyncEngine, intake: Intake) -> None:
    taken = await begun(engine, intake)
    stage, update = (
        InvestigationLedger(engine, taken.id, taken.attempt),
        InvestigationLedger(engine, taken.id),
    )
    assert await stage.load() == {}
    await stage.save({"messages": {"root": {"ts": "1"}}, "files": [{"key": "a", "at": 1}], "n": 1})
    # Both go on from what they read there.
    await update.save({"messages": {"root": {"ts": "1", "seal": "x"}, "note": {"ts": "2"}}, "n": 2})
    await stage.save({"messages": {"root": {"ts": "1"}, "brief": {"ts": "3"}}, "files": [{"key": "b"}]})
    await stage.save({"files": [{"key": "a", "at": 2}], "new": None})
    assert await update.load() == {
        "messages": {"root": {"ts": "1"}, "note": {"ts": "2"}, "brief": {"ts": "3"}},
        "files": [{"key": "a", "at": 2}, {"key": "b"}],
        "n": 2,
        "new": None,
    }


async def test_a_superseded_stage_shows_nothing_more_but_an_update_does(
    engine: AsyncEngine, intake: Intake
) -> None:
    stale = await begun(engine, intake)
    await look(engine, stale.id)
    with pytest.raises(StaleAttempt):
        await InvestigationLedger(engine, stale.id, stale.attempt).save({"messages": {}})
    await InvestigationLedger(engine, stale.id).save({"messages": {"note": {}}})
    assert await InvestigationLedger(engine, stale.id).load() == {"messages": {"note": {}}}


# -- afterwards -------------------------------------------------------------------------------------------


async def test_the_first_press_of_a_button_stands(engine: AsyncEngine, intake: Intake) -> None:
    taken = await begun(engine, intake)
    async with begin(engine) as connection:
        first = await afterwards.press(
            connection, taken.id, "correct", user_id="U1", said="confirmed this cause"
        )
        second = await afterwards.press(connection, taken.id, "correct", user_id="U2", said="did so too")
        other = await afterwards.press(connection, taken.id, "escalate", user_id="U2", said="escalated this")
        assert await afterwards.press(connection, uuid4(), "correct", user_id="U1", said="x") is None
    assert first == (True, "U1", "confirmed this cause")
    assert second == (False, "U1", "confirmed this cause")
    assert other == (True, "U2", "escalated this")


async def test_another_diagnosis_has_a_turn_of_its_own(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    taken = await diagnosing(engine, intake)
    async with begin(engine) as connection:
        assert await afterwards.reopen(connection, taken.id, priority=100) is None
        await repository.finish(connection, taken, "done")
    async with begin(engine) as connection:
        again = await afterwards.reopen(connection, taken.id, priority=100)
        assert again
        await queue_diagnosis(connection, again, again.priority)
    async with begin(engine) as connection:
        second = await repository.begin_diagnose(connection, taken.id, ttl_seconds=TTL)
    assert second
    assert (second.round, second.status, second.turn_id) == (2, "diagnosing", again.turn_id)
    assert second.turn_id != taken.turn_id
    assert await rows("SELECT status, attempt FROM turns ORDER BY created_at") == [
        ("done", taken.attempt),
        ("running", second.attempt),
    ]
    assert await rows("SELECT priority, lock FROM procrastinate_jobs ORDER BY id DESC LIMIT 1") == [
        (100, "service:checkout")
    ]


async def test_a_person_s_newest_word_on_an_outcome_counts(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    taken = await begun(engine, intake)
    async with begin(engine) as connection:
        for correct, cause in ((True, None), (False, "an expired certificate")):
            await afterwards.add_outcome(
                connection, taken.id, source="modal", user_id="U1", correct=correct, cause=cause
            )
        await afterwards.add_outcome(connection, taken.id, source="button", user_id="U2", correct=True)
    assert await rows("SELECT user_id, correct, cause FROM outcomes ORDER BY user_id") == [
        ("U1", False, "an expired certificate"),
        ("U2", True, None),
    ]


# -- lists ------------------------------------------------------------------------------------------------


async def test_what_waits_is_listed_with_p1_first(engine: AsyncEngine, intake: Intake) -> None:
    for key, severity in (("Q1", "P4"), ("Q2", "P1"), ("Q3", "P2")):
        await intake.accept(alert(key, severity=severity))
    done = await begun(engine, intake, "Q4")
    async with begin(engine) as connection:
        await repository.finish(connection, done, "done")
        waiting = await overview.listed(connection, waiting=True)
        newest = await overview.listed(connection, limit=2)
    assert [each.severity for each in waiting] == ["P1", "P2", "P4"]
    assert [(each.id, each.status, each.incidents) for each in newest][:1] == [(done.id, "done", 1)]
    assert len(newest) == 2


async def test_the_past_of_a_service_prefers_what_people_said(engine: AsyncEngine, intake: Intake) -> None:
    for n in range(3):
        taken = await with_thread(engine, await begun(engine, intake, f"Q{n}"), Place("T1", "C1", f"{n}.0"))
        async with begin(engine) as connection:
            await repository.save(connection, taken, brief={"likely_cause": {"text": f"guess {n}"}})
            if n == 1:
                await afterwards.add_outcome(
                    connection, taken.id, source="modal", user_id="U1", correct=False, cause="the pool"
                )
            if n == 2:
                await afterwards.add_outcome(
                    connection, taken.id, source="button", user_id="U1", correct=True
                )
            await repository.finish(connection, taken, "done")
    await intake.accept(alert("M1", service="mail"))
    now = datetime.now(UTC) + timedelta(minutes=1)
    async with begin(engine) as connection:
        past = await overview.past(connection, "checkout", before=now)
        assert await overview.past(connection, "checkout", before=now, limit=1) == past[:1]
        assert await overview.past(connection, "checkout", before=now - timedelta(days=1)) == ()
    assert [(each.cause, each.told, each.correct, each.place) for each in past] == [
        ("guess 2", False, True, ("T1", "C1", "2.0")),
        ("the pool", True, False, ("T1", "C1", "1.0")),
        ("guess 0", False, None, ("T1", "C1", "0.0")),
    ]


async def test_what_fires_after_its_session_was_removed_is_looked_into_anew(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    await with_thread(engine, await begun(engine, intake))
    async with engine.begin() as connection:
        await connection.execute(text("DELETE FROM sessions"))
    assert await rows("SELECT count(*) FROM investigations") == [(0,)]
    assert (await intake.accept(alert(title="still"))).status == "queued"
    assert await rows("SELECT count(*) FROM incidents") == [(1,)]
