"""A message becomes a durable turn: once, in order, and only where the agent takes part."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.accept import accept, stop
from app.conversations.models import Incoming
from app.storage.engine import begin, create_engine
from app.storage.errors import DatabaseUnavailable


def message(ts: str = "100.1", *, thread: str | None = None, **changes: Any) -> Incoming:
    values: dict[str, Any] = {
        "team_id": "T1",
        "channel_id": "C1",
        "thread_ts": thread or ts,
        "message_ts": ts,
        "user_id": "U1",
        "text": "what do I need?",
        "kind": "mention",
    }
    return Incoming(**{**values, **changes})


async def rows(engine: AsyncEngine, statement: str) -> list[tuple[Any, ...]]:
    async with engine.connect() as connection:
        return [tuple(row) for row in await connection.execute(text(statement))]


async def test_a_message_becomes_a_session_a_turn_and_a_job(engine: AsyncEngine) -> None:
    accepted = await accept(engine, message())
    assert accepted is not None
    [(session_id, thread_ts)] = await rows(engine, "SELECT id, thread_ts FROM sessions")
    assert thread_ts == "100.1"
    [(turn_id, status, attempt, question, job_id)] = await rows(
        engine, "SELECT id, status, attempt, question, job_id FROM turns"
    )
    assert (turn_id, status, attempt, question) == (accepted.turn_id, "queued", 0, "what do I need?")
    assert await rows(engine, "SELECT id, task_name, lock, args->>'turn_id' FROM procrastinate_jobs") == [
        (job_id, "run_turn", f"session:{session_id}", str(turn_id))
    ]


async def test_a_message_delivered_ten_times_at_once_is_one_turn(engine: AsyncEngine) -> None:
    accepted = await asyncio.gather(*(accept(engine, message()) for _ in range(10)))
    assert sum(each is not None for each in accepted) == 1
    assert await rows(engine, "SELECT count(*) FROM turns") == [(1,)]
    assert await rows(engine, "SELECT count(*) FROM procrastinate_jobs") == [(1,)]


async def test_two_replicas_take_a_message_once(engine: AsyncEngine, database_url: str) -> None:
    other = create_engine(database_url)
    taken = await asyncio.gather(accept(engine, message()), accept(other, message()))
    await other.dispose()
    assert sum(each is not None for each in taken) == 1


async def test_a_mention_and_its_plain_message_are_one_turn_in_either_order(engine: AsyncEngine) -> None:
    await accept(engine, message("1.0"))
    for first, second in (("mention", "follow_up"), ("follow_up", "mention")):
        ts = f"2.{len(first)}"
        taken = [await accept(engine, message(ts, thread="1.0", kind=kind)) for kind in (first, second)]
        assert [each is not None for each in taken] == [True, False]


async def test_a_follow_up_counts_only_in_a_known_thread(engine: AsyncEngine) -> None:
    assert await accept(engine, message("2.0", thread="1.0", kind="follow_up")) is None
    assert await rows(engine, "SELECT count(*) FROM sessions") == [(0,)]
    await accept(engine, message("1.0"))
    assert await accept(engine, message("2.0", thread="1.0", kind="follow_up")) is not None


async def test_many_first_messages_of_one_thread_share_a_session(engine: AsyncEngine) -> None:
    await asyncio.gather(*(accept(engine, message(f"5.{n}", thread="5.0")) for n in range(8)))
    assert await rows(engine, "SELECT count(*) FROM sessions") == [(1,)]
    assert await rows(engine, "SELECT count(*) FROM turns") == [(8,)]


async def test_secrets_in_a_message_are_never_stored(engine: AsyncEngine) -> None:
    await accept(engine, message(text="why is password=hunter2-very-long refused?"))
    [(question,)] = await rows(engine, "SELECT question FROM turns")
    assert "hunter2" not in question


async def test_a_database_that_is_away_is_said_and_nothing_is_taken() -> None:
    away = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    with pytest.raises(DatabaseUnavailable):
        await accept(away, message())
    await away.dispose()


async def test_stop_marks_what_waits_and_interrupts_what_runs(engine: AsyncEngine) -> None:
    await accept(engine, message("1.0"))
    await accept(engine, message("1.1", thread="1.0"))
    await accept(engine, message("9.0", thread="9.0"))
    async with begin(engine) as connection:
        await connection.execute(
            text("UPDATE turns SET status = 'running', attempt = 1 WHERE message_ts = '1.0'")
        )
        await connection.execute(
            text(
                "UPDATE procrastinate_jobs SET status = 'doing' WHERE id = (SELECT min(id) FROM procrastinate_jobs)"
            )
        )
    assert await stop(engine, team_id="T1", channel_id="C1", thread_ts="1.0", user_id="U2") == 2
    assert await rows(engine, "SELECT message_ts, status, stopped_by FROM turns ORDER BY message_ts") == [
        ("1.0", "running", "U2"),
        ("1.1", "queued", "U2"),
        ("9.0", "queued", None),
    ]
    assert await rows(engine, "SELECT status::text, abort_requested FROM procrastinate_jobs ORDER BY id") == [
        ("doing", True),
        ("todo", False),
        ("todo", False),
    ]
