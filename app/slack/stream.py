"""The growing message: one answer of one turn, seen in Slack exactly once however many processes write it.

The answer is kept whole here; Slack is shown it in parts, each one message. A part grows as a native stream
and ends before Slack would end it (about five minutes, about 12,000 characters); where streams are refused or
die it grows by edits. What is about to be created is stored first, so that a successor finds it and goes on.

Where to look, each knowing only those after it:

- `stream_worker`: when something is shown
- `stream_writer`: how a part begins, grows and ends
- `stream_sign`: Slack's own sign of work
- `stream_calls`: what a refusal of Slack means for a part
- `stream_steps`: the plan, and what is sent
- `stream_layout`: which part shows what, and where a part ends
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from app.context.models import Source
from app.conversations.reply import Ledger, TaskStatus
from app.slack import blocks as kit
from app.slack.blocks import Block, Task
from app.slack.client import Clock, Pace, Sleep
from app.slack.shown import Shown
from app.slack.stream_calls import PartCalls, patiently
from app.slack.stream_layout import Layout
from app.slack.stream_sign import WorkSign
from app.slack.stream_steps import Steps
from app.slack.stream_worker import Worker
from app.slack.stream_writer import Writer
from app.slack.thread import TurnThread
from app.storage.characters import storable

log = structlog.get_logger(__name__)


class GrowingMessage:
    """One answer in one thread. `text`, `reset` and `task` return at once; a task of its own talks to Slack.

    What the ledger raises (another worker has the turn) is raised by the next call of any method, and nothing
    more is written to Slack. Slack's own trouble is only raised by `close` and `fail`.
    """

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        channel: str,
        thread_ts: str,
        turn_id: str,
        recipient_team_id: str | None,
        recipient_user_id: str | None,
        asked_ts: str | None = None,
        ledger: Ledger | Shown,
        pace: Pace,
        clock: Clock = time.time,
        sleep: Sleep = asyncio.sleep,
        native: bool = True,
    ) -> None:
        thread = TurnThread(
            client,
            channel=channel,
            thread_ts=thread_ts,
            turn_id=turn_id,
            recipient_team_id=recipient_team_id,
            recipient_user_id=recipient_user_id,
            asked_ts=asked_ts or thread_ts,
            pace=pace,
        )
        self._turn_id, self._sleep = turn_id, sleep
        self._shown = ledger if isinstance(ledger, Shown) else Shown(ledger)
        self._layout, self._steps = Layout(), Steps(thread.marker)
        self._sign = WorkSign(thread, turn_id)
        self._calls = PartCalls(thread, self._shown, self._steps, turn_id=turn_id, native=native)
        parts = (self._layout, self._steps, self._calls)
        self._writer = Writer(*parts, self._shown, self._sign, clock=clock, sleep=sleep)
        self._worker = Worker(*parts, self._writer, turn_id=turn_id, clock=clock, sleep=sleep)
        self._is_taken_over = False
        self.closed = False

    # -- what a turn does --------------------------------------------------------------------------------

    async def open(self, title: str) -> None:
        """Show that work has begun, or take over what a predecessor left.

        Raises:
            SlackUnavailable: after a minute in which a predecessor's message could not be looked for.
        """
        self._steps.title = title
        await self._take_over()
        if self.closed:
            await self._sign.say("active", title)  # a predecessor may have died before he could
            return
        self._sign.show(title)
        self._worker.start()

    async def text(self, delta: str) -> None:
        """Let the answer grow."""
        self._worker.check()
        self._layout.grow(storable(delta))
        self._worker.grown()

    async def reset(self, text: str) -> None:
        """Show exactly this, whatever was shown before."""
        self._worker.check()
        async with self._worker.busy:
            self._layout.take(storable(text))
        self._worker.wake()

    async def task(
        self,
        id: str,
        title: str,
        status: TaskStatus,
        details: str = "",
        sources: Sequence[Source] = (),
    ) -> None:
        """Show a step of the work; the same `id` again changes it."""
        self._worker.check()
        own_id = f"step-{id}" if id.startswith(self._turn_id) else id
        self._steps.waiting[own_id] = Task(
            id=own_id, title=title, status=status, details=details, sources=tuple(sources)
        )
        self._worker.wake()

    async def close(
        self,
        *,
        blocks: Sequence[Block] = (),
        final_text: str | None = None,
        only_what_is_shown: bool = False,
    ) -> None:
        """The answer is complete: show the rest of it, `blocks` below it, and nothing more after that.

        `only_what_is_shown` begins no message where there is none to be ended.

        Raises:
            SlackUnavailable: after a minute in which Slack took nothing; calling again goes on.
            SlackRefused: when Slack will not have this message at all.
        """
        await self._end(blocks, final_text, ended="complete", begins=not only_what_is_shown)

    async def fail(self, sentence: str, trace_id: str) -> None:
        """Say below what was written so far that the turn has failed. Raises as `close` does."""
        await self._end(kit.error_blocks(sentence, trace_id), None, ended="error")

    async def abandon(self, deadline: float = 5.0) -> None:
        """This process goes away: leave no stream open after `deadline` seconds; a successor goes on."""
        try:
            async with asyncio.timeout(deadline):
                await self._worker.end(deadline / 2)
                await self._worker.cancel()
                if self._worker.broken is None:
                    await self._writer.leave()
        except Exception as error:  # whoever takes over stops the stream himself
            log.warning("stream_left_open", turn_id=self._turn_id, reason=str(error) or type(error).__name__)
        finally:
            await self.cancel()

    async def cancel(self) -> None:
        """Stop talking to Slack in the middle of whatever is being said."""
        await self._worker.cancel()
        await self._sign.cancel()

    # -- beginning and end -------------------------------------------------------------------------------

    async def _take_over(self) -> None:
        self._is_taken_over = True
        state = await self._shown.load()
        self.closed = state.closed
        if not self.closed:
            await self._writer.resume(state)

    async def _end(
        self, below: Sequence[Block], final_text: str | None, *, ended: TaskStatus, begins: bool = True
    ) -> None:
        self._worker.check()
        if not self._is_taken_over:
            await self._take_over()
            # What a predecessor said, and nobody else takes back.
            await self._sign.say("active", self._steps.title)
        if self.closed:
            return
        await self._worker.end()
        self._worker.check()
        async with self._worker.busy:
            await self._show_all(below, final_text, ended, begins)
        if self._worker.refusal:
            raise self._worker.refusal
        await self._shown.closed()
        self.closed = True
        await self._sign.take_back()

    async def _show_all(
        self, below: Sequence[Block], final_text: str | None, ended: TaskStatus, begins: bool
    ) -> None:
        layout = self._layout
        if final_text is not None or layout.is_resumed:
            layout.take(layout.text if final_text is None else storable(final_text))
        seen = self._writer.has_begun or layout.text.strip()
        if (begins or seen) and not self._calls.gone:
            await patiently(partial(self._writer.finish, below, ended), self._sleep)
