"""Once a week the team reads how often the agent was right, whichever replica is first to say it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import AgentError
from app.investigations.accuracy import accuracy, judged, post
from app.knowledge.repository import in_force
from app.storage.audit import write_audit
from app.storage.engine import begin

log = structlog.get_logger(__name__)

ACTION = "weekly_accuracy"
HOUR = 9
"""UTC, on Mondays; who was away then hears of it on the next day the agent runs."""
LOOK_EVERY_SECONDS = 900.0
# "WEEK"; the others do not wait for the one who posts.
FIRST = text("SELECT pg_try_advisory_xact_lock(1463108939)")
POSTED = text("SELECT EXISTS (SELECT 1 FROM audit_log WHERE action = :action AND input_text = :week)")

Tell = Callable[[str], Awaitable[object]]


def week_due(now: datetime) -> str:
    """The week whose post is due, as `2026-W47` (ISO 8601): before Monday 09:00 UTC the one before."""
    year, week, _ = (now.astimezone(UTC) - timedelta(hours=HOUR)).isocalendar()
    return f"{year}-W{week:02}"


async def post_once(engine: AsyncEngine, tell: Tell, now: datetime) -> bool:
    """Tell of the last seven days, unless somebody has this week or there is nothing to tell; whether it did.

    What `tell` raises comes out of here, and the week is still to be told then.
    """
    week = week_due(now)
    async with begin(engine) as connection:
        if not (await connection.execute(FIRST)).scalar():
            return False
        if (await connection.execute(POSTED, {"action": ACTION, "week": week})).scalar():
            return False
        told = accuracy(await judged(connection, now - timedelta(days=7)))
        if not told.briefs:
            return False
        said = post(told)
        # Within the transaction: what is not posted is not noted, and the lock keeps others from it.
        await tell(said)
        revision = await in_force(connection)
        await write_audit(
            connection, ACTION, input_text=week, response_text=said, knowledge_revision=revision
        )
    return True


async def post_every_week(
    engine: AsyncEngine,
    tell: Tell,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Until it is cancelled. What goes wrong is tried again at the next look."""
    while True:
        await sleep(LOOK_EVERY_SECONDS)
        try:
            await post_once(engine, tell, clock())
        except AgentError as error:
            log.warning("weekly_post_put_off", reason=error.sentence)
        except Exception as error:
            log.warning("weekly_post_put_off", reason=type(error).__name__)
