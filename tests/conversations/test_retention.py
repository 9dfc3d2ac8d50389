"""What is kept for a time only goes; what is in use, still open, or owed to the accounts stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import asyncpg
import psycopg
import pytest
from pydantic_ai.messages import ModelResponse, TextPart
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app.conversations import repository, retention
from app.conversations.accept import accept
from app.conversations.results import StoredResults
from app.conversations.retention import Retention, prune, prune_every_day
from app.conversations.transcript import SessionTranscript
from app.jobs import prune_finished
from app.storage.engine import begin
from tests.conversations.test_accept import message, rows

KEPT = Retention(audit_days=400, transcript_days=180, result_days=30)
TABLES = ("sessions", "turns", "messages", "tool_calls", "feedback", "artifacts")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url)
    await connection.execute("ALTER TABLE sessions DISABLE TRIGGER sessions_touch")
    yield connection
    await connection.close()


async def thread(engine: AsyncEngine, ts: str) -> UUID:
    """A thread with everything a turn leaves behind; the turn's id."""
    accepted = await accept(engine, message(ts))
    assert accepted is not None
    async with begin(engine) as connection:
        turn = await repository.begin_turn(connection, accepted.turn_id)
    assert turn is not None
    transcript = SessionTranscript(engine, turn)
    await transcript.append(ModelResponse([TextPart("what was said")]))
    await transcript.tool_started("c1", "promql", {"q": "up"})
    await transcript.tool_finished("c1", result="1", full=None, failed=False, duration_ms=1)
    async with begin(engine) as connection:
        await repository.save_feedback(connection, turn.id, "U1", helpful=True)
        await connection.exec_driver_sql(
            "INSERT INTO usage (session_id, turn_id, attempt, provider, model, input_tokens, output_tokens) "
            f"VALUES ({turn.session.id}, '{turn.id}', 1, 'anthropic', 'haiku', 10, 2)"
        )
        await connection.exec_driver_sql(
            "INSERT INTO artifacts (session_id, turn_id, file_name, title, media_type, content) "
            f"VALUES ({turn.session.id}, '{turn.id}', 'slo.yaml', 'SLO', 'text/yaml', 'x')"
        )
        end = {"actions": ["message"], "said": "", "confidence": None, "shaped_by": None, "newest": "abc"}
        await repository.end_turn(connection, turn, "done", **end)
    return turn.id


async def used(database: asyncpg.Connection, ts: str, *, days: int) -> None:
    """The thread was used last so many days ago."""
    ago = f"now() - interval '{days} days'"
    await database.execute(
        f"UPDATE turns SET created_at = {ago} WHERE session_id = (SELECT id FROM sessions WHERE thread_ts = $1)",
        ts,
    )
    await database.execute(
        f"UPDATE sessions SET updated_at = {ago}, created_at = {ago} WHERE thread_ts = $1", ts
    )


async def left(engine: AsyncEngine) -> list[str]:
    return [ts for (ts,) in await rows(engine, "SELECT thread_ts FROM sessions ORDER BY id")]


async def investigated(database: asyncpg.Connection, ts: str, *, status: str = "done") -> None:
    """An investigation of which the thread shows the end; its incident is not over."""
    await database.execute(
        "WITH incident AS (INSERT INTO incidents (source, incident_key, title, severity, alert, started_at) "
        "VALUES ('pagerduty', 'Q1', 'Errors', 'P2', '{}', now()) RETURNING id), one AS ("
        "INSERT INTO investigations (id, incident_id, session_id, turn_id, status, report, finished_at) "
        "SELECT gen_random_uuid(), incident.id, turns.session_id, turns.id, $2, 'found out', now() "
        "FROM incident, turns JOIN sessions ON sessions.id = turns.session_id WHERE thread_ts = $1 "
        "RETURNING id) SELECT 1",
        ts,
        status,
    )
    await database.execute(
        "UPDATE incidents SET investigation_id = (SELECT id FROM investigations WHERE incident_id = incidents.id)"
    )


