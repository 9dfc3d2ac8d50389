"""Messages of one thread keep their order; those of others do not wait for them."""

from __future__ import annotations

import asyncio
import gc

from app.slack.listeners.lanes import Lanes


async def test_who_came_first_is_through_first_however_long_it_takes() -> None:
    lanes, through = Lanes(), []

    async def pass_by(thread: str, name: str, seconds: float) -> None:
        async with lanes.of(thread):
            await asyncio.sleep(seconds)
            through.append(name)

    await asyncio.gather(
        pass_by("a", "first of a", 0.05), pass_by("a", "second of a", 0), pass_by("b", "first of b", 0)
    )
    assert through == ["first of b", "first of a", "second of a"]


async def test_one_that_fails_leaves_its_lane_free() -> None:
    lanes = Lanes()
    for _ in range(2):
        try:
            async with lanes.of("a"):
                raise ValueError
        except ValueError:
            pass
    async with asyncio.timeout(60), lanes.of("a"):
        pass


async def test_lanes_that_nobody_is_in_take_no_memory() -> None:
    lanes = Lanes()
    for number in range(100):
        async with lanes.of(number):
            pass
    gc.collect()
    assert len(lanes._lanes) <= 1
