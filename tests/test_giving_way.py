"""Webhooks before what is done about them; time passes only where it is slept."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import ExitStack
from typing import Any

import pytest

from app.giving_way import (
    EVERY_SECONDS,
    FEW,
    LATELY_SECONDS,
    LONGEST_SECONDS,
    MANY,
    PATIENCE_SECONDS,
    RightOfWay,
    give_way,
    without_waiting,
)


class Time:
    """Of a loop that comes round `late` seconds later than it should."""

    def __init__(self, late: float = 0) -> None:
        self.now, self.late = 1000.0, late

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        for _ in range(5):  # who passed goes on before time does
            await asyncio.sleep(0)
        self.now += seconds + self.late


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def way(time: Time) -> RightOfWay:
    return RightOfWay(clock=time.clock, sleep=time.sleep)


def flood(way: RightOfWay) -> None:
    for _ in range(MANY):
        with way.first():
            pass


async def rounds(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(0)


async def of_severity(way: RightOfWay, severity: str, done: list[str], name: str = "") -> None:
    with way.behind(severity):
        await give_way()
    done.append(name or severity)


def begun(*steps: Coroutine[Any, Any, None]) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(step) for step in steps]


async def test_a_step_goes_on_at_once_while_few_webhooks_come(way: RightOfWay, time: Time) -> None:
    for _ in range(MANY - 1):
        with way.first():
            pass
    await of_severity(way, "P5", [])
    assert time.now == 1000


async def test_steps_pass_one_by_one_while_many_come(way: RightOfWay, time: Time) -> None:
    at: list[float] = []

    async def step() -> None:
        with way.behind():
            await give_way()
        at.append(round(time.now - 1000, 3))

    flood(way)
    await asyncio.gather(*begun(step(), step(), step()))
    assert at == pytest.approx([EVERY_SECONDS, 2 * EVERY_SECONDS, 3 * EVERY_SECONDS])


async def test_when_they_came_all_that_waits_passes(way: RightOfWay, time: Time) -> None:
    done: list[str] = []
    flood(way)
    many = begun(*(of_severity(way, "P3", done) for _ in range(1000)))
    await asyncio.gather(*many)
    assert len(done) == 1000
    assert time.now - 1000 < LATELY_SECONDS + EVERY_SECONDS


async def test_those_that_are_not_answered_count_however_long_they_are_in_the_house(
    way: RightOfWay, time: Time
) -> None:
    with ExitStack() as house:
        for _ in range(MANY):
            house.enter_context(way.first())
        time.now += 60
        assert way.many_come
    assert not way.many_come


async def test_a_p1_is_before_the_others_that_wait(way: RightOfWay) -> None:
    done: list[str] = []
    flood(way)
    await asyncio.gather(*begun(*(of_severity(way, each, done) for each in ("P4", "P3", "P1", "P2"))))
    assert done == ["P1", "P2", "P3", "P4"]


async def test_nobody_waits_behind_graver_ones_for_ever(way: RightOfWay, time: Time) -> None:
    """More of a P1's steps come than pass; the one of a P5 passes all the same."""
    done: list[str] = []
    flood(way)
    steps, sooner = begun(of_severity(way, "P5", done)), 0
    while "P5" not in done and time.now < 1100:
        flood(way)
        steps += begun(*(of_severity(way, "P1", done) for _ in range(2)))
        sooner += 2 if time.now - 1000 <= PATIENCE_SECONDS["P5"] else 0
        await rounds(5)
    assert done.count("P1") <= sooner < len(steps) - 2
    await asyncio.gather(*steps)


async def test_a_loop_that_is_always_late_lets_them_pass_now_and_then() -> None:
    time = Time(late=LONGEST_SECONDS)
    way, done = RightOfWay(clock=time.clock, sleep=time.sleep), list[str]()
    with ExitStack() as house:
        for _ in range(MANY):
            house.enter_context(way.first())
        await asyncio.gather(*begun(*(of_severity(way, "P3", done) for _ in range(3))))
    assert len(done) == 3
    assert time.now - 1000 <= 3 * (LONGEST_SECONDS + EVERY_SECONDS) + 0.001


async def test_who_is_cancelled_holds_nobody_up(way: RightOfWay) -> None:
    done: list[str] = []
    flood(way)
    first, second = begun(of_severity(way, "P1", done, "first"), of_severity(way, "P2", done, "second"))
    await asyncio.sleep(0)
    first.cancel()
    await second
    assert done == ["second"]


async def test_what_people_wait_for_gives_way_to_nothing(way: RightOfWay, time: Time) -> None:
    flood(way)
    await give_way()
    assert time.now == 1000


async def test_what_may_not_wait_does_not_within_a_work_that_gives_way(way: RightOfWay, time: Time) -> None:
    flood(way)
    with way.behind():
        with without_waiting():
            await give_way()
        assert time.now == 1000
        await give_way()
    assert time.now > 1000


async def test_the_tasks_of_a_work_give_way_as_it_does(way: RightOfWay, time: Time) -> None:
    flood(way)
    with way.behind():
        await asyncio.gather(give_way(), give_way())
    assert time.now > 1000


async def test_no_step_passes_while_webhooks_wait_for_their_answers(way: RightOfWay, time: Time) -> None:
    flood(way)
    done: list[str] = []
    with ExitStack() as inside:
        for _ in range(FEW + 1):
            inside.enter_context(way.first())
        (step,) = begun(of_severity(way, "P1", done))
        while time.now < 1000 + LONGEST_SECONDS / 2:
            await asyncio.sleep(0)
        assert done == []
    await step
    assert time.now < 1000 + LONGEST_SECONDS
