"""What listeners share: who the agent is, the database, and work that may outlast the ack."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy.ext.asyncio import AsyncEngine

from app.investigations.surface import IncidentDesk
from app.slack.incoming import Me
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
class Desk:
    me: Me
    client: AsyncWebClient
    engine: AsyncEngine
    admission: Admission
    incidents: IncidentDesk | None = None
    afterwards: Afterwards = field(default_factory=Afterwards)