async def test_a_thread_nobody_used_for_long_goes_with_all_that_was_said_in_it(
    engine: AsyncEngine, database: asyncpg.Connection
) -> None:
    await thread(engine, "1.1")
    await used(database, "1.1", days=181)
    await thread(engine, "2.2")
    await used(database, "2.2", days=179)

    with capture_logs() as logs:
        assert await prune(engine, KEPT)

    assert await left(engine) == ["2.2"]
    for table in TABLES:
        assert await rows(engine, f"SELECT count(*) FROM {table}") == [(1,)], table
    [line] = [line for line in logs if line["event"] == "retention"]
    assert (line["sessions_removed"], line["audit_rows_removed"]) == (1, 0)


async def test_what_was_spent_in_it_stays_in_the_accounts(
    engine: AsyncEngine, database: asyncpg.Connection
) -> None:
    await thread(engine, "1.1")
    await used(database, "1.1", days=181)

    assert await prune(engine, KEPT)

    assert await rows(engine, "SELECT session_id, turn_id, input_tokens FROM usage") == [(None, None, 10)]
    assert await rows(engine, "SELECT count(*) FROM audit_log WHERE action = 'tool_call'") == [(1,)]


@pytest.mark.parametrize(
    "newer",
    ["UPDATE turns SET created_at = now(), status = 'failed'", "UPDATE turns SET status = 'queued'"],
    ids=["asked in of late", "waiting"],
)
async def test_a_thread_with_a_turn_that_waits_or_came_of_late_stays(
    engine: AsyncEngine, database: asyncpg.Connection, newer: str
) -> None:
    await thread(engine, "1.1")
    await used(database, "1.1", days=500)
    await database.execute(newer)

    assert await prune(engine, KEPT)

    assert await left(engine) == ["1.1"]


async def test_the_thread_of_an_open_investigation_stays_until_it_is_over_and_its_report_for_good(
    engine: AsyncEngine, database: asyncpg.Connection
) -> None:
    await thread(engine, "1.1")
    await used(database, "1.1", days=500)
    await investigated(database, "1.1")

    assert await prune(engine, KEPT)
    assert await left(engine) == ["1.1"]

    await database.execute("UPDATE incidents SET status = 'resolved'")
    await database.execute("UPDATE investigations SET status = 'diagnosing', finished_at = NULL")
    assert await prune(engine, KEPT)
    assert await left(engine) == ["1.1"]

    await database.execute("UPDATE investigations SET status = 'done', finished_at = now()")
    assert await prune(engine, KEPT)
    assert await left(engine) == []
    assert await rows(engine, "SELECT session_id, turn_id, report FROM investigations") == [
        (None, None, "found out")
    ]


async def test_many_threads_and_rows_go_batch_by_batch(
    engine: AsyncEngine, database: asyncpg.Connection
) -> None:
    await database.execute(
        "INSERT INTO sessions (team_id, channel_id, thread_ts, created_at, updated_at) "
        "SELECT 'T1', 'C1', n::text, now() - interval '2 years', "
        "now() - CASE WHEN n % 2 = 0 THEN interval '1 year' ELSE interval '1 day' END "
        "FROM generate_series(1, 250) AS n"
    )
    await database.execute(
        "INSERT INTO audit_log (action, created_at) "
        "SELECT 'message', now() - make_interval(days => CASE WHEN n > 12 THEN 401 ELSE 399 END) "
        "FROM generate_series(1, 12012) AS n"
    )
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    assert await prune(engine, KEPT, sleep=sleep)

    assert [int(ts) for ts in await left(engine)] == list(range(1, 251, 2))
    assert await rows(engine, "SELECT count(*) FROM audit_log WHERE action = 'message'") == [(12,)]
    said = await rows(engine, "SELECT input_text FROM audit_log WHERE action = 'retention' ORDER BY id")
    assert said == [(f"{n} rows older than 400 days",) for n in (5000, 5000, 2000)]
    assert len(pauses) == 4


