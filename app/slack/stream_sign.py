"""Slack's own sign at a thread that the agent is at work, which brings Slack's stop button."""

from __future__ import annotations

import asyncio

import structlog

from app.slack.client import SlackRefused, SlackUnavailable
from app.slack.thread import TurnThread

log = structlog.get_logger(__name__)


class WorkSign:
    """Whether a workspace knows sessions is seen by asking; where it does not, the plan is sign enough.

    `is_taken_back` is set by whoever ends a stream with the sign's end in the same call.
    """

    def __init__(self, thread: TurnThread, turn_id: str) -> None:
        self._thread, self._turn_id = thread, turn_id
        self._title = ""
        self._saying: asyncio.Task[bool] | None = None
        self.is_taken_back = False

    def show(self, title: str) -> None:
        """Show it, without waiting for that."""
        self._title = title
        self._saying = asyncio.create_task(self.say("processing", title))

    @property
    def is_shown(self) -> bool:
        said = self._saying
        return bool(said and said.done() and not said.cancelled() and not said.exception() and said.result())

    async def take_back(self) -> None:
        """Take the sign back where the end of a stream did not."""
        if self._saying and not self._saying.done():
            await asyncio.wait({self._saying}, timeout=2)
            await cancel(self._saying)
        if self.is_shown and not self.is_taken_back:
            await self.say("active", self._title)

    async def cancel(self) -> None:
        """Say nothing more; what was said stays."""
        await cancel(self._saying)

    async def say(self, status: str, title: str) -> bool:
        """Whether this workspace knows sessions."""
        try:
            async with asyncio.timeout(5):
                await self._thread.session(status, title[:200] or None)
        except (SlackRefused, SlackUnavailable, TimeoutError) as error:
            log.debug("session_status_refused", turn_id=self._turn_id, reason=str(error))
            return False
        return True


async def cancel(task: asyncio.Task[None] | asyncio.Task[bool] | None) -> None:
    if task and not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
