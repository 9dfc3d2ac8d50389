"""The messages of one answer made to show it: begun, grown, ended one after the other, taken over.

What is about to be created is stored first, so that a successor finds it and goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from app.conversations.reply import TaskStatus
from app.slack.blocks import Block
from app.slack.client import Clock, SlackUnavailable, Sleep
from app.slack.shown import Part, ReplyState, Shown
from app.slack.stream_calls import PartCalls, patiently
from app.slack.stream_layout import Layout, PartMessage, by_edits
from app.slack.stream_sign import WorkSign
from app.slack.stream_steps import Steps


class Writer:
    """Makes Slack show a layout and its steps. One call at a time: whoever calls sees to that.

    What the ledger raises (another worker has the turn) and Slack's trouble are raised by every method.
    """

    def __init__(
        self,
        layout: Layout,
        steps: Steps,
        calls: PartCalls,
        shown: Shown,
        sign: WorkSign,
        *,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._layout, self._steps, self._calls = layout, steps, calls
        self._shown, self._sign = shown, sign
        self._clock, self._sleep = clock, sleep

    @property
    def has_begun(self) -> bool:
        """Whether there is, or may be, a message."""
        return bool(self._layout.messages or self._calls.doubtful)

    async def resume(self, state: ReplyState) -> None:
        """Go on in what a predecessor stored: his streams are ended, his messages grow by edits."""
        for part in state.parts:
            look = partial(self._calls.look_for, part)
            found = part if part.ts else await patiently(look, self._sleep)
            if found is None:
                await self._shown.without_part(part.index)
                continue
            if found.state != "closed":
                with suppress(SlackUnavailable):  # then the first edit ends it
                    await self._calls.stop_quietly(found)
                found = by_edits(found)
                await self._shown.part(found)
            self._layout.messages.append(PartMessage(found, start=0, stale=found.state != "closed"))
        self._layout.is_resumed = bool(self._layout.messages)

    async def step(self) -> None:
        """One step: create, end, append or edit; whatever is left makes the next step due."""
        message = self._layout.current
        if message is None:
            await self._begin()
        elif (cut := self._layout.cut(message)) is not None:
            await self._finish_part(message, cut)
        elif (end := self._layout.rotation(message, self._clock())) is not None:
            await self._finish_part(message, end)
        elif message.streaming and not message.stale:
            await self._append(message)
        else:
            await self._edit(message, len(self._layout.text))

    async def finish(self, below: Sequence[Block], ended: TaskStatus) -> None:
        """Show the rest of the answer, `below` under it, and remove what was shown too much."""
        layout = self._layout
        if layout.current is None and (not layout.messages or layout.rest.strip()):
            await self._begin()
        while (
            not self._calls.gone and (message := layout.current) and (cut := layout.cut(message)) is not None
        ):
            await self._finish_part(message, cut)
            await self._begin()
        if self._calls.gone:
            return
        await self._finish_part(layout.messages[-1], layout.end_of_last(), below, ended=ended, last=True)
        while layout.spare and not self._calls.gone:
            await self._calls.delete(layout.spare[0])
            await self._shown.without_part(layout.spare.pop(0).index)

    async def leave(self) -> None:
        """Leave no stream open; a successor goes on by edits."""
        message = self._layout.current
        if message and message.streaming:
            await self._calls.stop_quietly(message.part)
            message.streaming = False
            message.part = message.part.model_copy(update={"mode": "post"})
            await self._shown.part(message.part)

    # -- a part begins -----------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Create the next part, or take one that an earlier layout left over."""
        if (part := await self._existing()) is None:
            await self._create(self._calls.doubtful or self._new_part())
            return
        # The next edit makes it show what it should.
        start, opens = self._layout.next_start()
        message = PartMessage(by_edits(part), start, opens, shown_to=start, tried_to=start, stale=True)
        self._layout.messages.append(message)

    async def _existing(self) -> Part | None:
        """A message to go on in, its stream ended."""
        calls, spare = self._calls, self._layout.spare
        if spare:
            part = spare.pop(0)
            if part.state != "closed":
                await calls.stop_quietly(part)
            return part
        if calls.doubtful and (found := await calls.look_for(calls.doubtful)):
            await calls.stop_quietly(found)
            calls.doubtful = None
            return found
        return None

    def _new_part(self) -> Part:
        mode = "stream" if self._calls.native else "post"
        return Part(index=self._layout.next_index(), mode=mode, started_at=self._clock())

    async def _create(self, part: Part) -> None:
        start, opens = self._layout.next_start()
        await self._shown.part(part)
        message = PartMessage(part, start, opens, shown_to=start, tried_to=start, opened_at=self._clock())
        cut = self._layout.cut(message)
        body, end = self._layout.settled_body(message, cut)
        tasks, tried_to = self._steps.first(part.index), len(self._layout.text) if cut is None else end
        ts = await self._calls.create(message, self._layout.fallback(message), body, tasks)
        if ts is None:
            return
        message.part = message.part.model_copy(update={"ts": ts, "state": "open"})
        message.shows(body, end, self._clock())
        message.tried_to = tried_to
        self._steps.told(message, tasks)
        self._layout.messages.append(message)
        try:
            await self._shown.part(message.part)
        except Exception:
            await self._calls.take_back(message.part, self._sleep)
            raise

    # -- a part grows ------------------------------------------------------------------------------------

    async def _append(self, message: PartMessage) -> None:
        body, end = self._layout.settled_body(message, None)
        tasks = list(self._steps.waiting.values())
        message.tried_to = len(self._layout.text)
        if not body.startswith(message.sent):
            message.stale = True
            return
        chunks = self._steps.chunks(body[len(message.sent) :], tasks, message.tasks)
        if not chunks:
            return
        try:
            taken = await self._calls.append(message, chunks)
        except SlackUnavailable:
            message.tried_to = message.shown_to
            raise
        if taken:
            message.shows(body, end, self._clock())
            self._steps.told(message, tasks)

    async def _edit(
        self, message: PartMessage, end: int, below: Sequence[Block] = (), closes: str = ""
    ) -> None:
        """Make the message show its text up to `end`, its steps, and `below`.

        Stored first: the ledger refuses whoever lost the turn before he overwrites his successor's words.
        """
        if message.streaming:
            await self._calls.stop_quietly(message.part)
            message.streaming = False
        tried_to, text = len(self._layout.text), self._layout.fallback(message)
        body = self._layout.body(message, end, closes)
        tasks = self._steps.all(message)
        message.part = by_edits(message.part)
        await self._shown.part(message.part)
        if await self._calls.edit(message, text, body, tasks, below):
            message.shows(body, end, self._clock())
            message.tried_to, message.stale = tried_to, False
            self._steps.told(message, tasks)

    # -- a part ends -------------------------------------------------------------------------------------

    async def _finish_part(
        self,
        message: PartMessage,
        end: int,
        below: Sequence[Block] = (),
        *,
        ended: TaskStatus = "complete",
        last: bool = False,
    ) -> None:
        """End a part at `end`: no more is added to it."""
        closes = "" if last else self._layout.closing(message, end)
        unfinished = self._steps.finish(message, ended)
        body = self._layout.body(message, end, closes)
        if not await self._stopped(message, body, below, last=last) and not self._calls.gone:
            await self._edit(message, end, below, closes)
        if self._calls.gone:
            return
        message.sent, message.shown_to, message.streaming = body, end, False
        message.part = self._layout.sealed(message, end)
        self._steps.go_on(message, unfinished)
        await self._shown.part(message.part, closes=last and not self._layout.spare)

    async def _stopped(self, message: PartMessage, body: str, below: Sequence[Block], *, last: bool) -> bool:
        """Whether the part could be ended as the stream it is."""
        if not message.streaming or message.stale or not body.startswith(message.sent):
            return False
        tasks = list(self._steps.waiting.values())
        chunks = self._steps.chunks(body[len(message.sent) :], tasks, message.tasks)
        status = "active" if last and self._sign.is_shown else None
        if not await self._calls.stop(message, chunks, below, status):
            return False
        self._steps.told(message, tasks)
        self._sign.is_taken_back = status is not None
        return True
