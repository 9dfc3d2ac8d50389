"""What no start waits for is made once, for all who ask, and nobody who leaves ends the making."""

from __future__ import annotations

import asyncio
import threading

import pytest

from app.later import Later


class Making:
    """Counts how often it is done, and takes until it is let go."""

    def __init__(self) -> None:
        self.times = 0
        self.threads: list[int] = []
        self.go = threading.Event()

    def __call__(self) -> str:
        self.times += 1
        self.threads.append(threading.get_ident())
        self.go.wait(60)
        return "made"


async def test_it_is_made_once_for_all_who_ask_and_beside_the_event_loop() -> None:
    making = Making()
    later = Later(making)
    assert not later.is_begun

    asking = [asyncio.create_task(later.get()) for _ in range(3)]
    await asyncio.sleep(0)
    making.go.set()

    assert [*await asyncio.gather(*asking), await later.get()] == ["made"] * 4
    assert making.times == 1
    assert threading.get_ident() not in making.threads


async def test_whoever_no_longer_waits_leaves_it_to_be_made_for_the_others() -> None:
    making = Making()
    later = Later(making)
    impatient, patient = asyncio.create_task(later.get()), asyncio.create_task(later.get())
    await asyncio.sleep(0)

    impatient.cancel()
    with pytest.raises(asyncio.CancelledError):
        await impatient
    making.go.set()

    assert await patient == "made"
    assert making.times == 1


async def test_what_cannot_be_made_is_told_to_everybody() -> None:
    def make() -> str:
        raise ImportError("it is not installed")

    later = Later(make)
    for _ in range(2):
        with pytest.raises(ImportError, match="not installed"):
            await later.get()
