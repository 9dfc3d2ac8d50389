"""An alert becomes a durable investigation: once, whoever says it and however often."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine

from app.investigations import incidents, queueing, repository
from app.investigations.by_hand import open_by_hand
from app.investigations.incidents import Bounds, Opening
from app.investigations.intake import LANES, Intake
from app.investigations.models import Investigation
from app.investigations.thread import headline
from app.investigations.updating import QUIET, notes
from app.storage.engine import begin, create_engine
from app.storage.errors import DatabaseUnavailable
from tests.conftest import execute
from tests.investigations.conftest import STARTED, Rows, alert, intake_on

JOBS = "SELECT task_name, count(*) FROM procrastinate_jobs GROUP BY 1 ORDER BY 1"


async def test_an_alert_becomes_an_incident_an_investigation_and_a_look(intake: Intake, rows: Rows) -> None:
    accepted = await intake.accept(alert())

    assert accepted.status == "queued"
    assert await rows(
        "SELECT source, incident_key, service_name, severity, status, symptom FROM incidents"
    ) == [("pagerduty", "Q1", "checkout", "P2", "open", "errors")]
    assert await rows("SELECT id, service_name, severity, status, priority FROM investigations") == [
        (accepted.investigation_id, "checkout", "P2", "queued", 90)
    ]
    assert await rows(
        "SELECT queue_name, task_name, lock, priority, args->>'investigation_id' FROM procrastinate_jobs"
    ) == [("look", "look", None, 90, str(accepted.investigation_id))]
    assert await rows(
        "SELECT count(*) FROM investigations AS v JOIN procrastinate_jobs AS j ON j.id = v.look_job_id "
        "JOIN incidents AS i ON i.id = v.incident_id AND i.investigation_id = v.id"
    ) == [(1,)]


async def test_twenty_identical_webhooks_at_once_on_two_replicas_are_one(
    engine: AsyncEngine, database_url: str, rows: Rows
) -> None:
    other = create_engine(database_url)
    replicas = (intake_on(engine), intake_on(other))
    answers = await asyncio.gather(*(replicas[n % 2].accept(alert()) for n in range(20)))
    await other.dispose()

    assert sorted(each.status for each in answers) == ["joined"] * 19 + ["queued"]
    assert len({each.investigation_id for each in answers}) == 1
    assert await rows("SELECT count(*) FROM incidents") == [(1,)]
    assert await rows("SELECT count(*) FROM investigations") == [(1,)]
    assert await rows(JOBS) == [("look", 1)]


async def test_forty_at_once_are_stored_in_a_few_statements_and_each_answered_as_if_alone(
    engine: AsyncEngine, rows: Rows
) -> None:
    intake = intake_on(engine)
    keys = [f"Q{number % 20}" for number in range(40)]
    answers = await asyncio.gather(*(intake.accept(alert(incident_key=key, service=key)) for key in keys))

    assert all(each.status in ("queued", "joined") for each in answers)
    assert await rows("SELECT count(*), count(DISTINCT incident_key) FROM incidents") == [(20, 20)]
    stored = dict(await rows("SELECT incident_key, investigation_id FROM incidents"))
    assert [each.investigation_id for each in answers] == [stored[key] for key in keys]


async def test_what_is_answered_is_on_the_disk(database_url: str) -> None:
    # The server of the tests waits for no disk.
    name = make_url(database_url).database
    await execute(database_url, f"ALTER DATABASE {name} SET synchronous_commit = on")
    engine = create_engine(database_url)

    async def ask(what: str) -> Any:
        async with begin(engine) as connection:
            return (await connection.execute(text(f"SELECT {what}"))).scalar_one()

    for number in range(5):
        before = await ask("pg_current_wal_insert_lsn()::text")
        await intake_on(engine).accept(alert(incident_key=f"Q{number}", service=f"s{number}"))
        assert await ask(f"pg_current_wal_flush_lsn() > CAST('{before}' AS pg_lsn)")
    await engine.dispose()


async def test_one_that_cannot_be_stored_takes_no_other_with_it(engine: AsyncEngine, rows: Rows) -> None:
    intake = intake_on(engine)
    await rows("ALTER TABLE incidents ADD CHECK (incident_key <> 'refused')")
    good = [alert(incident_key=f"Q{number}", service=f"s{number}") for number in range(6)]
    found = await asyncio.gather(
        *(intake.accept(each) for each in (*good[:3], alert(incident_key="refused"), *good[3:])),
        return_exceptions=True,
    )
    assert [isinstance(each, Exception) for each in found] == [False] * 3 + [True] + [False] * 3
    assert await rows("SELECT count(*) FROM incidents") == [(6,)]


async def test_what_fires_again_joins_and_brings_its_news(intake: Intake, rows: Rows) -> None:
    first = await intake.accept(alert())
    again = await intake.accept(alert(title="Very high error rate", severity="P1"))

    assert (again.status, again.investigation_id) == ("joined", first.investigation_id)
    assert await rows("SELECT title, severity, fires, alert->>'severity' FROM incidents") == [
        ("Very high error rate", "P1", 2, "P1")
    ]
    assert await rows("SELECT severity, priority FROM investigations") == [("P1", 100)]
    assert await rows("SELECT task_name, priority FROM procrastinate_jobs ORDER BY id") == [
        ("look", 100),
        ("update_incident", 100),
    ]


async def test_a_severity_is_never_lowered_while_it_burns(intake: Intake, rows: Rows) -> None:
    await intake.accept(alert(severity="P1"))
    await intake.accept(alert(severity="P4"))
    assert await rows("SELECT severity FROM incidents") == [("P1",)]
    assert await rows("SELECT severity, priority FROM investigations") == [("P1", 100)]


async def test_a_redelivery_counts_as_nothing_new(intake: Intake, rows: Rows) -> None:
    for _ in range(3):
        await intake.accept(alert())
    assert await rows("SELECT fires FROM incidents") == [(1,)]


async def test_what_is_over_closes_and_its_thread_is_told_once(intake: Intake, rows: Rows) -> None:
    first = await intake.accept(alert())
    for _ in range(2):
        over = await intake.accept(alert(status="resolved"))
        assert (over.status, over.investigation_id) == ("joined", first.investigation_id)

    assert await rows("SELECT status, resolved_at IS NOT NULL FROM incidents") == [("resolved", True)]
    assert await rows("SELECT status, resolved_at IS NOT NULL FROM investigations") == [("queued", True)]
    assert await rows(JOBS) == [("look", 1), ("update_incident", 1)]


async def test_a_new_fire_after_the_end_is_a_new_incident(intake: Intake, rows: Rows) -> None:
    first = await intake.accept(alert())
    await intake.accept(alert(status="resolved"))
    second = await intake.accept(alert(started_at=STARTED + timedelta(minutes=30)))

    assert second.status == "queued"
    assert second.investigation_id != first.investigation_id
    assert await rows("SELECT status FROM incidents ORDER BY id") == [("resolved",), ("open",)]


async def test_old_news_delivered_again_neither_opens_nor_closes(intake: Intake, rows: Rows) -> None:
    first = await intake.accept(alert())
    await intake.accept(alert(status="resolved"))
    late = await intake.accept(alert())
    assert (late.status, late.investigation_id) == ("joined", first.investigation_id)
    assert await rows("SELECT count(*) FROM incidents") == [(1,)]

    await intake.accept(alert(started_at=STARTED + timedelta(minutes=30)))
    await intake.accept(alert(status="resolved"))
    assert await rows("SELECT status FROM incidents ORDER BY id") == [("resolved",), ("open",)]


async def test_word_for_word_the_same_a_day_later_is_news(intake: Intake, rows: Rows) -> None:
    await intake.accept(alert())
    await intake.accept(alert(status="resolved"))
    await rows("UPDATE incidents SET resolved_at = now() - interval '25 hours'")
    assert (await intake.accept(alert())).status == "queued"
    await intake.accept(alert(status="resolved"))
    assert await rows("SELECT DISTINCT status FROM incidents") == [("resolved",)]


@pytest.mark.parametrize("status", ["resolved", "acknowledged"])
async def test_the_end_of_what_never_began_is_ignored(intake: Intake, rows: Rows, status: str) -> None:
    answer = await intake.accept(alert(status=status))
    assert (answer.status, answer.investigation_id) == ("ignored", None)
    assert answer.reason == "no incident of that key is known"
    assert await rows("SELECT count(*) FROM incidents") == [(0,)]


async def test_an_acknowledgement_is_stored_and_told(intake: Intake, rows: Rows) -> None:
    await intake.accept(alert())
    for _ in range(2):
        assert (await intake.accept(alert(status="acknowledged"))).status == "joined"
    assert await rows("SELECT status, acknowledged_at IS NOT NULL FROM incidents") == [("acknowledged", True)]
    assert await rows(JOBS) == [("look", 1), ("update_incident", 1)]
    await intake.accept(alert())  # the first one, delivered again
    assert await rows("SELECT status FROM incidents") == [("acknowledged",)]


async def test_what_burns_on_after_it_was_acknowledged_is_open_again(intake: Intake, rows: Rows) -> None:
    await intake.accept(alert())
    await intake.accept(alert(status="acknowledged"))
    await rows("UPDATE procrastinate_jobs SET status = 'succeeded'")
    assert (await intake.accept(alert(annotations={"event": "unacknowledged"}))).status == "joined"
    assert await rows("SELECT status, fires FROM incidents") == [("open", 2)]
    assert await rows("SELECT task_name FROM procrastinate_jobs WHERE status = 'todo'") == [
        ("update_incident",)
    ]


async def test_a_resolution_note_is_kept_as_the_outcome(intake: Intake, rows: Rows) -> None:
    await intake.accept(alert())
    note = "Rolled back 4f1c; password=hunter2-very-long was in it"
    await intake.accept(alert(status="resolved", note=note))
    [(source, cause, correct)] = await rows("SELECT source, cause, correct FROM outcomes")
    assert (source, correct) == ("resolution_note", None)
    assert cause.startswith("Rolled back 4f1c")
    assert "hunter2" not in cause


SEVERITIES = [
    ({"severity": "P4", "service": "payments"}, "P4"),
    ({"severity": None, "service": "payments"}, "P1"),
    ({"severity": None, "service": "Payments"}, "P1"),
    ({"severity": None, "service": "checkout"}, "P3"),
    ({"severity": None, "service": None}, "P3"),
]


@pytest.mark.parametrize(("said", "severity"), SEVERITIES)
def test_a_severity_is_the_alert_s_else_the_registry_s(
    intake: Intake, said: dict[str, Any], severity: str
) -> None:
    assert intake.delivery(alert(**said)).severity == severity


NAMES = [("shop-checkout", "checkout"), ("Checkout", "checkout"), ("unheard-of", "unheard-of"), (None, None)]


@pytest.mark.parametrize(("said", "known"), NAMES)
def test_a_service_gets_its_name_in_the_catalog_else_keeps_its_own(
    intake: Intake, said: str | None, known: str | None
) -> None:
    assert intake.delivery(alert(service=said)).service == known


@pytest.mark.slow
async def test_a_replica_that_is_stopped_in_the_middle_holds_nobody_up(
    intake: Intake, engine: AsyncEngine, rows: Rows
) -> None:
    delivery = intake.delivery(alert("Q1"))
    stopped = await engine.connect()
    await incidents.fires(
        stopped,
        delivery,
        Opening(uuid4(), "{}", queueing.look(uuid4(), 90)),
        Bounds(600, 3600, window_seconds=120, storm_incidents=10),
    )
    assert (await intake.accept(alert("Q2"))).status == "queued"
    await stopped.invalidate()
    await stopped.close()
    assert (await intake.accept(alert("Q1"))).status == "queued"
    assert await rows("SELECT incident_key FROM incidents ORDER BY 1") == [("Q1",), ("Q2",)]


# -- two sources about one thing -------------------------------------------------------------------------


def other_source(key: str = "{}:{alertname=HighErrorRate}", **changes: Any) -> Any:
    values = {"source": "alertmanager", "title": "checkout: 5xx above 5 %", "name": "HighErrorRate"}
    return alert(key, **{**values, "started_at": STARTED + timedelta(minutes=4), **changes})


async def test_another_source_about_the_same_joins_and_says_so(intake: Intake, rows: Rows) -> None:
    first = await intake.accept(alert())
    second = await intake.accept(other_source(severity="P1", service="shop-checkout"))

    assert (second.status, second.investigation_id) == ("joined", first.investigation_id)
    assert second.reason == "joined: same service and symptom as PagerDuty incident Q1"
    assert await rows("SELECT source, joined_because FROM incidents ORDER BY id") == [
        ("pagerduty", None),
        ("alertmanager", "same service and symptom as PagerDuty incident Q1"),
    ]
    assert await rows("SELECT severity FROM investigations") == [("P1",)]
    assert await rows(JOBS) == [("look", 1), ("update_incident", 1)]


NOT_THE_SAME = {
    "another service": {"service": "payments"},
    "no service": {"service": None},
    "another symptom": {"title": "disk almost full", "name": "DiskFull"},
    "no known symptom": {"title": "something odd", "name": "Odd"},
    "too late": {"started_at": STARTED + timedelta(hours=6, minutes=1)},
    "too early": {"started_at": STARTED - timedelta(hours=6, minutes=1)},
    "the same source": {"source": "pagerduty"},
}


@pytest.mark.parametrize("what", NOT_THE_SAME)
async def test_what_only_looks_alike_is_investigated_by_itself(intake: Intake, what: str) -> None:
    first = await intake.accept(alert())
    second = await intake.accept(other_source(**NOT_THE_SAME[what]))
    assert second.status == "queued"
    assert second.investigation_id != first.investigation_id


async def test_without_a_service_nothing_is_taken_for_the_same(intake: Intake) -> None:
    await intake.accept(alert(service=None))
    assert (await intake.accept(other_source(service=None))).status == "queued"


@pytest.mark.parametrize("hours", [-5, 1, 5.9])
async def test_what_still_burns_is_joined_hours_later(intake: Intake, hours: float) -> None:
    first = await intake.accept(alert())
    second = await intake.accept(other_source(started_at=STARTED + timedelta(hours=hours)))
    assert (second.status, second.investigation_id) == ("joined", first.investigation_id)


async def test_what_is_over_is_joined_only_by_what_began_with_it(intake: Intake) -> None:
    first = await intake.accept(alert())
    await intake.accept(alert(status="resolved"))
    later = await intake.accept(other_source("late", started_at=STARTED + timedelta(minutes=11)))
    assert later.status == "queued"
    early = await intake.accept(other_source("early", started_at=STARTED - timedelta(minutes=9)))
    assert early.investigation_id == first.investigation_id


async def test_what_burns_is_joined_rather_than_what_is_over(intake: Intake) -> None:
    burning = await intake.accept(alert())
    over = await intake.accept(alert("Q2", started_at=STARTED + timedelta(minutes=3)))
    await intake.accept(alert("Q2", status="resolved"))
    joined = await intake.accept(other_source())
    assert over.investigation_id != burning.investigation_id
    assert joined.investigation_id == burning.investigation_id


async def test_who_joins_what_was_over_lets_it_burn_on(intake: Intake, rows: Rows) -> None:
    await intake.accept(alert())
    await intake.accept(alert(status="resolved"))
    assert await rows("SELECT resolved_at IS NULL FROM investigations") == [(False,)]
    await intake.accept(other_source())
    assert await rows("SELECT resolved_at IS NULL FROM investigations") == [(True,)]
    await intake.accept(other_source(status="resolved"))
    assert await rows("SELECT resolved_at IS NULL FROM investigations") == [(False,)]


async def test_what_fires_again_after_its_end_is_new_though_another_source_told_of_it_too(
    intake: Intake,
) -> None:
    first = await intake.accept(alert())
    await intake.accept(other_source())
    for over in (alert(status="resolved"), other_source(status="resolved")):
        await intake.accept(over)
    again = await intake.accept(other_source(started_at=STARTED + timedelta(minutes=8)))
    assert again.status == "queued"
    assert again.investigation_id != first.investigation_id


async def test_what_was_opened_by_hand_is_joined_by_nobody(intake: Intake) -> None:
    await open_by_hand(intake, alert())
    assert (await intake.accept(other_source())).status == "queued"


async def test_two_sources_whose_ends_come_at_once_are_over(
    engine: AsyncEngine, database_url: str, rows: Rows
) -> None:
    other = create_engine(database_url)
    for _ in range(10):
        await intake_on(engine).accept(alert())
        await intake_on(engine).accept(other_source())
        await asyncio.gather(
            intake_on(engine).accept(alert(status="resolved")),
            intake_on(other).accept(other_source(status="resolved")),
        )
        assert await rows("SELECT resolved_at IS NOT NULL FROM investigations") == [(True,)]
        await rows("TRUNCATE incidents, investigations CASCADE")
    await other.dispose()


async def test_an_investigation_is_over_with_the_last_of_its_incidents(intake: Intake, rows: Rows) -> None:
    await intake.accept(alert())
    await intake.accept(other_source())
    await intake.accept(alert(status="resolved"))
    assert await rows("SELECT resolved_at IS NULL FROM investigations") == [(True,)]
    await intake.accept(other_source(status="resolved"))
    assert await rows("SELECT resolved_at IS NULL FROM investigations") == [(False,)]


async def test_two_sources_at_once_are_one_investigation(
    engine: AsyncEngine, database_url: str, rows: Rows
) -> None:
    other = create_engine(database_url)
    for _ in range(5):
        await asyncio.gather(intake_on(engine).accept(alert()), intake_on(other).accept(other_source()))
        assert await rows("SELECT count(*) FROM investigations") == [(1,)]
        await rows("TRUNCATE incidents, investigations CASCADE")
    await other.dispose()


# -- what must not be stored, and what must ---------------------------------------------------------------


async def test_secrets_and_unstorable_characters_never_reach_a_table(intake: Intake, rows: Rows) -> None:
    await intake.accept(
        alert(
            title="login failed: password=hunter2-very-long\0",
            service="check\0out",
            labels={"token": "x", "note": "api_key=abcdefgh12345678 \ud83d"},
            annotations={"who": "someone@example.com"},
        )
    )
    [(stored,)] = await rows(
        "SELECT to_jsonb(i)::text || to_jsonb(v)::text FROM incidents i, investigations v"
    )
    assert "hunter2" not in stored
    assert "abcdefgh12345678" not in stored
    assert "someone@example.com" not in stored
    assert '"checkout"' in stored


async def test_a_payload_nobody_understood_is_kept_for_an_hour(intake: Intake, rows: Rows) -> None:
    payload = {"event": {"id": float("nan"), "text": "a\0b \ud83d"}, "list": [1, [2.5]]}
    await intake.reject("datadog", "title: missing", payload)
    [(number,)] = await rows("SELECT id FROM rejected_webhooks")

    kept = await intake.replay(number)
    assert kept is not None
    assert (kept.source, kept.reason) == ("datadog", "title: missing")
    assert kept.payload["event"]["id"] is None
    assert kept.payload["list"] == [1, [2.5]]
    assert await intake.replay(number + 1) is None

    await rows("UPDATE rejected_webhooks SET created_at = now() - interval '61 minutes'")
    assert await intake.replay(number) is None
    await intake.reject("datadog", "title: missing", {})
    assert await rows("SELECT count(*) FROM rejected_webhooks") == [(1,)]


async def test_a_payload_of_any_depth_is_kept(intake: Intake, rows: Rows) -> None:
    payload: Any = "bottom"
    for _ in range(900):
        payload = [payload]
    await intake.reject("gcp", "incident: missing", payload)
    [(number,)] = await rows("SELECT id FROM rejected_webhooks")
    assert await intake.replay(number) is not None


async def test_a_database_that_is_away_takes_nothing() -> None:
    away = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(DatabaseUnavailable):
        await intake_on(away).accept(alert())
    await away.dispose()


# -- ends that come late, are taken back, or never come -----------------------------------------------------


async def test_what_began_after_the_end_of_the_other_is_looked_into_by_itself(
    intake: Intake, rows: Rows
) -> None:
    first = await intake.accept(alert())
    await intake.accept(alert(status="resolved"))
    await rows(f"UPDATE incidents SET resolved_at = timestamptz '{STARTED}' + interval '3 minutes'")
    burns_again = await intake.accept(other_source("later", started_at=STARTED + timedelta(minutes=5)))
    assert burns_again.status == "queued"
    await rows("UPDATE incidents SET status = 'resolved' WHERE incident_key = 'later'")
    same = await intake.accept(
        other_source("same", source="grafana", started_at=STARTED + timedelta(minutes=2))
    )
    assert (same.status, same.investigation_id) == ("joined", first.investigation_id)


@pytest.mark.parametrize(
    ("source", "again"),
    [("alertmanager", "queued"), ("grafana", "queued"), ("pagerduty", "joined"), ("gcp", "joined")],
)
async def test_a_group_that_burns_again_word_for_word_is_looked_into_anew(
    intake: Intake, rows: Rows, source: str, again: str
) -> None:
    """Its sender was cut off from what it hears: it ends the group, and tells of it again as it was."""
    first = await intake.accept(alert(source=source))
    await intake.accept(alert(source=source, status="resolved"))
    late = await intake.accept(alert(source=source))
    assert (late.status, late.reason) == ("joined", "a repeat of an alert that is over")
    await rows("UPDATE incidents SET resolved_at = now() - interval '3 minutes'")
    assert (await intake.accept(alert(source=source))).status == again
    if again == "queued":
        over = await intake.accept(alert(source=source, status="resolved"))
        assert over.reason == "resolved"
        assert over.investigation_id != first.investigation_id
        assert await rows("SELECT DISTINCT status FROM incidents") == [("resolved",)]


async def test_a_storm_that_comes_back_after_its_brief_is_looked_into_anew(
    engine: AsyncEngine, rows: Rows
) -> None:
    intake = intake_on(engine, incidents=2)
    for n in range(4):
        await intake.accept(alert(f"Q{n}"))
    for n in range(4):
        await intake.accept(alert(f"Q{n}", status="resolved"))
    # Its look is still to come: it will show what fires now.
    assert (await intake.accept(alert("Q4"))).status == "joined"
    await intake.accept(alert("Q4", status="resolved"))
    await rows("UPDATE investigations SET finished_at = now(), status = 'done' WHERE storm_id IS NULL")
    again = [await intake.accept(alert(f"Q{n}", started_at=STARTED + timedelta(hours=1))) for n in range(4)]
    assert [each.status for each in again] == ["queued", "joined", "joined", "joined"]
    assert await rows("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'look'") == [(3,)]


LONG_AGO = "UPDATE incidents SET heard_at = now() - interval '{}'"


async def test_what_begins_anew_hours_after_the_last_word_of_it_is_looked_into_anew(
    intake: Intake, rows: Rows
) -> None:
    first = await intake.accept(alert())
    await rows("UPDATE procrastinate_jobs SET status = 'succeeded'")
    await rows(LONG_AGO.format("7 hours"))
    # A repetition of what burns has the start it had.
    still = await intake.accept(alert(title="still"))
    assert still.investigation_id == first.investigation_id
    await rows(LONG_AGO.format("5 hours"))
    soon = await intake.accept(alert(started_at=datetime.now(UTC)))
    assert soon.investigation_id == first.investigation_id

    await rows(LONG_AGO.format("7 hours"))
    anew = await intake.accept(alert(started_at=datetime.now(UTC), title="again"))
    assert anew.status == "queued"
    assert await rows("SELECT status, gone_quiet FROM incidents ORDER BY id") == [
        ("resolved", True),
        ("open", False),
    ]
    waiting = await rows(
        "SELECT task_name, args->>'investigation_id' FROM procrastinate_jobs WHERE status = 'todo'"
    )
    assert set(waiting) == {
        ("look", str(anew.investigation_id)),
        ("update_incident", str(first.investigation_id)),
    }
    assert await rows("SELECT count(*) FROM investigations WHERE resolved_at IS NOT NULL") == [(1,)]


async def test_what_nobody_told_of_for_a_day_is_over_until_its_end_is_told(
    engine: AsyncEngine, intake: Intake, rows: Rows
) -> None:
    first = await intake.accept(alert())
    await intake.accept(alert("Q2", service="mail"))
    await rows(LONG_AGO.format("25 hours"))
    await intake.accept(alert())  # told again, word for word: it burns
    assert await intake.end_quiet() == 1
    assert await intake.end_quiet() == 0
    assert await rows("SELECT incident_key, status, gone_quiet FROM incidents ORDER BY id") == [
        ("Q1", "open", False),
        ("Q2", "resolved", True),
    ]

    await rows(LONG_AGO.format("25 hours"))
    await rows("UPDATE procrastinate_jobs SET status = 'succeeded'")
    assert await intake.end_quiet() == 1
    taken = await loaded(engine, first.investigation_id)
    assert headline(taken).state == "closed"
    assert list(notes(taken).values()) == [QUIET]
    assert await rows("SELECT task_name FROM procrastinate_jobs WHERE status = 'todo'") == [
        ("update_incident",)
    ]

    told = await intake.accept(alert(status="resolved", note="It was the pool."))
    assert told.reason == "resolved"
    taken = await loaded(engine, first.investigation_id)
    assert headline(taken).state == "resolved"
    assert await rows("SELECT cause FROM outcomes") == [("It was the pool.",)]
    assert (await intake.accept(alert(started_at=datetime.now(UTC)))).status == "queued"


async def loaded(engine: AsyncEngine, investigation_id: UUID | None) -> Investigation:
    assert investigation_id
    async with begin(engine) as connection:
        found = await repository.load(connection, investigation_id)
    assert found
    return found


async def test_what_makes_ready_for_alerts_connects_and_stores_nothing(intake: Intake, rows: Rows) -> None:
    await intake.open()
    kept = (
        "SELECT count(*) FROM pg_stat_activity WHERE query = $$CALL incidents_fire(CAST($1 AS jsonb), NULL)$$"
    )
    assert await rows(f"{kept} AND datname = current_database()") == [(LANES,)]
    assert await rows("SELECT count(*) FROM incidents") == await rows("SELECT count(*) FROM investigations")
    assert await rows("SELECT count(*) FROM incidents") == [(0,)]
    assert (await intake.accept(alert())).status == "queued"
