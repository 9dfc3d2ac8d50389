"""The thumbs under an answer."""

from __future__ import annotations

from typing import Any, Literal
from uuid import UUID

import structlog
from pydantic import TypeAdapter, ValidationError
from slack_bolt.async_app import AsyncAck, AsyncApp

from app.conversations.feedback import record
from app.slack.blocks import FEEDBACK
from app.slack.listeners.desk import Deed, Desk
from app.slack.payload import click_in, where

log = structlog.get_logger(__name__)


HELPFUL = "Thank you; noted as helpful."
NOT_HELPFUL = (
    "Thank you; noted as not helpful. Tell me in the thread what was wrong or missing, and I will look again."
)
THUMB = TypeAdapter[tuple[Literal["up", "down"], UUID]](tuple[Literal["up", "down"], UUID])


def register(app: AsyncApp, desk: Desk) -> None:
    async def hear(ack: AsyncAck, action: dict[str, Any], body: dict[str, Any]) -> None:
        try:
            click = click_in(body)
            thumb, turn_id = THUMB.validate_python(str(action.get("value")).partition(":")[::2])
        except ValidationError as error:
            log.warning("payload_not_understood", where=where(error))
            await ack()
            return
        deed = Deed(click.user_id, click.team_id, click.channel_id, click.thread_ts)
        if refusal := await desk.refuses(deed):
            await ack()
            desk.afterwards.do(desk.tell(deed, refusal))
            return
        helpful = thumb == "up"
        stored = await record(desk.engine, turn_id, click.user_id, helpful=helpful)
        await ack()
        if stored:
            desk.afterwards.do(desk.tell(deed, HELPFUL if helpful else NOT_HELPFUL))

    app.action(FEEDBACK)(hear)
