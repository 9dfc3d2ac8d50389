"""While a diagnosis waits for its model, its thread says so: since when, why, and until when at most.

It is one note, posted when the wait has become long and rewritten from then on. It is told beside the run,
which never waits for the place; the brief, which comes behind it, is what tells of a place that is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog

from app.agent.protocols import TaskStatus
from app.agent.waiting import STEP, TELL_EVERY_SECONDS
from app.context.models import Source
from app.investigations.models import Investigation
from app.investigations.surface import IncidentThread
from app.investigations.thread import headline
from app.investigations.times import clock_of

log = structlog.get_logger(__name__)

SILENT = "it says nothing."
TAKEN_OVER = "🔁 The diagnosis goes on in another process."
ANSWERED = "✅ The model has answered; what it found is below."
IN_VAIN = "⚠️ No model has concluded; what was found without it stands."


@dataclass
class Awaited:
    """The `Progress` of a diagnosis: of what it shows, only its waits for the model are told."""

    investigation: Investigation
    thread: IncidentThread
    clock: Callable[[], datetime]
    _until: datetime | None = None
    _since: datetime | None = None
    _wanted: tuple[str, bool, bool] | None = None
    _telling: asyncio.Task[None] | None = None
    _stands: str = field(default="", init=False)
    """The last words of a wait that is over, once they are shown."""

    @asynccontextmanager
    async def told(self, seconds: float) -> AsyncIterator[None]:
        """Inside the block, which lasts at most so long, waits are told; behind it nothing is on the way."""
        self._until = self.clock() + timedelta(seconds=seconds)
        if self.investigation.tries > 1:
            self._tell(TAKEN_OVER, posts=False)
        try:
            yield
        except asyncio.CancelledError:
            if self._telling:
                self._telling.cancel()
            raise
        finally:
            if self._telling:
                with suppress(asyncio.CancelledError):
                    await self._telling

    async def over(self, *, answered: bool) -> None:
        """Nothing is waited for any more: what a process that is gone has told of it is true no longer.

        Raises:
            NotShown, NotReached: as its thread does, which is open.
        """
        if not self._stands:
            await self.thread.waited(ANSWERED if answered else IN_VAIN, round=self.investigation.round)

    # -- what a run shows ------------------------------------------------------------------------------------

    async def text(self, delta: str) -> None:
        """The brief is what is shown."""

    async def reset(self, text: str) -> None: ...

    async def task(
        self,
        id: str,
        title: str,
        status: TaskStatus,
        details: str = "",
        sources: tuple[Source, ...] = (),
    ) -> None:
        if id != STEP:
            return
        if status == "in_progress":
            self._since = self._since or self.clock() - timedelta(seconds=TELL_EVERY_SECONDS)
            self._tell(self._waiting(details))
        else:
            self._since = None
            goes_on = "the diagnosis goes on" if status == "complete" else "the diagnosis ends without it"
            sign = "✅" if status == "complete" else "⚠️"
            self._tell(f"{sign} {title.rstrip('.')}; {goes_on}.", ends=True)

    def _waiting(self, trouble: str) -> str:
        assert self._since is not None
        assert self._until is not None
        latest = clock_of((self._until + timedelta(seconds=59)).timestamp())  # to the minute, never too early
        return (
            f"⏳ The diagnosis has been waiting for the model since {clock_of(self._since.timestamp())}: "
            f"{trouble or SILENT} It waits until {latest} at most; then what stands above counts."
        )

    def _tell(self, sentence: str, *, posts: bool = True, ends: bool = False) -> None:
        """Let the note read like this, whatever is still on the way; with `posts`, also if there is none."""
        self._wanted = (sentence, posts, ends)
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_newest())

    async def _tell_newest(self) -> None:
        round = self.investigation.round
        while self._wanted is not None:
            (sentence, posts, ends), self._wanted = self._wanted, None
            try:
                await self.thread.open(headline(self.investigation))
                await (self.thread.waits if posts else self.thread.waited)(sentence, round=round)
                self._stands = sentence if ends else ""
            except Exception as error:  # what ends the diagnosis is raised by its own next write
                log.info("wait_not_told", reason=str(error))
