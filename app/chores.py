"""What is done again and again beside the work: by every replica, and each time by whichever looks first."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.accept import forget_sightings
from app.investigations.incidents import drop_rejected
from app.investigations.intake import Intake
from app.investigations.queueing import expire_overdue
from app.storage.engine import begin
from app.storage.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

EXPIRE_SECONDS = 5.0
FORGET_SECONDS = 60.0
QUIET_EVERY_SECONDS = 300.0


def in_background(stack: AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    """Until the stack is closed."""
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)


async def expire(engine: AsyncEngine, ttl_seconds: float) -> None:
    """Take what waited too long out of the queue, and what was refused an hour ago out of the database."""
    while True:
        await asyncio.sleep(min(EXPIRE_SECONDS, ttl_seconds))
        try:
            await expire_overdue(engine, ttl_seconds)
            async with begin(engine) as connection:
                await drop_rejected(connection)
        except DatabaseUnavailable as error:
            log.warning("expiry_put_off", reason=error.sentence)


async def open_for_alerts(intake: Intake) -> None:
    """Once; who cannot be reached now is tried again by the first alert."""
    with suppress(DatabaseUnavailable):
        await intake.open()


async def end_quiet(intake: Intake) -> None:
    """What its source told nothing of for a day is over."""
    while True:
        try:
            await intake.end_quiet()
        except DatabaseUnavailable as error:
            log.warning("quiet_incidents_put_off", reason=error.sentence)
        await asyncio.sleep(QUIET_EVERY_SECONDS)


async def forget_what_was_overheard(engine: AsyncEngine) -> None:
    """It is nobody's business a little later."""
    while True:
        await asyncio.sleep(FORGET_SECONDS)
        try:
            await forget_sightings(engine)
        except DatabaseUnavailable as error:
            log.warning("forgetting_put_off", reason=error.sentence)