async def test_a_batch_holds_no_more_threads_than_messages_allow(
    engine: AsyncEngine, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of these threads has one message, and two are allowed."""
    monkeypatch.setattr(retention, "MESSAGES_AT_ONCE", 2)
    for n in range(1, 6):
        await thread(engine, f"{n}.1")
        await used(database, f"{n}.1", days=500 - n)
    left_behind: list[int] = []

    async def sleep(_: float) -> None:
        left_behind.append(len(await left(engine)))

    assert await prune(engine, KEPT, sleep=sleep)

    assert left_behind == [3, 1]
    assert await left(engine) == []


async def test_whole_results_go_before_the_threads_and_the_digests_stay(
    engine: AsyncEngine, database: asyncpg.Connection
) -> None:
    for ts in ("1.1", "2.2"):
        await thread(engine, ts)
    await database.execute("ALTER TABLE tool_calls DISABLE TRIGGER ALL")
    await database.execute("UPDATE tool_calls SET result_full = 'the whole of it'")
    await database.execute(
        "UPDATE tool_calls SET started_at = now() - interval '31 days' WHERE session_id = 1"
    )
    await database.execute("ALTER TABLE tool_calls ENABLE TRIGGER ALL")

    assert await prune(engine, KEPT)

    assert await rows(engine, "SELECT result, result_full FROM tool_calls ORDER BY id") == [
        ("1", ""),
        ("1", "the whole of it"),
    ]
    results = StoredResults(engine)
    assert await results.full("c1", 1) is None
    assert await results.full("c1", 2) == "the whole of it"


async def test_letting_a_result_go_is_all_that_the_fence_lets_through(
    engine: AsyncEngine, database: asyncpg.Connection
) -> None:
    await thread(engine, "1.1")
    for change in ("result_full = 'other'", "result_full = '', finished_at = now()", "result_full = NULL"):
        with pytest.raises(asyncpg.PostgresError, match="is not the one that runs"):
            await database.execute(f"UPDATE tool_calls SET {change}")


async def test_it_goes_on_where_a_process_that_died_left_it(
    engine: AsyncEngine, database: asyncpg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MESSAGES_AT_ONCE", 1)
    for n in range(1, 4):
        await thread(engine, f"{n}.1")
        await used(database, f"{n}.1", days=500)

    async def dies(_: float) -> None:
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await prune(engine, KEPT, sleep=dies)
    assert len(await left(engine)) == 2
    assert await prune(engine, KEPT, sleep=asyncio.sleep)
    assert await left(engine) == []


async def test_finished_jobs_go_after_a_day_however_many_there_are(
    engine: AsyncEngine, database: asyncpg.Connection, database_url: str
) -> None:
    for n in range(5):
        await thread(engine, f"{n}.1")
    await database.execute("UPDATE procrastinate_jobs SET status = 'succeeded' WHERE id < 5")
    await database.execute(
        "UPDATE procrastinate_events SET at = now() - interval '25 hours' WHERE job_id <> 1"
    )

    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as connection:
        assert await prune_finished(connection, most=2) == 3

    assert await rows(engine, "SELECT id FROM procrastinate_jobs ORDER BY id") == [(1,), (5,)]


async def test_one_replica_does_it_and_leaves_what_somebody_is_writing_to(
    engine: AsyncEngine, database: asyncpg.Connection, database_url: str
) -> None:
    for ts in ("1.1", "2.2"):
        await thread(engine, ts)
        await used(database, ts, days=500)
    other = await asyncpg.connect(database_url)
    async with other.transaction():
        await other.execute(str(retention.LOCK))
        assert not await prune(engine, KEPT)
    assert await left(engine) == ["1.1", "2.2"]

    async with other.transaction():
        await other.execute("SELECT 1 FROM sessions WHERE thread_ts = '2.2' FOR KEY SHARE")
        assert await prune(engine, KEPT)
    assert await left(engine) == ["2.2"]
    await other.close()


async def test_it_is_done_at_once_and_every_day_and_sooner_when_it_went_wrong(
    engine: AsyncEngine, database: asyncpg.Connection
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 1:
            await thread(engine, "1.1")
            await used(database, "1.1", days=500)
            await database.execute("ALTER TABLE usage RENAME TO elsewhere")
        if len(waits) == 2:
            await database.execute("ALTER TABLE elsewhere RENAME TO usage")
        if len(waits) == 3:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await prune_every_day(engine, KEPT, sleep=sleep)

    assert waits == [86_400.0, 3_600.0, 86_400.0]
    assert await left(engine) == []
