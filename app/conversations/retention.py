"""What is kept for a time only: once a day the threads nobody has used for long go, and old audit rows.

Any replica may look; the one that has the lock does the work, in batches that hold nobody up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.conversations import repository
from app.errors import AgentError
from app.storage.engine import begin

log = structlog.get_logger(__name__)

DAY_SECONDS = 86_400.0
AGAIN_SECONDS = 3_600.0
"""After a look that went wrong."""
PAUSE_SECONDS = 0.2
SESSIONS_AT_ONCE = 50
AUDIT_ROWS_AT_ONCE = 5_000

# "KEEP"; it ends with the batch, so that a process that dies leaves nothing locked.
LOCK = text("SELECT pg_try_advisory_xact_lock(1262830928)")
# One to which a message is being added is somebody's, and left alone.
UNUSED = text("""
SELECT id FROM sessions
 WHERE id > :after AND updated_at < now() - make_interval(days => :days)
 ORDER BY id LIMIT :most FOR UPDATE SKIP LOCKED
""")
# As things stand once they are held. The thread of a storm shows the incidents of others too.
OVER = text("""
SELECT session.id FROM sessions AS session
 WHERE session.id = ANY(:sessions)
   AND NOT EXISTS (
       SELECT FROM turns WHERE turns.session_id = session.id
          AND (status IN ('queued', 'running') OR created_at > now() - make_interval(days => :days)))
   AND NOT EXISTS (
       SELECT FROM investigations AS shown
         JOIN investigations AS one ON one.id = shown.id OR one.storm_id = shown.id
        WHERE shown.session_id = session.id
          AND (one.finished_at IS NULL
               OR EXISTS (SELECT FROM incidents
                           WHERE incidents.investigation_id = one.id AND incidents.status <> 'resolved')))
""")
PRUNE_AUDIT = text("SELECT audit_prune(:days, :most)")

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True)
class Retention:
    """Days: those of the audit log, and those of a thread after its last use."""

    audit_days: int
    transcript_days: int


class _AnotherIsAtIt(Exception):
    """Another replica has the lock."""


async def prune(engine: AsyncEngine, retention: Retention, *, sleep: Sleep = asyncio.sleep) -> bool:
    """Remove what is kept no longer; False when another replica is at it.

    What was spent and what was found out about incidents stays. So does the thread of an investigation that
    is open.
    """
    try:
        sessions = await _prune_sessions(engine, retention.transcript_days, sleep)
        rows = await _prune_audit(engine, retention.audit_days, sleep)
    except _AnotherIsAtIt:
        return False
    if sessions or rows:
        log.info("retention", sessions_removed=sessions, audit_rows_removed=rows)
    return True


async def prune_every_day(engine: AsyncEngine, retention: Retention, *, sleep: Sleep = asyncio.sleep) -> None:
    """Now and every day, until it is cancelled."""
    while True:
        wait = DAY_SECONDS
        try:
            await prune(engine, retention, sleep=sleep)
        except Exception as error:
            reason = error.sentence if isinstance(error, AgentError) else type(error).__name__
            log.warning("retention_put_off", reason=reason)
            wait = AGAIN_SECONDS
        await sleep(wait)


async def _prune_sessions(engine: AsyncEngine, days: int, sleep: Sleep) -> int:
    removed = after = 0
    while True:
        async with begin(engine) as connection:
            await _be_the_one(connection)
            values = {"after": after, "days": days, "most": SESSIONS_AT_ONCE}
            held = list((await connection.execute(UNUSED, values)).scalars())
            over = list((await connection.execute(OVER, {"sessions": held, "days": days})).scalars())
            await repository.remove_sessions(connection, over)
        removed += len(over)
        if len(held) < SESSIONS_AT_ONCE:
            return removed
        after = held[-1]
        await sleep(PAUSE_SECONDS)


async def _prune_audit(engine: AsyncEngine, days: int, sleep: Sleep) -> int:
    removed = 0
    while True:
        async with begin(engine) as connection:
            await _be_the_one(connection)
            values = {"days": days, "most": AUDIT_ROWS_AT_ONCE}
            batch = int((await connection.execute(PRUNE_AUDIT, values)).scalar_one())
        removed += batch
        if batch < AUDIT_ROWS_AT_ONCE:
            return removed
        await sleep(PAUSE_SECONDS)


async def _be_the_one(connection: AsyncConnection) -> None:
    if not (await connection.execute(LOCK)).scalar():
        raise _AnotherIsAtIt
