"""When Slack is told what is new: words are gathered, edits keep their distance, outages are waited for."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import structlog

from app.errors import AgentError
from app.slack.client import Clock, SlackRefused, Sleep
from app.slack.stream_calls import LONGEST_PAUSE, PartCalls
from app.slack.stream_layout import ROTATE_AFTER, Layout, PartMessage
from app.slack.stream_sign import cancel
from app.slack.stream_steps import Steps
from app.slack.stream_writer import Writer

log = structlog.get_logger(__name__)

FLUSH_AT = 256
"""Characters that are sent without waiting for the timer."""
FLUSH_EVERY = 1.0
EDIT_EVERY = 2.5
"""Seconds between edits of one message; `chat.update` allows 50 a minute."""


class Worker:
    """Lets the writer make a step whenever one is due. `busy` is held while it does.

    `refusal` is what Slack said when it would not have this answer at all, `broken` whatever else ended the
    work: another worker has the turn, or a fault of ours.
    """

    def __init__(
        self,
        layout: Layout,
        steps: Steps,
        calls: PartCalls,
        writer: Writer,
        *,
        turn_id: str,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._layout, self._steps, self._calls, self._writer = layout, steps, calls, writer
        self._turn_id = turn_id
        self._clock, self._sleep = clock, sleep
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._only_when_full = False
        self._next_try, self._pause = 0.0, 1.0
        self._ending = False
        self.busy = asyncio.Lock()
        self.refusal: SlackRefused | None = None
        self.broken: BaseException | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._work())

    def wake(self) -> None:
        """Something is new that does not wait to be gathered."""
        self._wake.set()

    def grown(self) -> None:
        """Words are new; few of them wait for more."""
        message = self._layout.current
        if not self._only_when_full or self._fresh(message) >= FLUSH_AT:
            self._wake.set()

    def check(self) -> None:
        if self.broken is not None:
            raise self.broken

    async def end(self, patience: float | None = None) -> None:
        """Make no further step, and wait for the one that is being made.

        The task is not awaited itself: who is cancelled here may end it once more, and then needs it alive.
        """
        self._ending = True
        self._wake.set()
        if self._task:
            await asyncio.wait({self._task}, timeout=patience)

    async def cancel(self) -> None:
        await cancel(self._task)

    # -- steps -------------------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            while not self._calls.gone:
                await self._until_due()
                if self._ending:
                    return
                async with self.busy:
                    await self._step_or_wait()
        except Exception as error:
            self.broken = error

    async def _step_or_wait(self) -> None:
        try:
            await self._writer.step()
            self._pause = 1.0
        except SlackRefused as refused:
            self.refusal, self._calls.gone = refused, True
        except AgentError as away:
            if away.status != HTTPStatus.SERVICE_UNAVAILABLE:
                raise
            # Slack does not answer, or the database of the ledger.
            log.info("showing_pauses", turn_id=self._turn_id, reason=away.sentence, wait=self._pause)
            self._next_try = self._clock() + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE)

    async def _until_due(self) -> None:
        while not self._ending:
            delay = self._delay()
            if delay is not None and delay <= 0:
                break
            self._wake.clear()
            await self._woken_or(delay)
        self._only_when_full = False

    async def _woken_or(self, delay: float | None) -> None:
        if delay is None:
            await self._wake.wait()
            return
        waker = asyncio.create_task(self._wake.wait())
        timer = asyncio.ensure_future(self._sleep(delay))
        try:
            await asyncio.wait({waker, timer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waker.cancel()
            timer.cancel()

    # -- when one is due ---------------------------------------------------------------------------------

    def _delay(self) -> float | None:
        """Seconds until something is to be done; None when only a call of ours can bring work."""
        now = self._clock()
        self._only_when_full = False
        if self._next_try > now:
            self._only_when_full = True
            return self._next_try - now
        message = self._layout.current
        if message is None:
            return 0 if self._is_worth_a_message() else None
        if message.streaming and not message.stale:
            return self._delay_of_stream(message, now)
        if message.stale or self._steps.waiting or self._fresh(message) > 0:
            # A stream that went wrong is set right at once; edits keep their distance.
            return 0 if message.streaming else max(0.0, message.changed_at + EDIT_EVERY - now)
        return None

    def _delay_of_stream(self, message: PartMessage, now: float) -> float:
        fresh = self._fresh(message)
        if self._steps.waiting or fresh >= FLUSH_AT or (fresh and not message.sent):
            return 0
        if self._layout.rotation(message, now) is not None:
            return 0
        rotate_in = message.opened_at + ROTATE_AFTER - now
        next_look = rotate_in if rotate_in > 0 else FLUSH_EVERY
        if fresh:
            self._only_when_full = True
            return min(next_look, message.changed_at + FLUSH_EVERY - now)
        return next_look

    def _fresh(self, message: PartMessage | None) -> int:
        """Characters Slack was not told of yet."""
        return len(self._layout.text) - (message.tried_to if message else 0)

    def _is_worth_a_message(self) -> bool:
        return bool(not self._layout.messages or self._steps.waiting or self._layout.rest.strip())
