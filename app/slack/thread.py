"""The messages of one turn in its thread: the calls that create, find, grow and finish them.

Each carries the turn's id, as metadata once it is finished or edited, and as the id of the first task of its
plan from the moment it exists (a stream takes no metadata before it is stopped); so a message whose creation
nobody saw succeed can be found again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient

from app.slack.blocks import Block
from app.slack.client import Pace, SlackRefused, ask

EVENT_TYPE = "sre_agent_turn"
PAGES = 5


async def replies(
    client: AsyncWebClient, channel: str, thread_ts: str, *, oldest: float = 0, latest: str | None = None
) -> AsyncIterator[Mapping[str, Any]]:
    """The messages of a thread between two times, oldest first, at most 5000, the root among them."""
    cursor: str | None = None
    for _ in range(PAGES):
        answer = await ask(
            "conversations.replies",
            client.conversations_replies(
                channel=channel,
                ts=thread_ts,
                oldest=f"{oldest:.6f}",
                latest=latest,
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


class TurnThread:
    """One thread, as one turn writes to it. Failures are those of `app.slack.client.ask`."""

    def __init__(
        self,
        client: AsyncWebClient,
        *,
        channel: str,
        thread_ts: str,
        turn_id: str,
        recipient_team_id: str | None,
        recipient_user_id: str | None,
        asked_ts: str,
        pace: Pace,
    ) -> None:
        self._client, self._pace = client, pace
        self._channel, self._thread_ts, self._turn_id = channel, thread_ts, turn_id
        self._team, self._user = recipient_team_id, recipient_user_id
        self._asked_ts = asked_ts

    def marker(self, index: int) -> str:
        """The id of the task every part of the reply begins its plan with."""
        return f"{self._turn_id}:{index}"

    async def start(self, chunks: Sequence[Block]) -> str:
        """Open a stream in plan mode; its ts."""
        answer = await ask(
            "chat.startStream",
            self._client.chat_startStream(
                channel=self._channel,
                thread_ts=self._thread_ts,
                recipient_team_id=self._team,
                recipient_user_id=self._user,
                task_display_mode="plan",
                chunks=chunks,
            ),
        )
        return str(answer["ts"])

    async def append(self, ts: str, chunks: Sequence[Block]) -> None:
        await ask(
            "chat.appendStream",
            self._client.chat_appendStream(channel=self._channel, ts=ts, chunks=chunks),
        )

    async def stop(
        self,
        ts: str,
        index: int,
        chunks: Sequence[Block] = (),
        blocks: Sequence[Block] = (),
        session_status: str | None = None,
    ) -> None:
        await ask(
            "chat.stopStream",
            self._client.chat_stopStream(
                channel=self._channel,
                ts=ts,
                chunks=chunks or None,
                blocks=blocks or None,
                metadata=self._metadata(index),
                session_status=session_status,
            ),
        )

    async def post(self, index: int, text: str, blocks: Sequence[Block]) -> str:
        """Post a message at the channel's pace; its ts."""
        await self._pace.turn(self._channel)
        answer = await ask(
            "chat.postMessage",
            self._client.chat_postMessage(
                channel=self._channel,
                thread_ts=self._thread_ts,
                text=text,
                blocks=blocks,
                metadata=self._metadata(index),
                unfurl_links=False,
                unfurl_media=False,
            ),
        )
        return str(answer["ts"])

    async def edit(self, ts: str, index: int, text: str, blocks: Sequence[Block]) -> None:
        await ask(
            "chat.update",
            self._client.chat_update(
                channel=self._channel, ts=ts, text=text, blocks=blocks, metadata=self._metadata(index)
            ),
        )

    async def delete(self, ts: str) -> None:
        try:
            await ask("chat.delete", self._client.chat_delete(channel=self._channel, ts=ts))
        except SlackRefused as refused:
            if refused.error != "message_not_found":
                raise

    async def session(self, status: str, title: str | None = None) -> None:
        """Show at the thread whether the agent is at work, which brings Slack's own stop button."""
        await ask(
            "agents.sessions.setStatus",
            self._client.agents_sessions_setStatus(
                channel_id=self._channel, thread_ts=self._thread_ts, status=status, title=title
            ),
        )

    async def find(self, index: int) -> str | None:
        """The ts of the part `index` of this turn's reply, if it was created.

        It is looked for behind the question, by Slack's clock alone: ours may have been wrong then.
        """
        asked = float(self._asked_ts)
        async for message in replies(self._client, self._channel, self._thread_ts, oldest=asked):
            if message.get("bot_id") and index in self._parts_in(message):
                return str(message["ts"])
        return None

    def _parts_in(self, message: Mapping[str, Any]) -> Iterable[int]:
        metadata = message.get("metadata") or {}
        payload = metadata.get("event_payload") or {}
        if metadata.get("event_type") == EVENT_TYPE and payload.get("turn_id") == self._turn_id:
            yield int(payload.get("part", 0))
        for block in message.get("blocks") or []:
            for task in [block, *(block.get("tasks") or [])]:
                turn, _, index = str(task.get("task_id", "")).rpartition(":")
                if turn == self._turn_id and index.isdigit():
                    yield int(index)

    def _metadata(self, index: int) -> dict[str, Any]:
        return {"event_type": EVENT_TYPE, "event_payload": {"turn_id": self._turn_id, "part": index}}
