"""Webhooks first: while many alerts come in, the work on investigations gives way to them.

One event loop does both. An alert is stored and answered within a millisecond or two of the processor; what
is done about it takes a hundred times as much, in steps, and an alert that comes meanwhile would wait behind
all steps of all investigations. So every step calls `give_way` before it begins. It goes on at once as long
as few webhooks come. Else the steps pass one after the other, each when the loop has come round on time;
those of a P1 are first, and none is left waiting.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from heapq import heappop, heappush
from itertools import count

MANY = 8
"""So many webhooks in the house at once, or in a row without `LATELY_SECONDS` between, are many."""
FEW = 1
"""So many may wait for their answers while a step passes."""
LATELY_SECONDS = 0.5
EVERY_SECONDS = 0.03
"""Between two steps that pass: what the first has begun, such as an answer of a source, comes meanwhile."""
LATE_SECONDS = 0.005
LONGEST_SECONDS = 0.2
"""The loop may be late all the time; then a step passes all the same, so often."""
PATIENCE_SECONDS = {"P1": 0.0, "P2": 1.0, "P3": 2.0, "P4": 3.0, "P5": 4.0}
"""A step stands behind those of graver incidents that came within this time after it, and before all later
ones."""
USUAL = "P3"


class RightOfWay:
    """Who goes first in one event loop; `clock` counts seconds."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._inside = 0
        self._came: deque[float] = deque(maxlen=MANY)
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._number = count()
        self._opening: asyncio.Task[None] | None = None

    @contextmanager
    def first(self) -> Iterator[None]:
        """Around what takes a webhook in."""
        self._came.append(self._clock())
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1

    @property
    def many_come(self) -> bool:
        lately = len(self._came) == MANY and self._clock() - self._came[0] < LATELY_SECONDS
        return lately or self._inside >= MANY

    @contextmanager
    def behind(self, severity: str = USUAL) -> Iterator[None]:
        """The work within, and the tasks it begins, give way to webhooks."""
        token = _GIVES_WAY.set((self, PATIENCE_SECONDS[severity]))
        try:
            yield
        finally:
            _GIVES_WAY.reset(token)

    async def wait(self, patience_seconds: float) -> None:
        """Until a step may pass: at once unless many webhooks come."""
        if not self._waiting and not self.many_come:
            return
        passes = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (self._clock() + patience_seconds, next(self._number), passes))
        if self._opening is None:
            self._opening = asyncio.create_task(self._let_pass(), name="give way")
        await passes

    async def _let_pass(self) -> None:
        try:
            while self._waiting:
                await self._on_time()
                *_, passes = heappop(self._waiting)
                if not passes.done():  # else it is cancelled
                    passes.set_result(None)
        finally:
            self._opening = None

    async def _on_time(self) -> None:
        """Until the loop comes round in time, or no longer has much to take in; but never for long."""
        give_up = self._clock() + LONGEST_SECONDS
        while self.many_come and (began := self._clock()) < give_up:
            await self._sleep(EVERY_SECONDS)
            if self._clock() - began < EVERY_SECONDS + LATE_SECONDS and self._inside <= FEW:
                return


_GIVES_WAY: ContextVar[tuple[RightOfWay, float] | None] = ContextVar("gives_way", default=None)


@contextmanager
def without_waiting() -> Iterator[None]:
    """The work within gives way to nothing: the thread of a page is there at once."""
    token = _GIVES_WAY.set(None)
    try:
        yield
    finally:
        _GIVES_WAY.reset(token)


async def give_way() -> None:
    """Before a step of a few milliseconds, with no transaction open: its locks would wait too. Outside of
    `behind`, where people wait for an answer, it returns at once."""
    if found := _GIVES_WAY.get():
        way, patience = found
        await way.wait(patience)
