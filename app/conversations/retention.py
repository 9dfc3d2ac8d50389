"""What is kept for a time only: once a day the threads nobody has used for long go, whole results of tools,
and old audit rows.

Any replica may look; the one that has the lock does the work, in batches that hold nobody up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.conversations import repository
from app.errors import AgentError
from app.storage.engine import begin

log = structlog.get_logger(__name__)

DAY_SECONDS = 86_400.0
AGAIN_SECONDS = 3_600.0
"""After a look that went wrong."""
PAUSE_SECONDS = 0.2
BEFORE_ALL = datetime(1, 1, 1, tzinfo=UTC)
SESSIONS_AT_ONCE = 50
MESSAGES_AT_ONCE = 5_000
"""A batch of threads ends with the one that brings it there; a thread alone may be longer."""
RESULTS_AT_ONCE = 500
AUDIT_ROWS_AT_ONCE = 5_000

# "KEEP"; it ends with the batch, so that a process that dies leaves nothing locked.
LOCK = text("SELECT pg_try_advisory_xact_lock(1262830928)")
# By their age, so that those too young to be unused for so long are not looked at. One to which a message is
# being added is somebody's, and left alone.
UNUSED = text("""
SELECT id, created_at FROM sessions
 WHERE created_at < now() - make_interval(days => :days)
   AND (created_at, id) > (CAST(:after AS timestamptz), :after_id)
   AND updated_at < now() - make_interval(days => :days)
 ORDER BY created_at, id LIMIT :most FOR UPDATE SKIP LOCKED
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
# The first of them, with as many messages as a batch may have.
FIRST = text("""
SELECT id FROM (
    SELECT session.id, created_at, sum(held.messages) OVER earlier AS before
      FROM sessions AS session,
           LATERAL (SELECT count(*) AS messages FROM messages WHERE session_id = session.id) AS held
     WHERE session.id = ANY(:sessions)
    WINDOW earlier AS (ORDER BY created_at, session.id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)
) AS counted
 WHERE coalesce(before, 0) < :most ORDER BY created_at, id
""")
LET_RESULTS_GO = text("""
UPDATE tool_calls SET result_full = '' WHERE id IN (
    SELECT id FROM tool_calls
     WHERE result_full <> '' AND started_at < now() - make_interval(days => :days)
     ORDER BY started_at LIMIT :most FOR UPDATE SKIP LOCKED)
""")
PRUNE_AUDIT = text("SELECT audit_prune(:days, :most)")

Sleep = Callable[[float], Awaitable[object]]


@dataclass(frozen=True)
class Retention:
    """Days: those of the audit log, those of a thread after its last use, and those of whole results."""

    audit_days: int
    transcript_days: int
    result_days: int


class _AnotherIsAtIt(Exception):
    """Another replica has the lock."""


async def prune(engine: AsyncEngine, retention: Retention, *, sleep: Sleep = asyncio.sleep) -> bool:
    """Remove what is kept no longer; False when another replica is at it.

    What was spent and what was found out about incidents stays. So does the thread of an investigation that
    is open.
    """
    batches: dict[str, _Batch] = {
        "sessions_removed": _Sessions(retention.transcript_days),
        "whole_results_removed": _Rows(LET_RESULTS_GO, retention.result_days, RESULTS_AT_ONCE),
        "audit_rows_removed": _Rows(PRUNE_AUDIT, retention.audit_days, AUDIT_ROWS_AT_ONCE),
    }
    try:
        removed = {name: await _batch_by_batch(engine, each, sleep) for name, each in batches.items()}
    except _AnotherIsAtIt:
        return False
    if any(removed.values()):
        log.info("retention", **removed)
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


class _Batch(Protocol):
    async def remove(self, connection: AsyncConnection) -> tuple[int, bool]:
        """How many went, and whether there may be more."""


@dataclass
class _Sessions:
    """Threads that are over, oldest first; where it stands is its own, for each batch is a transaction."""

    days: int
    after: datetime = BEFORE_ALL
    after_id: int = 0

    async def remove(self, connection: AsyncConnection) -> tuple[int, bool]:
        place = {"after": self.after, "after_id": self.after_id, "days": self.days, "most": SESSIONS_AT_ONCE}
        held = {row.id: row.created_at for row in await connection.execute(UNUSED, place)}
        over = await _ids(connection, OVER, sessions=list(held), days=self.days)
        first = await _ids(connection, FIRST, sessions=over, most=MESSAGES_AT_ONCE)
        await repository.remove_sessions(connection, first)
        cut = len(first) < len(over)
        if held:
            self.after_id = first[-1] if cut else list(held)[-1]
            self.after = held[self.after_id]
        return len(first), cut or len(held) == SESSIONS_AT_ONCE


@dataclass(frozen=True)
class _Rows:
    """Rows that one statement removes, so many at once."""

    statement: TextClause
    days: int
    most: int

    async def remove(self, connection: AsyncConnection) -> tuple[int, bool]:
        done = await connection.execute(self.statement, {"days": self.days, "most": self.most})
        removed = int(done.scalar_one()) if done.returns_rows else done.rowcount
        return removed, removed == self.most


async def _batch_by_batch(engine: AsyncEngine, batch: _Batch, sleep: Sleep) -> int:
    removed = 0
    while True:
        async with begin(engine) as connection:
            await _be_the_one(connection)
            went, more = await batch.remove(connection)
        removed += went
        if not more:
            return removed
        await sleep(PAUSE_SECONDS)


async def _ids(connection: AsyncConnection, statement: TextClause, **values: object) -> list[int]:
    return list((await connection.execute(statement, values)).scalars())


async def _be_the_one(connection: AsyncConnection) -> None:
    if not (await connection.execute(LOCK)).scalar():
        raise _AnotherIsAtIt
