"""What listeners share: who the agent is, the database, and work that may outlast the ack."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.models import Envelope, Incoming
from app.investigations.surface import IncidentDesk
from app.slack.incoming import Me
from app.slack.listeners.lanes import Lanes
from app.slack.people import Admission

log = structlog.get_logger(__name__)

LONGEST_WAIT = 3.0
"""Seconds."""


@dataclass
class Afterwards:
    """Small things to do once a message is safe, such as 👀; a shutdown waits for them."""

    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def do(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(self._quietly(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def done(self) -> None:
        """Wait for them as long as a shutdown can spare: the running turns need the rest of its grace."""
        if self.tasks:
            _, late = await asyncio.wait(self.tasks, timeout=LONGEST_WAIT)
            for task in late:
                task.cancel()

    async def _quietly(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            log.warning("afterwards_failed", reason=str(error))


@dataclass(frozen=True)
class Deed:
    """Something a person did in a thread besides writing, such as a click."""

    user_id: str
    team_id: str | None
    channel_id: str
    thread_ts: str


@dataclass(frozen=True)
class Desk:
    me: Me
    client: AsyncWebClient
    engine: AsyncEngine
    admission: Admission
    incidents: IncidentDesk | None = None
    afterwards: Afterwards = field(default_factory=Afterwards)
    lanes: Lanes = field(default_factory=Lanes)

    async def refuses(self, deed: Deed) -> str | None:
        """Why this person decides nothing here: whoever is not answered in a conversation does not.

        Raises:
            SlackUnavailable: nobody can say who they are; nothing is done then, and nothing acknowledged.
        """
        return await self.admission.refuses(
            Incoming(
                team_id=self.me.team_id,
                channel_id=deed.channel_id,
                thread_ts=deed.thread_ts,
                message_ts=deed.thread_ts,
                user_id=deed.user_id,
                text="",
                kind="mention",
                envelope=Envelope(speaker_team_id=deed.team_id),
            )
        )

    async def tell(self, deed: Deed, sentence: str) -> None:
        """Say something to one person alone; `sentence` is markup of Slack's."""
        await self.client.chat_postEphemeral(
            channel=deed.channel_id, user=deed.user_id, thread_ts=deed.thread_ts, text=sentence
        )
