"""Computing beside the event loop, in a real process."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
from types import MappingProxyType

import pytest

from app.computing import Beside, read_only
from app.investigations.assembling import loaded
from app.standing_back import NICENESS

pytestmark = pytest.mark.slow


async def test_the_event_loop_goes_on_meanwhile() -> None:
    beside, rounds = Beside(), 0
    await beside(os.getpid)  # the process is there
    working = asyncio.ensure_future(beside(math.factorial, 60_000))
    while not working.done():
        await asyncio.sleep(0.001)
        rounds += 1
    assert await working == math.factorial(60_000)
    assert rounds > 5


async def process_of(beside: Beside) -> int:
    """Its id, when it is there: a test before this one may have taken its own with it."""
    child = os.getpid()
    while child == os.getpid():  # computed here, beside a process that was killed
        child = await beside(os.getpid)
    return child


async def killed(beside: Beside) -> None:
    os.kill(await process_of(beside), signal.SIGKILL)
    await asyncio.sleep(0.1)


async def test_one_process_does_all() -> None:
    beside = Beside()
    await process_of(beside)
    pids = set(await asyncio.gather(*(beside(os.getpid) for _ in range(5))))
    assert len(pids) == 1
    assert os.getpid() not in pids


def groups_lines() -> bool:
    return "drain3.drain" in sys.modules


async def test_what_a_look_is_worked_out_with_can_be_loaded_before_it_is_needed() -> None:
    beside = Beside()
    await killed(beside)  # what was computed before this test is forgotten
    await process_of(beside)
    assert not await beside(groups_lines)
    await beside(loaded)
    assert await beside(groups_lines)


async def test_what_goes_wrong_comes_out_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError):
        await Beside()(divmod, 1, 0)


async def test_read_only_mappings_travel_there_and_back() -> None:
    given = MappingProxyType({"team": "payments"})
    assert await Beside()(read_only, dict(given)) == given
    assert await Beside()(len, given) == 1


async def test_a_process_that_is_killed_costs_no_answer() -> None:
    beside = Beside()
    await killed(beside)
    assert await beside(divmod, 7, 2) == (3, 1)
    assert await process_of(beside) != os.getpid()


async def test_it_takes_what_others_leave_of_the_processor() -> None:
    before, beside = os.getpriority(os.PRIO_PROCESS, 0), Beside()
    await process_of(beside)
    assert await beside(os.getpriority, os.PRIO_PROCESS, 0) == max(before, NICENESS)
    assert os.getpriority(os.PRIO_PROCESS, 0) == before
