"""The thumbs under an answer."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import structlog
from slack_bolt.async_app import AsyncAck, AsyncApp

from app.conversations.feedback import record
from app.slack.blocks import FEEDBACK
from app.slack.listeners.desk import Desk

log = structlog.get_logger(__name__)


HELPFUL = "Thank you; noted as helpful."
NOT_HELPFUL = (
    "Thank you; noted as not helpful. Tell me in the thread what was wrong or missing, and I will look again."
)


def register(app: AsyncApp, desk: Desk) -> None:
    async def hear(ack: AsyncAck, action: dict[str, Any], body: dict[str, Any]) -> None:
        thumb, _, turn_id = str(action.get("value", "")).partition(":")
        helpful = thumb == "up"
        stored = await record(desk.engine, UUID(turn_id), str(body["user"]["id"]), helpful=helpful)
        await ack()
        if stored:
            desk.afterwards.do(_thank(desk, body, helpful=helpful))

    app.action(FEEDBACK)(hear)


async def _thank(desk: Desk, body: dict[str, Any], *, helpful: bool) -> None:
    container = body.get("container") or {}
    message = body.get("message") or {}
    words = HELPFUL if helpful else NOT_HELPFUL
    await desk.client.chat_postEphemeral(
        channel=container.get("channel_id") or body["channel"]["id"],
        user=body["user"]["id"],
        thread_ts=message.get("thread_ts") or container.get("thread_ts"),
        text=words,
    )
