"""An answer in Slack: the growing message, what stands below it, files, and the reaction on the question."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

import structlog
from slack_sdk.web.async_client import AsyncWebClient

from app.context.models import Source
from app.conversations.models import Incoming
from app.conversations.reply import Closing, Ledger, NotShown, Said, TaskStatus
from app.slack import blocks as kit
from app.slack.channels import Channels
from app.slack.client import Clock, Pace, SlackRefused, SlackUnavailable, Sleep, ask
from app.slack.incoming import Ignored, Me, read
from app.slack.people import Admission
from app.slack.shown import Attachment, Shown
from app.slack.stream import GrowingMessage
from app.slack.text import incoming as plain
from app.slack.thread import replies

log = structlog.get_logger(__name__)

WORKING = "Working on it"
NO_ANSWER = "I have nothing to say to this."
LOOKS = (0.2, 0.3, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Seconds between looks whether an uploaded file has appeared."""
UPLOADS = 2
DONE = {"done": "white_check_mark", "failed": "x"}
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
        await self._message.abandon()

    # -- reactions ---------------------------------------------------------------------------------------

    async def settle(self, outcome: Literal["done", "failed", "cancelled"]) -> None:
        """Best effort: a reaction that cannot be set does not fail an answer that stands."""
        where = {"channel": self._question.channel_id, "timestamp": self._question.message_ts}
        if outcome in DONE:
            await self._quietly("reactions.add", self._client.reactions_add(name=DONE[outcome], **where))
        if await self._quietly("reactions.remove", self._client.reactions_remove(name="eyes", **where)):
            return
        # A quick answer can overtake the 👀 that its listener sends after the ack.
        await self._sleep(0.5)
        await self._quietly("reactions.remove", self._client.reactions_remove(name="eyes", **where))

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
        content = content or b"\n"  # Slack refuses empty files
        file = await self._attachment(file_name, content)
        for _ in range(UPLOADS):
            if file.file_id is None:
                file = await self._upload(file, file_name, title, content)
            if file.file_id and await self._appeared(file.file_id):
                return
            log.warning("file_never_appeared", turn_id=self._turn_id, file_name=file_name)
            file = file.model_copy(update={"file_id": None})
            await self._shown.attachment(file)
        raise SlackUnavailable(f"Slack took the file {file_name} and did not show it.", certain=False)

    async def _attachment(self, file_name: str, content: bytes) -> Attachment:
        """What is known of this file; the intent is stored before anything is uploaded."""
        key = hashlib.sha256(file_name.encode() + b"\0" + content).hexdigest()[:16]
        known = next((each for each in self._shown.state.attachments if each.key == key), None)
        if known is None:
            known = Attachment(key=key, started_at=self._clock())
            await self._shown.attachment(known)
        elif known.file_id is None:
            found = await self._look_for(file_name, len(content))
            known = known.model_copy(update={"file_id": found})
        return known

    async def _look_for(self, file_name: str, size: int) -> str | None:
        where = (self._client, self._question.channel_id, self._question.thread_ts)
        async for message in replies(*where, oldest=float(self._question.message_ts)):
            for file in message.get("files") or [] if message.get("bot_id") else []:
                if file.get("name") == file_name and file.get("size") == size:
                    return str(file["id"])
        return None

    async def _upload(self, file: Attachment, file_name: str, title: str, content: bytes) -> Attachment:
        answer = await ask(
            "files.upload",
            self._client.files_upload_v2(
                channel=self._question.channel_id,
                thread_ts=self._question.thread_ts,
                file_uploads=[{"filename": file_name, "title": title, "content": content}],
            ),
        )
        file = file.model_copy(update={"file_id": str(answer["files"][0]["id"])})
        await self._shown.attachment(file)
        return file

    async def _appeared(self, file_id: str) -> bool:
        """Completing an upload answers before the file is in its channel, and sometimes it never is."""
        for wait in LOOKS:
            try:
                answer = await ask("files.info", self._client.files_info(file=file_id))
            except SlackRefused as refused:
                if refused.error != "file_not_found":
                    raise
                return False
            if _is_shared(answer["file"], self._question.channel_id):
                return True
            await self._sleep(wait)
        return False


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


def _is_shared(file: Mapping[str, Any], channel_id: str) -> bool:
    shares = file.get("shares") or {}
    return any(channel_id in places for places in shares.values())
