"""While a model says nothing, whoever waits for it is told so, and how long that has been."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog

from app.agent.protocols import Progress

log = structlog.get_logger(__name__)

TELL_EVERY_SECONDS = 10.0
STEP = "model"


class Waiting:
    """One run's waits for one model. A wait is that for one response, over all requests for it; `trouble` is
    what the last of them failed with."""

    def __init__(
        self,
        progress: Progress,
        name: str,
        *,
        every: float = TELL_EVERY_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._progress, self._name, self._every, self._clock = progress, name, every, clock
        self._began: float | None = None
        self._heard = self._told_at = 0.0
        self._told = False
        self.trouble = ""

    @property
    def seconds(self) -> float:
        """How long the present wait has been; 0 while nobody waits."""
        return 0.0 if self._began is None else self._clock() - self._began

    def begin(self) -> None:
        """A request is sent; one that repeats another goes on in its wait."""
        if self._began is None:
            self._began = self._heard = self._clock()

    async def heard(self) -> None:
        """The model said something, and may fall silent again."""
        self._heard = self._clock()
        if self._told:
            self._told = False
            said = f"The model {self._name} answered after {self.seconds:.0f} s"
            await self._progress.task(STEP, said, "complete")

    def end(self) -> None:
        """The response is whole."""
        self._began, self.trouble = None, ""

    async def give_up(self, sentence: str) -> None:
        if self._told:
            await self._progress.task(STEP, sentence, "error")

    @asynccontextmanager
    async def told(self) -> AsyncIterator[None]:
        """Inside the block the wait is told of."""
        telling = asyncio.create_task(self._tell())
        try:
            yield
        finally:
            telling.cancel()
            with suppress(asyncio.CancelledError):
                await telling

    def _quiet(self) -> float:
        """Seconds since whoever waits last saw something of the model."""
        return 0.0 if self._began is None else self._clock() - max(self._heard, self._told_at)

    async def _tell(self) -> None:
        try:
            while True:
                await asyncio.sleep(self._every - self._quiet())
                if self._quiet() >= self._every:
                    self._told, self._told_at = True, self._clock()
                    said = f"Waiting for the model {self._name}: {self.seconds:.0f} s"
                    await self._progress.task(STEP, said, "in_progress", self.trouble)
        except Exception as error:  # what ends the turn is raised by its own next call
            log.info("wait_not_told", reason=str(error))
