"""A mention, a follow-up in a known thread, a direct message: stored as a turn, then acknowledged with 👀."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog
from slack_bolt.async_app import AsyncApp
from slack_sdk.errors import SlackApiError

from app.conversations.accept import accept, belongs, is_answered, is_first_refusal
from app.conversations.models import Incoming
from app.slack.incoming import Ignored, Misshapen, read
from app.slack.listeners.desk import Desk

log = structlog.get_logger(__name__)


def register(app: AsyncApp, desk: Desk) -> None:
    async def hear(event: dict[str, Any]) -> None:
        await take(desk, event)

    app.event("app_mention")(hear)
    app.event("message")(hear)


async def take(desk: Desk, event: dict[str, Any]) -> None:
    """Store the message if it is ours. Raising means no ack, and Slack delivers it again."""
    incoming = read(event, desk.me)
    if isinstance(incoming, Misshapen):
        log.warning("payload_not_understood", where=f"event.{incoming.reason}")
        return
    if isinstance(incoming, Ignored):
        log.debug("event_ignored", reason=incoming.reason)
        return
    async with desk.lanes.of((incoming.team_id, incoming.channel_id, incoming.thread_ts)):
        await _store(desk, incoming)


async def _store(desk: Desk, incoming: Incoming) -> None:
    if incoming.kind == "follow_up" and not await belongs(desk.engine, incoming):
        return
    refusal = await desk.admission.refuses(incoming)
    if refusal is not None:
        if incoming.kind != "follow_up" and await is_first_refusal(desk.engine, incoming):
            desk.afterwards.do(_refuse(desk, incoming, refusal))
        return
    if accepted := await accept(desk.engine, incoming):
        desk.afterwards.do(_look(desk, incoming, accepted.turn_id))


async def _look(desk: Desk, incoming: Incoming, turn_id: UUID) -> None:
    """👀, unless Slack made it wait until the answer stood: then nobody else would take it away again."""
    where = {"channel": incoming.channel_id, "timestamp": incoming.message_ts, "name": "eyes"}
    try:
        await desk.client.reactions_add(**where)
        if await is_answered(desk.engine, turn_id):
            await desk.client.reactions_remove(**where)
    except SlackApiError as error:
        if error.response.get("error") not in ("already_reacted", "no_reaction"):
            raise


async def _refuse(desk: Desk, incoming: Incoming, sentence: str) -> None:
    log.info("speaker_refused", channel_id=incoming.channel_id, user_id=incoming.user_id)
    await desk.client.chat_postEphemeral(
        channel=incoming.channel_id,
        user=incoming.user_id,
        text=sentence,
        thread_ts=incoming.thread_ts if incoming.thread_ts != incoming.message_ts else None,
    )
