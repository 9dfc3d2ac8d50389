"""The growing message: one answer of one turn, seen in Slack exactly once however many processes write it.

The answer is kept whole here; Slack is shown it in parts, each one message. A part grows as a native stream
and ends before Slack would end it (about five minutes, about 12,000 characters); where streams are refused or
die it grows by edits. What is about to be created is stored first, so that a successor finds it and goes on.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import TypeVar

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from app.context.models import Source
from app.conversations.reply import Ledger, TaskStatus
from app.errors import AgentError
from app.slack import blocks as kit
from app.slack.blocks import Block, Task
from app.slack.client import Clock, Pace, SlackRefused, SlackUnavailable, Sleep
from app.slack.shown import Part, ReplyState, Shown, seal
from app.slack.text import break_at, cost, last_paragraph, markdown, reopening, settled
from app.slack.thread import TurnThread

log = structlog.get_logger(__name__)
T = TypeVar("T")

FLUSH_AT = 256
"""Characters that are sent without waiting for the timer."""
FLUSH_EVERY = 1.0
ROTATE_AFTER = 240.0
"""Seconds after which a stream is ended by us at the next line or rest; Slack ends it at about 300."""
ROTATE_AT_LAST = 280.0
REST = 5.0
"""Seconds without a word after which a text is taken to pause where it is."""
PART_BYTES = 9_000
SOFT_BYTES = 8_200
"""From here on a streamed part ends at the next paragraph."""
EDIT_EVERY = 2.5
"""Seconds between edits of one message; `chat.update` allows 50 a minute."""
PATIENCE = 60.0
"""Seconds of refusals by an overloaded Slack that closing an answer outlasts."""
LONGEST_PAUSE = 15.0
SUCCESSOR_SHOWS = 10
"""Seconds in which whoever took a turn over has stored the message he goes on in."""
UNFINISHED = ("pending", "in_progress")
GONE = frozenset({"message_not_found", "thread_not_found", "cannot_reply_to_message"})
"""Somebody deleted the message or the question: nothing is shown any more, and nothing is wrong."""


@dataclass
class _Message:
    """One part as this process knows it.

    `start` is where it begins in the answer, `opens` what its text needs in front of that to stand alone.
    `sent` is its escaped text as Slack has it, and `shown_to` how far into the answer that reaches.
    `stale` says that Slack may show something else than `sent`, so that only an edit makes it right.
    """

    part: Part
    start: int
    opens: str = ""
    sent: str = ""
    shown_to: int = 0
    tried_to: int = 0
    tasks: dict[str, Task] = field(default_factory=dict)
    streaming: bool = False
    stale: bool = False
    opened_at: float = 0.0
    changed_at: float = 0.0

    @property
    def is_closed(self) -> bool:
        return self.part.state == "closed"

    @property
    def ts(self) -> str:
        return self.part.ts or ""


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
        self._thread = TurnThread(
            client,
            channel=channel,
            thread_ts=thread_ts,
            turn_id=turn_id,
            recipient_team_id=recipient_team_id,
            recipient_user_id=recipient_user_id,
            asked_ts=asked_ts or thread_ts,
            pace=pace,
        )
        self._turn_id = turn_id
        self._shown = ledger if isinstance(ledger, Shown) else Shown(ledger)
        self._clock, self._sleep = clock, sleep
        self._native, self._plans = native, True
        self._title = ""
        self._text = ""
        self._messages: list[_Message] = []
        self._spare: list[Part] = []
        self._doubtful: Part | None = None
        self._waiting_tasks: dict[str, Task] = {}
        self._going_on: dict[str, Task] = {}
        self._taken_over, self._resumed = False, False
        self._busy = asyncio.Lock()
        self._wake = asyncio.Event()
        self._only_when_full = False
        self._next_try, self._pause = 0.0, 1.0
        self._ending = False
        self._gone = False
        self._refusal: SlackRefused | None = None
        self._broken: BaseException | None = None
        self._worker: asyncio.Task[None] | None = None
        self._session: asyncio.Task[bool] | None = None
        self._said_active = False
        self.closed = False

    # -- what a turn does --------------------------------------------------------------------------------

    async def open(self, title: str) -> None:
        """Show that work has begun, or take over what a predecessor left.

        Raises:
            SlackUnavailable: after a minute in which a predecessor's message could not be looked for.
        """
        self._title = title
        await self._take_over()
        if self.closed:
            await self._say("active")  # a predecessor may have died before he could
            return
        self._session = asyncio.create_task(self._say_processing())
        self._worker = asyncio.create_task(self._work())

    async def text(self, delta: str) -> None:
        """Let the answer grow."""
        self._check()
        if self._resumed:
            self._set_text("")
        self._text += _storable(delta)
        message = self._current()
        fresh = len(self._text) - (message.tried_to if message else 0)
        if not self._only_when_full or fresh >= FLUSH_AT:
            self._wake.set()

    async def reset(self, text: str) -> None:
        """Show exactly this, whatever was shown before."""
        self._check()
        async with self._busy:
            self._set_text(_storable(text))
        self._wake.set()

    async def task(
        self,
        id: str,
        title: str,
        status: TaskStatus,
        details: str = "",
        sources: Sequence[Source] = (),
    ) -> None:
        """Show a step of the work; the same `id` again changes it."""
        self._check()
        own_id = f"step-{id}" if id.startswith(self._turn_id) else id
        self._waiting_tasks[own_id] = Task(
            id=own_id, title=title, status=status, details=details, sources=tuple(sources)
        )
        self._wake.set()

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
        self._ending = True
        self._wake.set()
        try:
            async with asyncio.timeout(deadline):
                await self._leave(deadline / 2)
        except Exception as error:  # whoever takes over stops the stream himself
            log.warning("stream_left_open", turn_id=self._turn_id, reason=str(error) or type(error).__name__)
        finally:
            await _cancel(self._worker)
            await _cancel(self._session)

    # -- taking over -------------------------------------------------------------------------------------

    async def _take_over(self) -> None:
        self._taken_over = True
        state = await self._shown.load()
        self.closed = state.closed
        if not self.closed:
            await self._resume(state)

    async def _resume(self, state: ReplyState) -> None:
        for part in state.parts:
            found = part if part.ts else await self._patiently(partial(self._look_for, part))
            if found is None:
                await self._shown.without_part(part.index)
                continue
            if found.state != "closed":
                with suppress(SlackUnavailable):  # then the first edit ends it
                    await self._stop_quietly(found)
                found = found.model_copy(update={"mode": "post", "state": "open"})
                await self._shown.part(found)
            self._messages.append(_Message(found, start=0, stale=found.state != "closed"))
        self._resumed = bool(self._messages)

    async def _look_for(self, part: Part) -> Part | None:
        try:
            ts = await self._thread.find(part.index)
        except SlackRefused as refused:
            self._gone = refused.error in GONE
            return None
        return part.model_copy(update={"ts": ts}) if ts else None

    async def _stop_quietly(self, part: Part) -> None:
        """End the stream of a part if it is one and still open."""
        try:
            await self._thread.stop(part.ts or "", part.index)
        except SlackRefused as refused:
            log.debug("stream_already_ended", turn_id=self._turn_id, reason=refused.error)

    def _set_text(self, text: str) -> None:
        """Take `text` as the whole answer; find the first part that shows something else."""
        old, self._text = self._text, text
        self._resumed = False
        at, opens = 0, ""
        for number, message in enumerate(self._messages):
            moved = message.start != at
            message.start, message.opens = at, opens
            end = at + message.part.text_chars
            if message.is_closed and len(text) >= end and seal(text[at:end]) == message.part.seal:
                message.shown_to = message.tried_to = end
                opens = reopening(opens + text[at:end], text[end:])[1]
                at = end
                continue
            kept = not moved and old[at : message.shown_to] == text[at : message.shown_to]
            if message.is_closed or not kept:
                message.stale = True
            if message.is_closed:
                message.part = message.part.model_copy(update={"mode": "post", "state": "open"})
                message.streaming = False
            message.tried_to = min(message.tried_to, len(text)) if kept else at
            self._spare = [each.part for each in self._messages[number + 1 :]] + self._spare
            del self._messages[number + 1 :]
            return

    # -- the worker --------------------------------------------------------------------------------------

    async def _work(self) -> None:
        try:
            while not self._gone:
                await self._until_due()
                if self._ending:
                    return
                async with self._busy:
                    await self._show_or_wait()
        except Exception as error:
            self._broken = error

    async def _show_or_wait(self) -> None:
        try:
            await self._show()
            self._pause = 1.0
        except SlackRefused as refused:
            self._refusal, self._gone = refused, True
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

    def _delay(self) -> float | None:
        """Seconds until something is to be done; None when only a call of ours can bring work."""
        now = self._clock()
        self._only_when_full = False
        if self._next_try > now:
            self._only_when_full = True
            return self._next_try - now
        message = self._current()
        if message is None:
            return 0 if self._is_worth_a_message() else None
        if message.streaming and not message.stale:
            return self._delay_of_stream(message, now)
        if message.stale or self._waiting_tasks or len(self._text) > message.tried_to:
            # A stream that went wrong is set right at once; edits keep their distance.
            return 0 if message.streaming else max(0.0, message.changed_at + EDIT_EVERY - now)
        return None

    def _delay_of_stream(self, message: _Message, now: float) -> float:
        fresh = len(self._text) - message.tried_to
        if self._waiting_tasks or fresh >= FLUSH_AT or (fresh and not message.sent):
            return 0
        if self._rotation(message) is not None:
            return 0
        rotate_in = message.opened_at + ROTATE_AFTER - now
        next_look = rotate_in if rotate_in > 0 else FLUSH_EVERY
        if fresh:
            self._only_when_full = True
            return min(next_look, message.changed_at + FLUSH_EVERY - now)
        return next_look

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

    def _current(self) -> _Message | None:
        last = self._messages[-1] if self._messages else None
        return None if last is None or last.is_closed else last

    def _is_worth_a_message(self) -> bool:
        return bool(not self._messages or self._waiting_tasks or self._rest().strip())

    def _rest(self) -> str:
        """The answer from behind the last part, which is closed."""
        last = self._messages[-1]
        return self._text[last.start + last.part.text_chars :]

    async def _show(self) -> None:
        """One step: create, end, append or edit; whatever is left makes the next step due."""
        message = self._current()
        if message is None:
            await self._begin()
        elif (cut := self._cut(message)) is not None:
            await self._finish_part(message, cut)
        elif (end := self._rotation(message)) is not None:
            await self._finish_part(message, end)
        elif message.streaming and not message.stale:
            await self._append(message)
        else:
            await self._edit(message, len(self._text))

    # -- parts -------------------------------------------------------------------------------------------

    async def _begin(self) -> None:
        """Create the next part, or take one that an earlier layout left over."""
        start, opens = self._next_start()
        if self._spare:
            part = self._spare.pop(0)
            if part.state != "closed":
                await self._stop_quietly(part)
            self._adopt(part, start, opens)
            return
        part = self._doubtful or self._new_part()
        if self._doubtful and (found := await self._look_for(part)):
            await self._stop_quietly(found)
            self._doubtful = None
            self._adopt(found, start, opens)
            return
        await self._shown.part(part)
        message = _Message(part, start, opens, shown_to=start, tried_to=start, opened_at=self._clock())
        cut = self._cut(message)
        body, end = self._settled_body(message, cut)
        tasks, tried_to = self._first_tasks(part.index), len(self._text) if cut is None else end
        if ts := await self._create(message, body, tasks):
            message.part = message.part.model_copy(update={"ts": ts, "state": "open"})
            message.sent, message.shown_to, message.tried_to = body, end, tried_to
            message.changed_at = self._clock()
            self._told(message, tasks)
            self._doubtful = None
            self._messages.append(message)
            try:
                await self._shown.part(message.part)
            except Exception:
                await self._take_back(message.part)
                raise

    async def _take_back(self, part: Part) -> None:
        """A message created after the turn was lost, which a successor who has his own does not know of."""
        for _ in range(SUCCESSOR_SHOWS):
            stored = await self._shown.stored()
            known = next((each.ts for each in stored.parts if each.index == part.index), None)
            if known == part.ts:
                return
            if known is not None:
                await self._thread.delete(part.ts or "")
                return
            await self._sleep(1)  # he may be about to find it, or to create his own

    def _adopt(self, part: Part, start: int, opens: str) -> None:
        """Go on in a message that exists; the next edit makes it show what it should."""
        part = part.model_copy(update={"mode": "post", "state": "open"})
        self._messages.append(_Message(part, start, opens, shown_to=start, tried_to=start, stale=True))

    def _new_part(self) -> Part:
        index = max((message.part.index for message in self._messages), default=-1) + 1
        return Part(index=index, mode="stream" if self._native else "post", started_at=self._clock())

    def _next_start(self) -> tuple[int, str]:
        if not self._messages:
            return 0, ""
        last = self._messages[-1]
        end = last.start + last.part.text_chars
        return end, reopening(last.opens + self._text[last.start : end], self._text[end:])[1]

    def _first_tasks(self, index: int) -> list[Task]:
        title = self._title if index == 0 else "Continued"
        marker = Task(id=self._thread.marker(index), title=title, status="in_progress")
        return [marker, *(self._going_on | self._waiting_tasks).values()]

    async def _create(self, message: _Message, body: str, tasks: Sequence[Task]) -> str | None:
        """The ts of the new message; None when there is nobody to show it to any more."""
        self._doubtful = message.part
        try:
            if self._native:
                try:
                    ts = await self._thread.start(self._chunks(body, tasks, title=True))
                    message.streaming = True
                    return ts
                except SlackRefused as refused:
                    log.info("streaming_refused", turn_id=self._turn_id, reason=refused.error)
                    self._native = False
            message.part = message.part.model_copy(update={"mode": "post"})
            await self._shown.part(message.part)
            return await self._post(message, body, tasks)
        except SlackRefused as refused:
            if refused.error not in GONE:
                raise
            self._gone = True
            return None
        except SlackUnavailable as away:
            if away.certain:
                self._doubtful = None
            raise

    async def _post(self, message: _Message, body: str, tasks: Sequence[Task]) -> str:
        index = message.part.index
        try:
            return await self._thread.post(index, self._fallback(message), self._blocks(body, tasks))
        except SlackRefused as refused:
            if refused.error != "invalid_blocks" or not self._plans:
                raise
            self._plans = False
            return await self._thread.post(index, self._fallback(message), self._blocks(body, tasks))

    def _fallback(self, message: _Message) -> str:
        return kit.fallback(self._text[message.start : message.start + kit.LONGEST_FALLBACK * 2])

    async def _append(self, message: _Message) -> None:
        body, end = self._settled_body(message, None)
        tasks = list(self._waiting_tasks.values())
        message.tried_to = len(self._text)
        if not body.startswith(message.sent):
            message.stale = True
            return
        chunks = self._chunks(body[len(message.sent) :], tasks, known=message.tasks)
        if not chunks:
            return
        try:
            await self._thread.append(message.ts, chunks)
        except SlackRefused as refused:
            if refused.error in GONE:
                self._gone = True
                return
            log.info("stream_ended_early", turn_id=self._turn_id, reason=refused.error)
            message.stale = True
            return
        except SlackUnavailable as away:
            # Nobody knows whether these words arrived: an edit will show exactly the right ones.
            message.stale = not away.certain
            message.tried_to = message.shown_to
            raise
        message.sent, message.shown_to, message.changed_at = body, end, self._clock()
        self._told(message, tasks)

    async def _edit(self, message: _Message, end: int, below: Sequence[Block] = (), closes: str = "") -> None:
        """Make the message show its text up to `end`, its tasks, and `below`.

        Stored first: the ledger refuses whoever lost the turn before he overwrites his successor's words.
        """
        if message.streaming:
            await self._stop_quietly(message.part)
            message.streaming = False
        tried_to = len(self._text)
        body = self._body(message, end, closes)
        waiting = list(self._waiting_tasks.values())
        marker = Task(
            id=self._thread.marker(message.part.index), title=self._title or "Working", status="in_progress"
        )
        tasks = {marker.id: marker} | message.tasks | {task.id: task for task in waiting}
        message.part = message.part.model_copy(update={"mode": "post", "state": "open"})
        await self._shown.part(message.part)
        if not await self._edited(message, body, list(tasks.values()), below):
            return
        message.sent, message.shown_to, message.tried_to = body, end, tried_to
        message.stale, message.changed_at = False, self._clock()
        self._told(message, [marker, *message.tasks.values(), *waiting])

    def _body(self, message: _Message, end: int, closes: str) -> str:
        """The escaped text of a part that ends at `end`; one without words of its own opens nothing."""
        own = self._text[message.start : end]
        return markdown(message.opens + own + closes) if own else ""

    async def _edited(
        self, message: _Message, body: str, tasks: Sequence[Task], below: Sequence[Block]
    ) -> bool:
        for attempt in range(3):
            blocks = [*self._blocks(body, tasks), *below]
            try:
                await self._thread.edit(message.ts, message.part.index, self._fallback(message), blocks)
                return True
            except SlackRefused as refused:
                if refused.error in GONE:
                    self._gone = True
                    return False
                if refused.error == "streaming_state_conflict" and attempt < 2:
                    await self._stop_quietly(message.part)
                elif refused.error == "invalid_blocks" and self._plans:
                    self._plans = False
                else:
                    raise
        return False

    async def _finish_part(
        self,
        message: _Message,
        end: int,
        below: Sequence[Block] = (),
        *,
        ended: TaskStatus = "complete",
        last: bool = False,
    ) -> None:
        """End a part at `end`: no more is added to it."""
        own = self._text[message.start : end]
        closes = "" if last else reopening(message.opens + own, self._text[end:])[0]
        unfinished = {id: task for id, task in message.tasks.items() if task.status in UNFINISHED}
        for id in unfinished.keys() - self._waiting_tasks.keys():
            self._waiting_tasks[id] = unfinished[id].model_copy(update={"status": ended})
        body = self._body(message, end, closes)
        if not await self._stopped(message, body, below, last=last) and not self._gone:
            await self._edit(message, end, below, closes)
        if self._gone:
            return
        message.sent, message.shown_to, message.streaming = body, end, False
        message.part = message.part.model_copy(
            update={"state": "closed", "text_chars": len(own), "seal": seal(own)}
        )
        unfinished.pop(self._thread.marker(message.part.index), None)
        self._going_on = unfinished  # the next part's plan shows them at work again
        await self._shown.part(message.part)

    async def _stopped(self, message: _Message, body: str, below: Sequence[Block], *, last: bool) -> bool:
        """Whether the part could be ended as the stream it is."""
        if not message.streaming or message.stale or not body.startswith(message.sent):
            return False
        tasks = list(self._waiting_tasks.values())
        chunks = self._chunks(body[len(message.sent) :], tasks, known=message.tasks)
        status = "active" if last and self._is_processing() else None
        try:
            await self._thread.stop(message.ts, message.part.index, chunks, below, status)
        except SlackRefused as refused:
            self._gone = refused.error in GONE
            message.stale = True
            return False
        except SlackUnavailable:
            message.stale = True
            raise
        self._told(message, tasks)
        self._said_active = status is not None
        return True

    # -- where a part ends -------------------------------------------------------------------------------

    def _cut(self, message: _Message) -> int | None:
        """Where in the answer this part must end because the rest does not fit; None when it fits."""
        ahead = len(message.opens)
        body = message.opens + self._text[message.start :]
        size = cost(body)
        shown = message.shown_to - message.start if message.streaming else 0
        first = ahead + max(1, shown)
        if size > PART_BYTES:
            at: int | None = break_at(body, PART_BYTES, first=first)
        elif size > SOFT_BYTES and message.streaming:
            at = last_paragraph(body, first)
        else:
            at = None
        return None if at is None else message.start + at - ahead

    def _rotation(self, message: _Message) -> int | None:
        """Where in the answer this stream ends because it is old; None while it may go on."""
        now = self._clock()
        age = now - message.opened_at
        if not message.streaming or message.stale or age < ROTATE_AFTER:
            return None
        line = self._text.rfind("\n", max(message.shown_to - 1, message.start)) + 1
        if line:
            return line
        if message.shown_to == len(self._text) and now - message.changed_at >= REST:
            return message.shown_to
        if age < ROTATE_AT_LAST:
            return None
        return max(self._text.rfind(" ", message.shown_to) + 1, message.shown_to)

    def _settled_body(self, message: _Message, cut: int | None) -> tuple[str, int]:
        """The escaped text a stream can be given now, and how far into the answer it reaches."""
        raw = message.opens + self._text[message.start : cut]
        sure = max(settled(raw), len(message.opens))
        if not raw[len(message.opens) : sure].strip():
            return message.sent, message.shown_to
        return markdown(raw[:sure]), message.start + sure - len(message.opens)

    # -- what is sent ------------------------------------------------------------------------------------

    def _chunks(
        self, text: str, tasks: Iterable[Task], *, known: dict[str, Task] | None = None, title: bool = False
    ) -> list[Block]:
        """Chunks of a stream; details and sources Slack already has are not sent again."""
        chunks: list[Block] = []
        if title:
            chunks.append({"type": "plan_update", "title": kit.plan(self._title, [])["title"]})
        written = [{"type": "markdown_text", "text": text}] if text else []
        if not title:
            chunks += written  # what was written before a step stays in front of it
        for task in tasks:
            before = (known or {}).get(task.id)
            told = before and (before.details, before.sources) == (task.details, task.sources)
            news = task.model_copy(update={"details": "", "sources": ()}) if told else task
            chunks.append(kit.task_update(news))
        return [*chunks, *written] if title else chunks

    def _blocks(self, body: str, tasks: Sequence[Task]) -> list[Block]:
        """A message that is not a stream; `body` is escaped already."""
        shown = [tasks[0], *tasks[1:][-(kit.MOST_BLOCKS - 1) :]] if tasks else []
        made = [kit.plan(self._title, shown)] if shown and self._plans else []
        if body.strip():
            made.append({"type": "markdown", "text": body})
        return made or [kit.markdown_block("-")]

    def _told(self, message: _Message, tasks: Iterable[Task]) -> None:
        for task in tasks:
            message.tasks[task.id] = task
            if self._waiting_tasks.get(task.id) is task:
                del self._waiting_tasks[task.id]

    # -- the end -----------------------------------------------------------------------------------------

    async def _end(
        self, below: Sequence[Block], final_text: str | None, *, ended: TaskStatus, begins: bool = True
    ) -> None:
        self._check()
        if not self._taken_over:
            await self._take_over()
            await self._say("active")  # what a predecessor said, and nobody else takes back
        if self.closed:
            return
        self._ending = True
        self._wake.set()
        if self._worker:
            # Not awaited itself: who is cancelled here may end it once more, and then needs it alive.
            await asyncio.wait({self._worker})
        self._check()
        async with self._busy:
            if final_text is not None or self._resumed:
                self._set_text(self._text if final_text is None else _storable(final_text))
            seen = bool(self._messages or self._doubtful or self._text.strip())
            if (begins or seen) and not self._gone:
                await self._patiently(partial(self._finish, below, ended))
        if self._refusal:
            raise self._refusal
        await self._shown.closed()
        self.closed = True
        await self._say_active()

    async def _patiently(self, call: Callable[[], Awaitable[T]]) -> T:
        """Outlast a minute in which Slack does not answer."""
        waited, pause = 0.0, 1.0
        while True:
            try:
                return await call()
            except SlackUnavailable:
                if waited >= PATIENCE:
                    raise
                await self._sleep(pause)
                waited, pause = waited + pause, min(pause * 2, LONGEST_PAUSE)

    async def _finish(self, below: Sequence[Block], ended: TaskStatus) -> None:
        if self._current() is None and (not self._messages or self._rest().strip()):
            await self._begin()
        while not self._gone and (message := self._current()) and (cut := self._cut(message)) is not None:
            await self._finish_part(message, cut)
            await self._begin()
        if self._gone:
            return
        await self._finish_part(self._messages[-1], self._end_of_last(), below, ended=ended, last=True)
        while self._spare and not self._gone:
            await self._thread.delete(self._spare[0].ts or "")
            await self._shown.without_part(self._spare.pop(0).index)

    def _end_of_last(self) -> int:
        last = self._messages[-1]
        return last.start + last.part.text_chars if last.is_closed else len(self._text)

    async def _leave(self, patience: float) -> None:
        if self._worker:
            await asyncio.wait({self._worker}, timeout=patience)
            await _cancel(self._worker)
        message = self._current()
        if message and message.streaming and self._broken is None:
            await self._stop_quietly(message.part)
            message.streaming = False
            message.part = message.part.model_copy(update={"mode": "post"})
            await self._shown.part(message.part)

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    # -- Slack's own sign of work ------------------------------------------------------------------------

    async def _say_processing(self) -> bool:
        return await self._say("processing")

    def _is_processing(self) -> bool:
        task = self._session
        return bool(task and task.done() and not task.cancelled() and not task.exception() and task.result())

    async def _say_active(self) -> None:
        """Take the sign back where the end of a stream did not."""
        if self._session and not self._session.done():
            await asyncio.wait({self._session}, timeout=2)
            await _cancel(self._session)
        if self._is_processing() and not self._said_active:
            await self._say("active")

    async def _say(self, status: str) -> bool:
        """Whether this workspace knows sessions; where it does not, the plan is sign enough."""
        try:
            async with asyncio.timeout(5):
                await self._thread.session(status, self._title[:200] or None)
        except (SlackRefused, SlackUnavailable, TimeoutError) as error:
            log.debug("session_status_refused", turn_id=self._turn_id, reason=str(error))
            return False
        return True


async def _cancel(task: asyncio.Task[None] | asyncio.Task[bool] | None) -> None:
    if task and not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _storable(text: str) -> str:
    """Halves of surrogate pairs and NUL cannot be sent or stored."""
    return (
        text.encode("utf-8", "replace").decode().replace("\0", "")
        if not text.isascii() or "\0" in text
        else text
    )
