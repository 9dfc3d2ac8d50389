"""The Stop button of a running turn."""

from __future__ import annotations

from typing import Any

import structlog
from pydantic import ValidationError
from slack_bolt.async_app import AsyncApp

from app.conversations.accept import stop
from app.slack.listeners.desk import Deed, Desk
from app.slack.payload import ChannelId, Part, Ts, UserId, where

log = structlog.get_logger(__name__)


class _Stopped(Part):
    channel: ChannelId
    thread_ts: Ts
    user: UserId


def register(app: AsyncApp, desk: Desk) -> None:
    async def hear(event: dict[str, Any]) -> None:
        try:
            stopped = _Stopped.model_validate(event)
        except ValidationError as error:
            log.warning("payload_not_understood", where=f"event.{where(error)}")
            return
        deed = Deed(stopped.user, None, stopped.channel, stopped.thread_ts)
        if await desk.refuses(deed):
            # No word to them: Slack may tell of one Stop several times, and the turn goes on in plain sight.
            log.info("speaker_refused", channel_id=stopped.channel, user_id=stopped.user)
            return
        await stop(
            desk.engine,
            team_id=desk.me.team_id,
            channel_id=stopped.channel,
            thread_ts=stopped.thread_ts,
            user_id=stopped.user,
        )

    app.event("agent_session_stopped")(hear)
