"""One statement for many who come meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from app.storage.together import Together


class Statements:
    """Each ends when it is let; `begun` are those that were started, by what they were told."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, ...]] = []
        self.let = asyncio.Semaphore(0)

    async def __call__(self, given: Sequence[int]) -> Sequence[int]:
        self.begun.append(tuple(given))
        await self.let.acquire()
        if 0 in given:
            raise ZeroDivisionError
        return [10 * each for each in given]


@pytest.fixture
def statements() -> Statements:
    return Statements()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_those_who_come_together_are_taken_together(statements: Statements) -> None:
    together = Together(statements, most=3)
    asked = [asyncio.ensure_future(together(each)) for each in range(1, 7)]
    for _ in asked:
        statements.let.release()
    assert await asyncio.gather(*asked) == [10, 20, 30, 40, 50, 60]
    assert statements.begun == [(1, 2, 3), (4, 5, 6)]


async def test_so_many_lanes_run_at_once(statements: Statements) -> None:
    together = Together(statements, most=1, lanes=2)
    asked = [asyncio.ensure_future(together(each)) for each in (1, 2, 3)]
    await settled()
    assert statements.begun == [(1,), (2,)]
    for _ in asked:
        statements.let.release()
    assert await asyncio.gather(*asked) == [10, 20, 30]


async def test_who_comes_when_all_is_done_begins_anew(statements: Statements) -> None:
    together = Together(statements, most=3)
    for each in (1, 2):
        statements.let.release()
        assert await together(each) == 10 * each
    assert statements.begun == [(1,), (2,)]


async def test_what_goes_wrong_is_told_to_all_it_was_done_for_and_to_no_others(
    statements: Statements,
) -> None:
    together = Together(statements, most=2)
    asked = [asyncio.ensure_future(together(each)) for each in (0, 1, 2)]
    for _ in range(3):
        statements.let.release()
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [isinstance(each, ZeroDivisionError) for each in found] == [True, True, False]


async def test_who_went_away_holds_nobody_up(statements: Statements) -> None:
    together = Together(statements, most=1)
    first, second = (asyncio.ensure_future(together(each)) for each in (1, 2))
    await settled()
    first.cancel()
    for _ in range(2):
        statements.let.release()
    assert await second == 20
