"""A word from one process to all: a short text given with a transaction, heard where somebody listens.

PostgreSQL's NOTIFY carries it: it is heard once the transaction is committed, and by those who listen then.
Who was cut off is told afterwards that something may have been missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import psycopg
import structlog
from psycopg import sql
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 3
TICK_SECONDS = 10.0
"""A connection that died in silence is noticed within this time, and the time a server takes to answer."""
RETRY_SECONDS = 1.0

ANNOUNCE = text("SELECT pg_notify(:channel, :said)")


async def announce(connection: AsyncConnection, channel: str, said: str) -> None:
    """Tell every process that listens to `channel`, once the caller's transaction is committed; fewer than
    8000 bytes."""
    await connection.execute(ANNOUNCE, {"channel": channel, "said": said})


class Announcements:
    """Calls `heard` with each text that is announced on a channel, and `missed` when it was cut off."""

    def __init__(
        self,
        url: str,
        channel: str,
        *,
        heard: Callable[[str], Awaitable[None]],
        missed: Callable[[], None],
    ) -> None:
        self._url = url
        self._channel = channel
        self._heard = heard
        self._missed = missed
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen from now on; where the database does not let us yet, as soon as it does."""
        self._task = asyncio.create_task(self._listen(), name=f"listening to {self._channel}")
        with suppress(TimeoutError):
            await asyncio.wait_for(self._listening.wait(), CONNECT_SECONDS)

    async def stop(self) -> None:
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        cut_off = False
        while True:
            try:
                connection = await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, connect_timeout=CONNECT_SECONDS
                )
                try:
                    await connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._channel)))
                    self._listening.set()
                    if cut_off:
                        self._missed()
                    await self._hear(connection)
                finally:
                    with suppress(Exception):
                        await connection.close()
            except (OSError, TimeoutError, psycopg.Error) as error:
                log.warning("announcements_not_heard", channel=self._channel, reason=str(error).strip())
            cut_off = True
            await asyncio.sleep(RETRY_SECONDS)

    async def _hear(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Until the connection ends."""
        while True:
            async for notice in connection.notifies(timeout=TICK_SECONDS):
                try:
                    await self._heard(notice.payload)
                except Exception as error:
                    log.warning("announcement_not_followed", channel=self._channel, reason=str(error))
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.execute("SELECT 1")
