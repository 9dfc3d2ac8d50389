"""One statement for many who bring the same: who comes while one runs is taken with the next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Given = TypeVar("Given")
Told = TypeVar("Told")


class Together(Generic[Given, Told]):
    """`do` is told at most `most` at once, in the order in which they came, and tells as many; so many
    `lanes` of it run at the same time. Alone, one waits for nobody."""

    def __init__(
        self, do: Callable[[Sequence[Given]], Awaitable[Sequence[Told]]], *, most: int, lanes: int = 1
    ) -> None:
        self._do, self._most, self._free = do, most, lanes
        self._waiting: deque[tuple[Given, asyncio.Future[Told]]] = deque()
        self._lanes: set[asyncio.Task[None]] = set()

    async def __call__(self, given: Given) -> Told:
        """What `do` tells of it; whatever that raises is raised by all it was told at once."""
        told: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        self._waiting.append((given, told))
        if self._free:
            self._free -= 1
            lane = asyncio.create_task(self._work())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        return await told

    async def _work(self) -> None:
        try:
            while self._waiting:
                number = min(self._most, len(self._waiting))
                await self._carry_out([self._waiting.popleft() for _ in range(number)])
        finally:
            self._free += 1

    async def _carry_out(self, taken: Sequence[tuple[Given, asyncio.Future[Told]]]) -> None:
        waiting = [each for each in taken if not each[1].done()]  # the others were cancelled
        if not waiting:
            return
        try:
            told = await self._do([given for given, _ in waiting])
        except Exception as error:
            for _, future in waiting:
                if not future.done():
                    future.set_exception(error)
        else:
            for (_, future), each in zip(waiting, told, strict=True):
                if not future.done():
                    future.set_result(each)
