"""A queue that drains: no new job, the running ones to their ends, and a stop that is still bounded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app import jobs
from app.jobs import Queue
from app.storage.engine import begin


@dataclass
class Works:
    """Handlers that wait until they are let go."""

    begun: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    at_it: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, name: str) -> None:
        self.begun.append(name)
        self.at_it.set()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cut.append(name)
            raise
        self.ended.append(name)


@pytest.fixture
async def queue(database_url: str, works: Works) -> AsyncIterator[Queue]:
    queue = Queue(database_url, concurrency=2, grace_seconds=0.5)
    queue.handle("work", works.run)
    await queue.start()
    yield queue
    await queue.stop()


@pytest.fixture
def works() -> Works:
    return Works()


async def put(engine: AsyncEngine, name: str) -> None:
    async with begin(engine) as connection:
        await jobs.defer(connection, jobs.Deferral("work", {"name": name}))


async def statuses(engine: AsyncEngine) -> list[str]:
    async with begin(engine) as connection:
        rows = await connection.execute(text("SELECT status FROM procrastinate_jobs ORDER BY id"))
        return [str(row[0]) for row in rows]


async def until(engine: AsyncEngine, wanted: list[str]) -> None:
    async with asyncio.timeout(60):
        while await statuses(engine) != wanted:
            await asyncio.sleep(0.05)


async def test_what_runs_goes_on_beyond_any_grace_and_what_comes_is_left_to_others(
    engine: AsyncEngine, queue: Queue, works: Works, database_url: str
) -> None:
    await put(engine, "first")
    await asyncio.wait_for(works.at_it.wait(), 60)
    assert queue.running == 1
    queue.drain()
    assert not queue.takes_jobs
    await put(engine, "second")
    await asyncio.sleep(1.5)
    assert (works.begun, await statuses(engine)) == (["first"], ["doing", "todo"])

    other, others = Queue(database_url, concurrency=1), Works()
    others.go.set()
    other.handle("work", others.run)
    await other.start()
    await until(engine, ["doing", "succeeded"])
    await other.stop()
    assert others.begun == ["second"]

    works.go.set()
    await until(engine, ["succeeded", "succeeded"])
    assert (works.ended, works.cut, queue.running) == (["first"], [], 0)


async def test_a_stop_after_a_drain_gives_its_grace_and_hands_the_rest_back(
    engine: AsyncEngine, queue: Queue, works: Works
) -> None:
    await put(engine, "long")
    await asyncio.wait_for(works.at_it.wait(), 60)
    queue.drain()
    await asyncio.sleep(1)
    async with asyncio.timeout(60):
        await queue.stop()
    assert (works.cut, await statuses(engine)) == (["long"], ["todo"])


async def test_a_drain_before_anything_ran_leaves_a_queue_that_stops_at_once(
    engine: AsyncEngine, works: Works, database_url: str
) -> None:
    queue = Queue(database_url, concurrency=2, grace_seconds=60)
    queue.handle("work", works.run)
    await queue.start()
    queue.drain()
    await put(engine, "never")
    await asyncio.sleep(0.5)
    async with asyncio.timeout(30):
        await queue.stop()
    assert (works.begun, await statuses(engine)) == ([], ["todo"])
