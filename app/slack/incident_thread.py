"""The messages of one investigation in its channel, each posted once however often its work is repeated.

Each carries the investigation's id and its own part's name in its metadata. The intent is stored before the
call, so whoever finds an intent without a timestamp looks in Slack for the message before posting it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Literal

import structlog
from pydantic import Field
from slack_sdk.web.async_client import AsyncWebClient

from app.conversations.reply import Ledger
from app.frozen import Frozen
from app.slack.blocks import Block
from app.slack.client import Clock, Pace, SlackRefused, SlackUnavailable, Sleep, ask
from app.slack.shown import Attachment
from app.slack.thread import EVENT_TYPE, PAGES, replies

log = structlog.get_logger(__name__)

ROOT = "root"
LOOKS = (0.5, 1.5, 3.0)
"""Seconds after which a message is looked for whose post was never answered."""
SKEW = 3600
"""Seconds our clock may have been ahead of Slack's when a thread was begun."""
MALFORMED = frozenset({"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"})
GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})


class Message(Frozen):
    """One message; `ts` is None while nobody saw its creation succeed. `seal` stands for its last content."""

    ts: str | None = None
    state: Literal["intended", "posted"] = "intended"
    started_at: float
    seal: str = ""


class ThreadState(Frozen):
    messages: dict[str, Message] = Field(default_factory=dict)
    attachments: tuple[Attachment, ...] = ()


