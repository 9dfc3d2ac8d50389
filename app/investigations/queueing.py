"""The jobs of investigations: which there are, in which queue, in which order.

*Look* and the update of a thread wait for nothing but a worker. *Diagnose* waits for a slot (`slots.py`) and
for its service: its lock is that of the follow-ups in the service's incident threads.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app import jobs
from app.instruments import INTAKE_EXPIRED
from app.investigations.models import PRIORITIES, Investigation
from app.storage.engine import begin
from app.storage.errors import StaleAttempt

LOOK_QUEUE = "look"
DIAGNOSE_QUEUE = "diagnose"
LOOK = "look"
UPDATE_INCIDENT = "update_incident"
DIAGNOSE = "diagnose"
ASKED_FOR = PRIORITIES["P1"]
"""The priority of a diagnosis that a person asked for."""

# The row is held from here on, so that a raised severity raises the job's priority too.
LOOKED = text("""
UPDATE investigations SET status = 'looked', looked_at = now()
 WHERE id = :id AND attempt = :attempt AND status = 'looking' AND finished_at IS NULL
RETURNING priority
""")
NAME_JOB = text("""
WITH named AS (
    UPDATE investigations SET diagnose_job_id = :job_id WHERE id = :id RETURNING turn_id
)
UPDATE turns SET job_id = :job_id FROM named WHERE turns.id = named.turn_id
""")
# Locked behind each other in the order of their ids, whoever else is at it.
OVERDUE = text("""
WITH overdue AS (
    SELECT id, diagnose_job_id FROM investigations
     WHERE status = 'looked' AND looked_at < now() - make_interval(secs => :ttl_seconds)
     ORDER BY id FOR UPDATE SKIP LOCKED
), waiting AS (
    SELECT job.id FROM procrastinate_jobs AS job JOIN overdue ON overdue.diagnose_job_id = job.id
     WHERE job.status = 'todo' FOR UPDATE OF job SKIP LOCKED
), dropped AS (
    UPDATE procrastinate_jobs SET status = 'cancelled' FROM waiting
     WHERE procrastinate_jobs.id = waiting.id RETURNING procrastinate_jobs.id
)
UPDATE investigations SET status = 'expired'
  FROM overdue JOIN dropped ON dropped.id = overdue.diagnose_job_id
 WHERE investigations.id = overdue.id
RETURNING investigations.id, investigations.priority
""")


def arguments(investigation_id: UUID) -> dict[str, Any]:
    return {"investigation_id": str(investigation_id)}


def look(investigation_id: UUID, priority: int) -> jobs.Deferral:
    return jobs.Deferral(LOOK, arguments(investigation_id), queue=LOOK_QUEUE, priority=priority)


def update(leader_id: UUID, priority: int) -> jobs.Deferral:
    """The thread is to be edited to what is stored then; one waits at most, and they run one at a time."""
    name = f"update:{leader_id}"
    return jobs.Deferral(
        UPDATE_INCIDENT,
        arguments(leader_id),
        queue=LOOK_QUEUE,
        lock=name,
        queueing_lock=name,
        priority=priority,
    )


async def update_after(connection: AsyncConnection, leader_id: UUID, *, unshown: bool = False) -> None:
    """At the end of a stage: what happened to the incident meanwhile is shown after what the stage showed;
    and before that what the stage left to it, or could not show (`unshown`).

    Never the update that waits already: it may begin before this transaction is over.
    """
    job = show(leader_id) if unshown else update(leader_id, ASKED_FOR)
    await jobs.defer(connection, replace(job, queueing_lock=None))


def show(leader_id: UUID) -> jobs.Deferral:
    """As `update`, but everything that is stored is to be shown, where it is not yet."""
    job = update(leader_id, ASKED_FOR)
    return replace(job, arguments={**job.arguments, "unshown": True}, queueing_lock=f"show:{leader_id}")


async def defer_diagnose(connection: AsyncConnection, investigation: Investigation) -> int:
    """The end of a look: the investigation waits for its diagnosis from now on.

    Raises:
        StaleAttempt: another worker has taken the look over.
    """
    values = {"id": investigation.id, "attempt": investigation.attempt}
    priority = (await connection.execute(LOOKED, values)).scalar()
    if priority is None:
        raise StaleAttempt("This investigation is being carried on by another worker.")
    return await queue_diagnosis(connection, investigation, priority)


async def queue_diagnosis(connection: AsyncConnection, investigation: Investigation, priority: int) -> int:
    """Put a diagnosis into the queue, behind what its service waits for already."""
    session = f"session:{investigation.session_id}" if investigation.session_id else None
    job = jobs.Deferral(
        DIAGNOSE,
        arguments(investigation.id),
        queue=DIAGNOSE_QUEUE,
        lock=investigation.lock_key or session,
        priority=priority,
    )
    job_id = await jobs.defer(connection, job)
    await connection.execute(NAME_JOB, {"id": investigation.id, "job_id": job_id})
    return job_id


async def expire_overdue(engine: AsyncEngine, ttl_seconds: float) -> int:
    """Take what waits for its diagnosis longer than that out of the queue; how many that were.

    Each gets an `update_incident`, whose handler puts a note into the thread and ends the investigation.
    What a worker fetches meanwhile is its own: `begin_diagnose` tells it the same.
    """
    async with begin(engine) as connection:
        expired = (await connection.execute(OVERDUE, {"ttl_seconds": ttl_seconds})).all()
        for row in expired:
            await jobs.defer_once(connection, update(row.id, row.priority))
    INTAKE_EXPIRED.add(len(expired))
    return len(expired)
