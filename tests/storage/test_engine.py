"""What goes into the database comes out as it was, but for the one character it refuses."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage.engine import as_json, autocommit, begin, create_engine, straight
from app.storage.errors import DatabaseUnavailable


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("a\0b", "ab"),
        ("a\\u0000b", "a\\u0000b"),
        ("a\\\0b", "a\\b"),
        ("\0\0", ""),
        ("ümlaut 🙂", "ümlaut 🙂"),
    ],
)
def test_only_nul_itself_is_left_out(given: str, stored: str) -> None:
    assert json.loads(as_json({"text": given})) == {"text": stored}


async def test_a_statement_that_goes_straight_tells_what_the_driver_knows(engine: AsyncEngine) -> None:
    assert await straight(engine, "SELECT CAST($1 AS jsonb)", '{"a": 1}') == '{"a": 1}'
    assert await straight(engine, "SELECT $1 || $2", "a", "b") == "ab"


async def test_statements_that_go_straight_keep_as_many_connections_as_are_used_at_once(
    engine: AsyncEngine,
) -> None:
    async def used(at_once: int) -> set[int]:
        asked = [straight(engine, "SELECT pg_backend_pid() FROM pg_sleep(0.05)") for _ in range(at_once)]
        return set(await asyncio.gather(*asked))

    three = await used(3)
    assert len(three) == 3
    assert await used(2) < three


async def test_a_connection_that_was_ended_meanwhile_is_replaced(engine: AsyncEngine) -> None:
    before = await straight(engine, "SELECT pg_backend_pid()")
    await _ended(engine, before)
    assert await straight(engine, "SELECT pg_backend_pid()") != before


async def test_a_connection_that_ends_under_a_statement_is_a_database_that_is_away(
    engine: AsyncEngine,
) -> None:
    asked = asyncio.create_task(straight(engine, "SELECT pg_backend_pid() FROM pg_sleep(60)"))
    while not (pid := await straight(engine, SLEEPS)):
        await asyncio.sleep(0.01)
    await _ended(engine, pid)
    with pytest.raises(DatabaseUnavailable):
        await asked
    assert await straight(engine, "SELECT 1") == 1


async def test_a_value_that_cannot_be_sent_is_no_outage(engine: AsyncEngine) -> None:
    with pytest.raises(asyncpg.DataError):
        await straight(engine, "SELECT CAST($1 AS int)", "three")
    assert await straight(engine, "SELECT 1") == 1


async def test_with_the_engine_end_its_kept_connections(engine: AsyncEngine, database_url: str) -> None:
    other = create_engine(database_url)
    pid = await straight(other, "SELECT pg_backend_pid()")
    await other.dispose()
    while await straight(engine, LIVES, pid):
        await asyncio.sleep(0.01)
    assert await straight(other, "SELECT pg_backend_pid()") != pid
    await other.dispose()


# Each in a transaction of its own: within one the server tells the same again.
SLEEPS = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
LIVES = "SELECT 1 FROM pg_stat_activity WHERE pid = $1"


async def _ended(engine: AsyncEngine, pid: int) -> None:
    async with begin(engine) as connection:
        await connection.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
    async with autocommit(engine) as connection:
        while (await connection.execute(STILL_LIVES, {"pid": pid})).scalar():
            await asyncio.sleep(0.01)


STILL_LIVES = text(LIVES.replace("$1", ":pid"))
