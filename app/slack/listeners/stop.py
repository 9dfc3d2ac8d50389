"""The Stop button of a running turn."""

from __future__ import annotations

from typing import Any

from slack_bolt.async_app import AsyncApp

from app.conversations.accept import stop
from app.slack.listeners.desk import Desk


def register(app: AsyncApp, desk: Desk) -> None:
    async def hear(event: dict[str, Any]) -> None:
        await stop(
            desk.engine,
            team_id=desk.me.team_id,
            channel_id=str(event["channel"]),
            thread_ts=str(event["thread_ts"]),
            user_id=str(event["user"]),
        )

    app.event("agent_session_stopped")(hear)