class ThreadLedger:
    """The stored state of one thread. Every change is saved before it returns, one save at a time.

    Whatever the ledger raises (another worker has the investigation) is raised here.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._one_at_a_time = asyncio.Lock()
        self._state = ThreadState()

    async def load(self) -> None:
        self._state = ThreadState.model_validate(await self._ledger.load() or {})

    def message(self, part: str) -> Message | None:
        return self._state.messages.get(part)

    async def keep(self, part: str, message: Message) -> None:
        await self._save({"messages": {**self._state.messages, part: message}})

    def attachments(self) -> tuple[Attachment, ...]:
        return self._state.attachments

    async def attachment(self, attachment: Attachment) -> None:
        others = tuple(each for each in self._state.attachments if each.key != attachment.key)
        await self._save({"attachments": (*others, attachment)})

    async def _save(self, update: dict[str, Any]) -> None:
        self._state = self._state.model_copy(update=update)
        async with self._one_at_a_time:
            await self._ledger.save(self._state.model_dump(mode="json"))


class PostedOnce:
    """Posts, finds and rewrites the parts of one investigation. Failures are those of `ask`."""

    def __init__(
        self,
        client: AsyncWebClient,
        channel: str,
        turn_id: str,
        ledger: ThreadLedger,
        *,
        pace: Pace,
        clock: Clock,
        sleep: Sleep,
    ) -> None:
        self._client, self._channel, self._turn_id = client, channel, turn_id
        self._ledger, self._pace, self._clock, self._sleep = ledger, pace, clock, sleep

    def known(self, part: str) -> str | None:
        """The ts of a part that is there."""
        message = self._ledger.message(part)
        return message.ts if message else None

    async def post(self, part: str, text: str, blocks: Sequence[Block], thread_ts: str | None = None) -> str:
        """The ts of the part, which is posted unless it is there already; then it stays as it is."""
        known = self._ledger.message(part)
        if known is not None and known.ts is not None:
            return known.ts
        if known is None:
            known = Message(started_at=self._clock(), seal=seal(text, blocks))
            await self._ledger.keep(part, known)
            found = None
        else:
            found = await self._find(part, known, thread_ts)
        ts = found or await self._surely(part, known, text, blocks, thread_ts)
        shows = known.seal if found else seal(text, blocks)
        posted = Message(ts=ts, state="posted", started_at=known.started_at, seal=shows)
        await self._ledger.keep(part, posted)
        return ts

    async def rewrite(
        self, part: str, text: str, blocks: Sequence[Block], thread_ts: str | None = None
    ) -> None:
        """Let a part that is there read like this; a message that is gone, or never came, is left alone."""
        known, now = self._ledger.message(part), seal(text, blocks)
        if known is not None and known.ts is None:
            known = known.model_copy(
                update={"ts": await self._find(part, known, thread_ts), "state": "posted"}
            )
        if known is None or known.ts is None or known.seal == now:
            return
        try:
            await self._edit(known.ts, part, text, blocks)
        except SlackRefused as refused:
            if refused.error not in GONE:
                raise
            log.warning("message_not_rewritten", turn_id=self._turn_id, part=part, reason=refused.error)
        await self._ledger.keep(part, known.model_copy(update={"seal": now}))

    async def _edit(self, ts: str, part: str, text: str, blocks: Sequence[Block] | None) -> None:
        given: dict[str, Any] = {"channel": self._channel, "ts": ts, "metadata": self._metadata(part)}
        try:
            await ask("chat.update", self._client.chat_update(text=text, blocks=blocks, **given))
        except SlackRefused as refused:
            if refused.error not in MALFORMED:
                raise
            log.error("blocks_refused", turn_id=self._turn_id, part=part, reason=refused.error)
            await ask("chat.update", self._client.chat_update(text=text, **given))

    async def _surely(
        self, part: str, known: Message, text: str, blocks: Sequence[Block], thread_ts: str | None
    ) -> str:
        """Post; when the answer is lost, look whether the message is there before posting again."""
        try:
            return await self._post(part, text, blocks, thread_ts)
        except SlackUnavailable as error:
            if error.certain:
                raise
        for wait in LOOKS:
            await self._sleep(wait)
            if found := await self._find(part, known, thread_ts):
                return found
        return await self._post(part, text, blocks, thread_ts)

    async def _post(self, part: str, text: str, blocks: Sequence[Block], thread_ts: str | None) -> str:
        await self._pace.turn(self._channel)
        try:
            return await self._call(part, text, blocks, thread_ts)
        except SlackRefused as refused:
            if refused.error not in MALFORMED:
                raise
            # Plain words are better than none: what blocks are refused for is found in the log.
            log.error("blocks_refused", turn_id=self._turn_id, part=part, reason=refused.error)
            return await self._call(part, text, None, thread_ts)

    async def _call(self, part: str, text: str, blocks: Sequence[Block] | None, thread_ts: str | None) -> str:
        answer = await ask(
            "chat.postMessage",
            self._client.chat_postMessage(
                channel=self._channel,
                thread_ts=thread_ts,
                text=text,
                blocks=blocks,
                metadata=self._metadata(part),
                unfurl_links=False,
                unfurl_media=False,
            ),
        )
        return str(answer["ts"])

    async def _find(self, part: str, known: Message, thread_ts: str | None) -> str | None:
        if thread_ts is None:
            messages = self._history(max(0.0, known.started_at - SKEW))
        else:
            messages = replies(self._client, self._channel, thread_ts)
        async for message in messages:
            if message.get("bot_id") and self._is_part(message, part):
                return str(message["ts"])
        return None

    async def _history(self, oldest: float) -> AsyncIterator[Mapping[str, Any]]:
        """The channel's own messages since then, at most 5000."""
        cursor: str | None = None
        for _ in range(PAGES):
            answer = await ask(
                "conversations.history",
                self._client.conversations_history(
                    channel=self._channel,
                    oldest=f"{oldest:.6f}",
                    include_all_metadata=True,
                    limit=1000,
                    cursor=cursor,
                ),
            )
            for message in answer.get("messages", []):
                yield message
            cursor = (answer.get("response_metadata") or {}).get("next_cursor")
            if not cursor:
                return

    def _is_part(self, message: Mapping[str, Any], part: str) -> bool:
        metadata = message.get("metadata") or {}
        return (metadata.get("event_type"), metadata.get("event_payload")) == (
            EVENT_TYPE,
            self._metadata(part)["event_payload"],
        )

    def _metadata(self, part: str) -> dict[str, Any]:
        return {"event_type": EVENT_TYPE, "event_payload": {"turn_id": self._turn_id, "part": part}}


def seal(text: str, blocks: Sequence[Block]) -> str:
    """16 hex digits that stand for a message."""
    return hashlib.sha256(json.dumps([text, list(blocks)]).encode()).hexdigest()[:16]
