"""What somebody chooses as an answer instead of writing it."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import structlog
from pydantic import TypeAdapter, ValidationError
from slack_bolt.async_app import AsyncAck, AsyncApp

from app.conversations.choosing import choose
from app.slack.blocks import CHOOSE
from app.slack.listeners.desk import Deed, Desk
from app.slack.payload import click_in, where

log = structlog.get_logger(__name__)

TAKEN = "This has been answered already; to correct it, write it in the thread."
OFFER = TypeAdapter[tuple[UUID, int]](tuple[UUID, int])


def register(app: AsyncApp, desk: Desk) -> None:
    async def hear(ack: AsyncAck, action: dict[str, Any], body: dict[str, Any]) -> None:
        try:
            click = click_in(body)
            chosen = action.get("selected_option") or action
            turn_id, number = OFFER.validate_python(str(chosen.get("value")).rpartition(":")[::2])
        except (ValidationError, AttributeError) as error:
            place = where(error) if isinstance(error, ValidationError) else "selected_option"
            log.warning("payload_not_understood", where=place)
            await ack()
            return
        deed = Deed(click.user_id, click.team_id, click.channel_id, click.thread_ts)
        if refusal := await desk.refuses(deed):
            await ack()
            desk.afterwards.do(desk.tell(deed, refusal))
            return
        taken = await choose(desk.engine, turn_id, number, user_id=click.user_id, message_ts=click.message_ts)
        await ack()
        if not taken:
            desk.afterwards.do(desk.tell(deed, TAKEN))

    app.action(re.compile(rf"^{CHOOSE}_"))(hear)
