"""The transcript: append-only, fenced by attempt, and bounded by its newest summary."""

from __future__ import annotations

import asyncio
from uuid import UUID

import asyncpg
import pytest
from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse, TextPart, UserPromptPart
from sqlalchemy.ext.asyncio import AsyncEngine

from app.context.models import Source
from app.conversations import repository
from app.conversations.accept import accept
from app.conversations.models import Turn
from app.conversations.transcript import SessionTranscript, Tails
from app.storage.engine import begin
from app.storage.errors import StaleAttempt
from tests.conversations.test_accept import message


async def begun(engine: AsyncEngine, turn_id: UUID) -> Turn:
    async with begin(engine) as connection:
        turn = await repository.begin_turn(connection, turn_id)
    assert turn is not None
    return turn


@pytest.fixture
async def turn(engine: AsyncEngine) -> Turn:
    accepted = await accept(engine, message())
    assert accepted is not None
    return await begun(engine, accepted.turn_id)


def said(text: str) -> ModelMessage:
    return ModelResponse([TextPart(text)])


def texts(history: list[ModelMessage]) -> list[str]:
    return [str(part.content) for row in history for part in row.parts if hasattr(part, "content")]


async def test_rows_come_back_in_the_order_they_were_written(engine: AsyncEngine, turn: Turn) -> None:
    transcript = SessionTranscript(engine, turn)
    assert not await transcript.has_question()
    await transcript.append(ModelRequest([UserPromptPart("what?")]), kind="question")
    await transcript.append(said("that"))
    assert await transcript.has_question()
    assert texts(await SessionTranscript(engine, turn).history()) == ["what?", "that"]


async def test_a_superseded_attempt_can_write_nothing(engine: AsyncEngine, turn: Turn) -> None:
    stale = SessionTranscript(engine, turn)
    await stale.tool_started("c1", "promql", {"q": "up"})
    successor = await begun(engine, turn.id)
    assert successor.attempt == turn.attempt + 1
    with pytest.raises(StaleAttempt):
        await stale.append(said("too late"))
    with pytest.raises(StaleAttempt):
        await stale.tool_finished("c1", result="late", full=None, failed=False, duration_ms=1)
    async with begin(engine) as connection:
        with pytest.raises(StaleAttempt):
            await repository.save_reply_state(connection, turn, "{}")
    assert await SessionTranscript(engine, successor).history() == []


async def test_the_database_refuses_to_rewrite_a_message(
    engine: AsyncEngine, turn: Turn, database_url: str
) -> None:
    await SessionTranscript(engine, turn).append(said("as it was"))
    connection = await asyncpg.connect(database_url)
    with pytest.raises(asyncpg.PostgresError, match="append-only"):
        await connection.execute("UPDATE messages SET kind = 'other'")
    await connection.close()


async def test_a_summary_stands_for_what_it_covers(engine: AsyncEngine, turn: Turn) -> None:
    transcript = SessionTranscript(engine, turn)
    for number in range(5):
        await transcript.append(said(f"m{number}"))
    await transcript.history()
    await transcript.compacted(said("the first three"), 3)
    await transcript.append(said("m5"))
    assert texts(await transcript.history()) == ["the first three", "m3", "m4", "m5"]
    await transcript.compacted(said("nearly all"), 3)
    assert texts(await transcript.history()) == ["nearly all", "m5"]


async def test_a_tool_call_left_unfinished_is_taken_over_and_a_finished_one_kept(
    engine: AsyncEngine, turn: Turn
) -> None:
    source = Source(kind="code", title="main.py", path="main.py")
    first = SessionTranscript(engine, turn)
    await first.tool_started("done", "read", {"path": "a"})
    await first.tool_finished(
        "done", result="text\0", full="all", failed=False, duration_ms=3, sources=[source]
    )
    await first.tool_started("open", "read", {"path": "b"})
    second = SessionTranscript(engine, await begun(engine, turn.id))
    done, left = await second.tool_call("done"), await second.tool_call("open")
    assert done is not None
    assert (done.result, done.sources) == ("text", (source,))
    assert left is not None
    assert left.result is None
    await second.tool_started("open", "read", {"path": "b"})
    await second.tool_finished("open", result="now", full=None, failed=False, duration_ms=1)
    again = await second.tool_call("open")
    assert again is not None
    assert again.result == "now"
    assert await second.tool_call("never") is None


async def test_a_process_that_knows_a_thread_reads_only_what_others_have_added(
    engine: AsyncEngine, turn: Turn, database_url: str
) -> None:
    tails, here = Tails(), SessionTranscript(engine, turn)
    await here.append(said("one"))
    assert texts(await SessionTranscript(engine, turn, tails).history()) == ["one"]
    await SessionTranscript(engine, turn, Tails()).append(said("two, written elsewhere"))
    # What was read before is not read again: it may even be gone.
    connection = await asyncpg.connect(database_url)
    await connection.execute("DELETE FROM messages WHERE body::text LIKE '%\"one\"%'")
    await connection.close()
    assert texts(await SessionTranscript(engine, turn, tails).history()) == ["one", "two, written elsewhere"]


async def test_a_summary_made_elsewhere_replaces_what_is_known(engine: AsyncEngine, turn: Turn) -> None:
    tails, elsewhere = Tails(), SessionTranscript(engine, turn)
    for number in range(4):
        await elsewhere.append(said(f"m{number}"))
    assert len(await SessionTranscript(engine, turn, tails).history()) == 4
    await elsewhere.compacted(said("in short"), 3)
    await elsewhere.append(said("m4"))
    assert texts(await SessionTranscript(engine, turn, tails).history()) == ["in short", "m3", "m4"]
    await elsewhere.append(said("m5"))
    assert texts(await SessionTranscript(engine, turn, tails).history()) == ["in short", "m3", "m4", "m5"]


async def test_what_was_rolled_back_is_not_remembered(engine: AsyncEngine, turn: Turn) -> None:
    tails = Tails()
    transcript = SessionTranscript(engine, turn, tails)
    await transcript.history()
    async with engine.connect() as connection:
        await transcript.add(connection, said("never was"), kind="model")
        await connection.rollback()
    assert await SessionTranscript(engine, turn, tails).history() == []


async def test_a_thread_is_remembered_for_a_while_only(
    engine: AsyncEngine, turn: Turn, database_url: str
) -> None:
    now = [0.0]
    tails = Tails(seconds=60, clock=lambda: now[0])
    await SessionTranscript(engine, turn).append(said("forget me"))
    await SessionTranscript(engine, turn, tails).history()
    connection = await asyncpg.connect(database_url)
    await connection.execute("DELETE FROM messages")
    await connection.close()
    now[0] = 61
    assert await SessionTranscript(engine, turn, tails).history() == []


async def test_a_takeover_waits_for_a_write_that_has_begun(engine: AsyncEngine, turn: Turn) -> None:
    async with begin(engine) as connection:
        await SessionTranscript(engine, turn).add(connection, said("begun before"), kind="model")
        takeover = asyncio.create_task(begun(engine, turn.id))
        await asyncio.sleep(0.2)
        assert not takeover.done()
        # The turn's own saves do not wait for it.
        async with asyncio.timeout(60), begin(engine) as beside:
            await repository.save_reply_state(beside, turn, "{}")
    successor = await takeover
    assert texts(await SessionTranscript(engine, successor).history()) == ["begun before"]
