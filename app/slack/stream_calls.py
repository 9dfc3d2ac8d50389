"""The calls for one part of an answer, and what each refusal of them means for it.

Where streams are refused the part is posted, where plans are refused it goes without, and where somebody
deleted it nothing is shown any more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import structlog

from app.slack.blocks import Block, Task
from app.slack.client import SlackRefused, SlackUnavailable, Sleep
from app.slack.shown import Part, Shown
from app.slack.stream_layout import PartMessage
from app.slack.stream_steps import Steps
from app.slack.thread import TurnThread

log = structlog.get_logger(__name__)
T = TypeVar("T")

PATIENCE = 60.0
"""Seconds of refusals by an overloaded Slack that closing an answer outlasts."""
LONGEST_PAUSE = 15.0
SUCCESSOR_SHOWS = 10
"""Seconds in which whoever took a turn over has stored the message he goes on in."""
GONE = frozenset({"message_not_found", "thread_not_found", "cannot_reply_to_message"})
"""Somebody deleted the message or the question: nothing is shown any more, and nothing is wrong."""


class PartCalls:
    """What a turn's thread is asked for its parts.

    `gone` says that nobody is there to be shown anything. `doubtful` is a part whose creation nobody saw
    succeed or fail: it is looked for before it is created again.
    """

    def __init__(self, thread: TurnThread, shown: Shown, steps: Steps, *, turn_id: str, native: bool) -> None:
        self._thread, self._shown, self._steps = thread, shown, steps
        self._turn_id = turn_id
        self._plans = True
        self.native = native
        self.gone = False
        self.doubtful: Part | None = None

    async def look_for(self, part: Part) -> Part | None:
        """The part with its `ts` when its message is there."""
        try:
            ts = await self._thread.find(part.index)
        except SlackRefused as refused:
            self.gone = refused.error in GONE
            return None
        return part.model_copy(update={"ts": ts}) if ts else None

    async def stop_quietly(self, part: Part) -> None:
        """End the stream of a part if it is one and still open."""
        try:
            await self._thread.stop(part.ts or "", part.index)
        except SlackRefused as refused:
            log.debug("stream_already_ended", turn_id=self._turn_id, reason=refused.error)

    async def create(self, message: PartMessage, text: str, body: str, tasks: Sequence[Task]) -> str | None:
        """The ts of the new message; None when there is nobody to show it to any more."""
        self.doubtful = message.part
        try:
            ts = await self._start(message, body, tasks) or await self._posted(message, text, body, tasks)
        except SlackRefused as refused:
            if refused.error not in GONE:
                raise
            self.gone = True
            return None
        except SlackUnavailable as away:
            if away.certain:
                self.doubtful = None
            raise
        self.doubtful = None
        return ts

    async def _start(self, message: PartMessage, body: str, tasks: Sequence[Task]) -> str | None:
        """The ts of a new stream; None where streams are refused."""
        if not self.native:
            return None
        try:
            ts = await self._thread.start(self._steps.opening_chunks(body, tasks))
        except SlackRefused as refused:
            log.info("streaming_refused", turn_id=self._turn_id, reason=refused.error)
            self.native = False
            return None
        message.streaming = True
        return ts

    async def _posted(self, message: PartMessage, text: str, body: str, tasks: Sequence[Task]) -> str:
        message.part = message.part.model_copy(update={"mode": "post"})
        await self._shown.part(message.part)
        index = message.part.index
        try:
            return await self._thread.post(index, text, self._blocks(body, tasks))
        except SlackRefused as refused:
            if refused.error != "invalid_blocks" or not self._plans:
                raise
            self._plans = False
            return await self._thread.post(index, text, self._blocks(body, tasks))

    async def take_back(self, part: Part, sleep: Sleep) -> None:
        """A message created after the turn was lost, which a successor who has his own does not know of."""
        for _ in range(SUCCESSOR_SHOWS):
            stored = await self._shown.stored()
            known = next((each.ts for each in stored.parts if each.index == part.index), None)
            if known == part.ts:
                return
            if known is not None:
                await self._thread.delete(part.ts or "")
                return
            await sleep(1)  # he may be about to find it, or to create his own

    async def append(self, message: PartMessage, chunks: Sequence[Block]) -> bool:
        """Whether a stream took more; one that did not is stale.

        Raises:
            SlackUnavailable: nobody knows whether these words arrived: an edit will show the right ones.
        """
        try:
            await self._thread.append(message.ts, chunks)
        except SlackRefused as refused:
            if refused.error in GONE:
                self.gone = True
            else:
                log.info("stream_ended_early", turn_id=self._turn_id, reason=refused.error)
                message.stale = True
            return False
        except SlackUnavailable as away:
            message.stale = not away.certain
            raise
        return True

    async def edit(
        self, message: PartMessage, text: str, body: str, tasks: Sequence[Task], below: Sequence[Block]
    ) -> bool:
        """Whether the message was there to be edited."""
        for attempt in range(3):
            blocks = [*self._blocks(body, tasks), *below]
            try:
                await self._thread.edit(message.ts, message.part.index, text, blocks)
                return True
            except SlackRefused as refused:
                if refused.error in GONE:
                    self.gone = True
                    return False
                if refused.error == "streaming_state_conflict" and attempt < 2:
                    await self.stop_quietly(message.part)
                elif refused.error == "invalid_blocks" and self._plans:
                    self._plans = False
                else:
                    raise
        return False

    async def stop(
        self, message: PartMessage, chunks: Sequence[Block], below: Sequence[Block], status: str | None
    ) -> bool:
        """Whether the stream could be ended with its last words; one that could not is stale."""
        try:
            await self._thread.stop(message.ts, message.part.index, chunks, below, status)
        except SlackRefused as refused:
            self.gone = refused.error in GONE
            message.stale = True
            return False
        except SlackUnavailable:
            message.stale = True
            raise
        return True

    async def delete(self, part: Part) -> None:
        await self._thread.delete(part.ts or "")

    def _blocks(self, body: str, tasks: Sequence[Task]) -> list[Block]:
        return self._steps.blocks(body, tasks, plans=self._plans)


async def patiently(call: Callable[[], Awaitable[T]], sleep: Sleep) -> T:
    """Outlast a minute in which Slack does not answer."""
    waited, pause = 0.0, 1.0
    while True:
        try:
            return await call()
        except SlackUnavailable:
            if waited >= PATIENCE:
                raise
            await sleep(pause)
            waited, pause = waited + pause, min(pause * 2, LONGEST_PAUSE)
