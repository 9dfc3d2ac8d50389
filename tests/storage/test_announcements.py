"""What one process announces all others hear, once it is committed, and whatever became of their connections."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage.announcements import Announcements, announce
from app.storage.engine import begin, create_engine
from tests.conftest import address, execute

CHANNEL = "changed"
CUT_OFF = text(
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
    "WHERE datname = current_database() AND query LIKE 'LISTEN%'"
)


class Process:
    """One that listens and writes down what it hears; the word "trouble" is too much for it."""

    def __init__(self, url: str) -> None:
        self.heard: asyncio.Queue[str] = asyncio.Queue()
        self.missed = asyncio.Event()
        self.announcements = Announcements(url, CHANNEL, heard=self._hear, missed=self.missed.set)

    async def _hear(self, said: str) -> None:
        if said == "trouble":
            raise ValueError(said)
        self.heard.put_nowait(said)

    async def next(self) -> str:
        return await asyncio.wait_for(self.heard.get(), 60)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, pool_size=2)
    yield engine
    await engine.dispose()


@pytest.fixture
async def processes(database_url: str) -> AsyncIterator[list[Process]]:
    processes = [Process(database_url) for _ in range(3)]
    for each in processes:
        await each.announcements.start()
    yield processes
    for each in processes:
        await each.announcements.stop()


async def say(engine: AsyncEngine, *words: str) -> None:
    for word in words:
        async with begin(engine) as connection:
            await announce(connection, CHANNEL, word)


async def test_all_hear_what_was_committed_in_its_order_and_nothing_else(
    engine: AsyncEngine, processes: list[Process]
) -> None:
    async with engine.connect() as connection:
        await announce(connection, CHANNEL, "never was")
        await connection.rollback()
    await say(engine, "acme/knowledge", "acme/checkout")

    for each in processes:
        assert [await each.next(), await each.next()] == ["acme/knowledge", "acme/checkout"]
        assert each.heard.empty()
        assert not each.missed.is_set()


async def test_what_one_could_not_follow_does_not_keep_it_from_the_next(
    engine: AsyncEngine, processes: list[Process]
) -> None:
    await say(engine, "trouble", "acme/checkout")

    assert [await each.next() for each in processes] == ["acme/checkout"] * 3


async def test_who_was_cut_off_is_told_so_and_hears_again(
    engine: AsyncEngine, processes: list[Process]
) -> None:
    async with begin(engine) as connection:
        assert (await connection.execute(CUT_OFF)).scalar() == 3
    for each in processes:
        await asyncio.wait_for(each.missed.wait(), 60)
    await say(engine, "acme/checkout")

    assert [await each.next() for each in processes] == ["acme/checkout"] * 3


async def test_one_that_starts_while_the_database_is_away_listens_once_it_is_there(postgres_url: str) -> None:
    name = f"late_{secrets.token_hex(6)}"
    early = Process(address(postgres_url, name))
    await asyncio.wait_for(early.announcements.start(), 60)
    await execute(postgres_url, f"CREATE DATABASE {name}")
    engine = create_engine(address(postgres_url, name))
    try:
        await asyncio.wait_for(early.missed.wait(), 60)
        await say(engine, "acme/checkout")
        assert await early.next() == "acme/checkout"
    finally:
        await early.announcements.stop()
        await engine.dispose()
        await execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
