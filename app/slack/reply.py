"""An answer in Slack: the growing message, what stands below it, files, and the reaction on the question."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from app.agent.phrases import Phrases
from app.context.models import Source
from app.conversations.models import Incoming
from app.conversations.reply import Closing, Ledger, NotShown, Said, TaskStatus
from app.slack import blocks as kit
from app.slack.channels import Channels
from app.slack.client import Clock, Pace, SlackRefused, SlackUnavailable, Sleep, ask
from app.slack.files import ThreadFiles
from app.slack.incoming import Ignored, Me, read
from app.slack.people import Admission
from app.slack.shown import Shown
from app.slack.stream import GrowingMessage
from app.slack.stream_sign import cancel
from app.slack.text import incoming as plain
from app.slack.thread import replies

log = structlog.get_logger(__name__)

WORKING = "Working on it"
NO_ANSWER = "I have nothing to say to this."
DONE = {"done": "white_check_mark", "failed": "x"}
LATE_SECONDS = 10.0
"""After these a question may be one that was found in its thread, and that no listener gave its 👀."""
HARMLESS = frozenset({"already_reacted", "no_reaction", "message_not_found", "thread_not_found"})


@dataclass(frozen=True)
class Question:
    """The message an answer belongs to: where it is, and whom the stream is for."""

    channel_id: str
    thread_ts: str
    message_ts: str
    user_id: str
    team_id: str


class SlackReply:
    """`Reply` in a Slack thread. `sre_team_id` is the user group tagged when an answer asks for it."""

    def __init__(
        self,
        client: AsyncWebClient,
        question: Question,
        turn_id: str,
        ledger: Ledger,
        *,
        pace: Pace,
        sre_team_id: str | None = None,
        title: str = WORKING,
        clock: Clock = time.time,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._client, self._question, self._turn_id = client, question, turn_id
        self._sre_team_id, self._title = sre_team_id, title
        self._clock, self._sleep = clock, sleep
        self._shown = Shown(ledger)
        self._eyes: asyncio.Task[None] | None = None
        self._message = GrowingMessage(
            client,
            channel=question.channel_id,
            thread_ts=question.thread_ts,
            turn_id=turn_id,
            recipient_team_id=question.team_id,
            recipient_user_id=question.user_id,
            asked_ts=question.message_ts,
            ledger=self._shown,
            pace=pace,
            clock=clock,
            sleep=sleep,
        )

    async def open(self) -> None:
        await self._message.open(self._title)
        late = self._clock() - float(self._question.message_ts) > LATE_SECONDS
        if late and not self._message.closed and self._eyes is None:
            self._eyes = asyncio.create_task(self._give_eyes())

    async def text(self, delta: str) -> None:
        await self._message.text(delta)

    async def reset(self, text: str) -> None:
        await self._message.reset(text)

    async def task(
        self, id: str, title: str, status: TaskStatus, details: str = "", sources: Sequence[Source] = ()
    ) -> None:
        await self._message.task(id, title, status, details, sources)

    async def notice(self, sentence: str) -> None:
        await self._message.task("notice", sentence, "in_progress")

    async def close(self, closing: Closing) -> None:
        below = kit.answer_blocks(
            turn_id=self._turn_id,
            confidence=closing.confidence,
            sources=closing.sources,
            notices=closing.notices,
            sre_team_id=self._sre_team_id if closing.tag_sre else None,
            offline_reason=closing.offline_reason,
            knowledge_revision=closing.knowledge_revision,
            words=Phrases(closing.language),
            offers=[offer.label for offer in closing.offers],
        )
        async with _for_good():
            await self._message.close(
                blocks=below, final_text=closing.text if closing.text.strip() else NO_ANSWER
            )

    async def fail(self, sentence: str, trace_id: str) -> None:
        async with _for_good():
            await self._message.fail(sentence, trace_id)

    async def cancelled(self, by: str | None) -> None:
        said = ":octagonal_sign: Stopped on request." if by else ":octagonal_sign: Stopped."
        async with _for_good():
            await self._message.close(blocks=[kit.context(said)], only_what_is_shown=True)

    async def abandon(self) -> None:
        await cancel(self._eyes)
        await self._message.abandon()

    # -- reactions ---------------------------------------------------------------------------------------

    async def settle(self, outcome: Literal["done", "failed", "cancelled"]) -> None:
        """Best effort: a reaction that cannot be set does not fail an answer that stands."""
        if self._eyes:
            await self._eyes
        if outcome in DONE:
            await self._quietly(
                "reactions.add", self._client.reactions_add(name=DONE[outcome], **self._where())
            )
        if await self._take_eyes():
            return
        # A quick answer can overtake the 👀 that its listener sends after the ack.
        await self._sleep(0.5)
        await self._take_eyes()

    async def _give_eyes(self) -> None:
        await self._quietly("reactions.add", self._client.reactions_add(name="eyes", **self._where()))

    async def _take_eyes(self) -> bool:
        return await self._quietly(
            "reactions.remove", self._client.reactions_remove(name="eyes", **self._where())
        )

    def _where(self) -> dict[str, str]:
        return {"channel": self._question.channel_id, "timestamp": self._question.message_ts}

    async def _quietly(self, method: str, call: Awaitable[Any]) -> bool:
        """Whether Slack did it or had nothing against it; False when there was nothing to take away."""
        try:
            await ask(method, call)
        except (SlackRefused, SlackUnavailable) as error:
            reason = getattr(error, "error", error.code)
            if reason not in HARMLESS:
                log.warning("reaction_failed", turn_id=self._turn_id, reason=reason)
            return reason != "no_reaction"
        return True

    # -- files -------------------------------------------------------------------------------------------

    async def attach(self, file_name: str, title: str, content: bytes, media_type: str) -> None:
        """Add a file to the thread, once: a file that was shown by a predecessor is not shown again.

        Raises:
            SlackUnavailable: when Slack never showed it; calling again goes on.
            SlackRefused: when it may not be uploaded.
        """
        asked = self._question
        files = ThreadFiles(
            self._client,
            asked.channel_id,
            asked.thread_ts,
            since=asked.message_ts,
            kept=self._shown,
            clock=self._clock,
            sleep=self._sleep,
        )
        await files.attach(file_name, title, content)


@asynccontextmanager
async def _for_good() -> AsyncIterator[None]:
    try:
        yield
    except SlackRefused as refused:
        raise NotShown(refused.sentence) from refused


class SlackPlace:
    """`Place`: the thread around the question. `me` is the agent; `admission` says whom it answers."""

    def __init__(
        self, client: AsyncWebClient, question: Question, me: Me, channels: Channels, admission: Admission
    ) -> None:
        self._client, self._question, self._me = client, question, me
        self._channels, self._admission = channels, admission

    async def channel_name(self) -> str | None:
        return await self._channels.name(self._question.channel_id)

    async def name_of(self, user_id: str) -> str | None:
        try:
            return (await self._admission.people.person(user_id)).name
        except (SlackRefused, SlackUnavailable) as error:
            log.info("name_not_known", reason=error.sentence)
            return None

    async def said_before(self, *, limit: int = 50) -> tuple[Said, ...]:
        asked = self._question
        if asked.thread_ts == asked.message_ts:
            return ()
        said: list[Said] = []
        for message in await self._thread(latest=asked.message_ts):
            text = _words(message)
            speaker = str(message.get("user") or message.get("bot_id") or "")
            if text and speaker != self._me.user_id and _ts(message) < float(asked.message_ts):
                said.append(Said(user_id=speaker, text=text, ts=str(message["ts"])))
        return tuple(said[-limit:])

    async def addressed_since(self) -> tuple[Incoming, ...]:
        asked = self._question
        addressed: list[Incoming] = []
        for message in await self._thread(oldest=float(asked.message_ts)):
            # Written once, whatever was changed in it since: its own event was heard by nobody.
            event = {**message, "channel": asked.channel_id, "edited": None}
            incoming = read(event, self._me)
            if _ts(message) <= float(asked.message_ts) or isinstance(incoming, Ignored):
                continue
            if await self._admission.refuses(incoming) is None:
                addressed.append(incoming)
        return tuple(addressed)

    async def _thread(self, **between: Any) -> list[Mapping[str, Any]]:
        """What is there to be read; an answer without it is better than none."""
        asked = self._question
        thread = replies(self._client, asked.channel_id, asked.thread_ts, **between)
        try:
            return [message async for message in thread]
        except (SlackRefused, SlackUnavailable) as error:
            log.warning("thread_not_read", channel_id=asked.channel_id, reason=error.sentence)
            return []


def _ts(message: Mapping[str, Any]) -> float:
    return float(message["ts"])


def _words(message: Mapping[str, Any]) -> str:
    """A message's text; of an app that only sent attachments, their fallbacks."""
    written = [str(message.get("text") or "")]
    written += [
        str(each.get("fallback") or each.get("text") or "") for each in message.get("attachments") or []
    ]
    return plain("\n".join(each for each in written if each.strip())).strip()
