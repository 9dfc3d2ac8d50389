"""Deadlines of sources, on an event loop that is sometimes late."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.investigations.patience import in_time


async def in_two_steps(seconds: float) -> str:
    await asyncio.sleep(seconds / 2)
    await asyncio.sleep(seconds / 2)
    return "answered"


async def test_an_answer_in_time_is_the_answer() -> None:
    assert await in_time(in_two_steps(0.02), 5) == "answered"


async def test_what_does_not_come_is_cancelled() -> None:
    never = asyncio.ensure_future(asyncio.Event().wait())
    with pytest.raises(TimeoutError):
        await in_time(never, 0.05)
    await asyncio.sleep(0)
    assert never.cancelled()


async def test_our_own_lateness_does_not_count_against_a_source() -> None:
    asyncio.get_running_loop().call_later(0.05, time.sleep, 0.6)
    assert await in_time(in_two_steps(0.2), 0.4) == "answered"


async def test_what_a_source_raises_comes_out() -> None:
    async def refuses() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await in_time(refuses(), 1)


async def test_who_is_cancelled_stops_asking() -> None:
    asked = asyncio.Event()
    ended = asyncio.Event()

    async def slow() -> None:
        asked.set()
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    waiting = asyncio.create_task(in_time(slow(), 60))
    await asked.wait()
    waiting.cancel()
    await asyncio.wait({waiting})
    assert waiting.cancelled()
    async with asyncio.timeout(60):
        await ended.wait()
