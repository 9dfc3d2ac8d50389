"""All SQL of intake: incidents as sources tell of them. Nothing here commits; callers bring the transaction.

Locks are taken in one order (the lock of new incidents, then incidents, then investigations, then jobs), so
that no two deliveries wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from pydantic_core import from_json
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app import jobs
from app.investigations.alert import Alert, Severity
from app.investigations.fingerprint import digest
from app.investigations.models import Rejected
from app.storage.engine import as_json, autocommit, begin, straight
from app.storage.tables import rejected_webhooks

BY_HAND_MARK = "#by-hand:"
"""In an incident's key: what was opened by hand. Its source's own key is before it."""
KEEP_REJECTED_SECONDS = 3600
DELIVERIES_KEPT = 20
REPEATS_SECONDS = 86_400
"""So long after its end an incident's alerts, delivered again word for word, count as repeats."""
REPEATS_OF_GROUPS_SECONDS = 120
"""The same for groups. Their senders tell of a group in order, so what comes after its end is late by no more
than its replicas are apart; what burns again may read word for word alike, its start included: a source of
theirs was only cut off."""
GROUPS = ("alertmanager", "grafana")
QUIET_SECONDS = 86_400
"""What its source has told nothing of for so long is over: Alertmanager repeats itself every four hours by
default, and what burns for a day without a word was forgotten, or its end was lost."""
MOST_QUIET = 200
"""Ended at once."""

NEW = (
    ":source, :key, :title, :severity, CAST(:alert AS jsonb), :started_at, :digest, CAST(:service AS text), "
    ":symptom, CAST(:marks AS jsonb), CAST(:priority AS int), :investigation_id, "
    f"CAST({jobs.JOB} AS procrastinate_job_to_defer_v1)"
)
FIRES = text(f"""
SELECT incident_fires({NEW}, :kept, :repeats_seconds, :together_seconds, :window_seconds, :storm_incidents,
                      :open_together_seconds)
""")
FIRE = "CALL incidents_fire(CAST($1 AS jsonb), NULL)"
OPEN = text(f"SELECT investigation_opens({NEW})")
# The job among the columns of `NEW` is the update of the leader's thread here.
JOIN_STORM = text(f"""
SELECT storm_joined({NEW}, :leader_id, :grouped_because)
""")
STORM_COUNTED = text("SELECT storm_counted(:id)")
JOIN = text("""
INSERT INTO incidents (source, incident_key, title, service_name, severity, alert, started_at, symptom,
                       deliveries, investigation_id, joined_because)
VALUES (:source, :key, :title, :service, :severity, CAST(:alert AS jsonb), :started_at, :symptom,
        ARRAY[CAST(:digest AS text)], :investigation_id, :joined_because)
""")
RAISE = text("""
WITH raised AS (
    UPDATE investigations SET severity = :severity, priority = :priority
     WHERE (id = :id OR id = (SELECT storm_id FROM investigations WHERE id = :id)) AND priority < :priority
    RETURNING look_job_id, diagnose_job_id
)
UPDATE procrastinate_jobs AS job SET priority = :priority
  FROM raised
 WHERE job.id IN (raised.look_job_id, raised.diagnose_job_id) AND job.status = 'todo'
   AND job.priority < :priority
""")
ACKNOWLEDGE = text("""
UPDATE incidents
   SET acknowledged_at = coalesce(acknowledged_at, now()), status = 'acknowledged', heard_at = now(),
       deliveries = (ARRAY[CAST(:digest AS text)] || deliveries)[1:CAST(:kept AS int)]
 WHERE source = :source AND incident_key = :key AND status <> 'resolved'
   AND NOT CAST(:digest AS text) = ANY(deliveries)
RETURNING investigation_id
""")
# What was only taken to be over is told to be so now.
RESOLVE = text("""
UPDATE incidents
   SET resolved_at = now(), status = 'resolved', gone_quiet = false, heard_at = now(),
       deliveries = (ARRAY[CAST(:digest AS text)] || deliveries)[1:CAST(:kept AS int)]
 WHERE source = :source AND incident_key = :key AND (status <> 'resolved' OR gone_quiet)
   AND id = (SELECT max(id) FROM incidents WHERE source = :source AND incident_key = :key)
   AND NOT EXISTS (SELECT 1 FROM incidents AS earlier
                    WHERE earlier.source = :source AND earlier.incident_key = :key
                      AND CAST(:digest AS text) = ANY(earlier.deliveries)
                      AND earlier.resolved_at > now() - make_interval(secs => :repeats_seconds))
RETURNING investigation_id
""")
# An investigation and the one whose thread it is in. Whoever ends or joins one waits here for the others, so
# that the statement after this one sees what they did; one that is stopped meanwhile is not waited for.
HOLD = text("""
SELECT set_config('idle_in_transaction_session_timeout', '5s', true) FROM investigations
 WHERE id = :id OR id = (SELECT storm_id FROM investigations WHERE id = :id)
 ORDER BY id FOR NO KEY UPDATE
""")
# Over is what has nothing left that burns in its thread: neither its own incidents nor those of a storm.
SETTLE = text("""
UPDATE investigations AS settled SET resolved_at = now()
 WHERE (id = :id OR id = (SELECT storm_id FROM investigations WHERE id = :id)) AND resolved_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM incidents AS incident
                     JOIN investigations AS shown ON shown.id = incident.investigation_id
                    WHERE (shown.id = settled.id OR shown.storm_id = settled.id)
                      AND incident.status <> 'resolved')
""")
BURN_ON = text("""
UPDATE investigations SET resolved_at = NULL
 WHERE id = :id OR id = (SELECT storm_id FROM investigations WHERE id = :id)
""")
QUIET = text("""
SELECT id FROM incidents
 WHERE status <> 'resolved' AND heard_at < now() - make_interval(secs => :seconds)
 ORDER BY heard_at LIMIT :most
""")
END_QUIET = text("""
UPDATE incidents SET status = 'resolved', resolved_at = now(), gone_quiet = true
 WHERE id = :id AND status <> 'resolved' AND heard_at < now() - make_interval(secs => :seconds)
RETURNING investigation_id
""")
KNOWN = text("""
SELECT investigation_id, status FROM incidents
 WHERE source = :source AND incident_key = :key ORDER BY id DESC LIMIT 1
""")
LEADER_OF = text("SELECT coalesce(storm_id, id) FROM investigations WHERE id = :id")


@dataclass(frozen=True)
class Delivery:
    """An alert as it is stored: masked, with its service's canonical name and a severity."""

    alert: Alert
    service: str | None
    severity: Severity
    symptom: str

    @cached_property
    def written(self) -> str:
        """The alert as JSON."""
        return as_json(self.alert.model_dump(mode="json"))

    @cached_property
    def digest(self) -> str:
        return digest(self.written)

    @property
    def repeats_seconds(self) -> float:
        return float(REPEATS_OF_GROUPS_SECONDS if self.alert.source in GROUPS else REPEATS_SECONDS)

    @property
    def identity(self) -> dict[str, Any]:
        return {"source": self.alert.source, "key": self.alert.incident_key}

    @cached_property
    def columns(self) -> dict[str, Any]:
        return {
            **self.identity,
            "title": self.alert.title,
            "service": self.service,
            "severity": self.severity,
            "alert": self.written,
            "started_at": self.alert.started_at,
            "symptom": self.symptom,
            "digest": self.digest,
        }


@dataclass(frozen=True)
class Opening:
    """What becomes of an alert that nothing is known of: an investigation, its look, its marks as JSON."""

    investigation_id: UUID
    marks: str
    look: jobs.Deferral

    @property
    def columns(self) -> dict[str, Any]:
        # The job's priority is the investigation's.
        return {
            "investigation_id": self.investigation_id,
            "marks": self.marks,
            **jobs.columns(self.look),
        }


@dataclass(frozen=True)
class Bounds:
    """What is together, and what is a storm, as `incident_fires` asks."""

    together_seconds: float
    open_together_seconds: float
    window_seconds: float
    storm_incidents: int


@dataclass(frozen=True)
class Joining:
    """Where an incident goes in a storm: whose thread shows it, the clause that says why, and the update of
    that thread."""

    leader_id: UUID
    because: str
    update: jobs.Deferral

    @property
    def columns(self) -> dict[str, Any]:
        return {"leader_id": self.leader_id, "grouped_because": self.because}


@dataclass(frozen=True)
class Firing:
    """An alert that fires, with all that may become of it. `joining` is thought out with the leaders of
    `view`, as the database called them."""

    delivery: Delivery
    opening: Opening
    bounds: Bounds
    view: str | None = None
    joining: Joining | None = None

    @property
    def told(self) -> dict[str, Any]:
        """As `incidents_fire` reads it."""
        update = self.joining.update if self.joining else self.opening.look
        return {
            **_firing(self.delivery, self.opening, self.bounds),
            **(self.joining.columns if self.joining else {}),
            "view": self.view if self.joining else None,
            "look": jobs.columns(self.opening.look),
            "update": jobs.columns(update),
        }


async def fires(
    connection: AsyncConnection, delivery: Delivery, opening: Opening, bounds: Bounds
) -> dict[str, Any]:
    """Open an investigation, or say why not: one of `again` (it is open; its `investigation_id`, whether it
    was `raised`, whether it was acknowledged and is `reopened`), `told_before` (this alert, in an earlier
    life of the incident), `twin` (of another source, about the same), `leaders` (in a storm, the oldest
    first); else `opened`. `forgotten` besides: the investigation of its former life, whose end nobody told.

    Nobody else opens one until this transaction ends.
    """
    values = _firing(delivery, opening, bounds)
    found: dict[str, Any] = (await connection.execute(FIRES, values)).scalar_one()
    return found


async def fire(engine: AsyncEngine, firing: Sequence[Firing]) -> Sequence[dict[str, Any]]:
    """As `fires`, one after the other and each done with, in one statement for all. Of each, what `fires`
    says, or that it has `joined` a storm as its `joining` says, and how the leaders were `marked` and are
    marked now; or it is `undone`: what `fires` would say, and the `view` and marks that would fit.

    When this returns, all of them are on the disk, after one wait for it."""
    told: list[dict[str, Any]] = from_json(
        await straight(engine, FIRE, as_json([each.told for each in firing]))
    )
    return told


async def make_ready(engine: AsyncEngine) -> None:
    """A connection, and all that the database thinks out for a connection's first alert: this is one that
    says nothing, and of which nothing is stored."""
    await straight(engine, FIRE, "[{}]")


def _firing(delivery: Delivery, opening: Opening, bounds: Bounds) -> dict[str, Any]:
    return {
        **delivery.columns,
        **opening.columns,
        "kept": DELIVERIES_KEPT,
        "repeats_seconds": delivery.repeats_seconds,
        "together_seconds": float(bounds.together_seconds),
        "open_together_seconds": float(bounds.open_together_seconds),
        "window_seconds": float(bounds.window_seconds),
        "storm_incidents": bounds.storm_incidents,
    }


async def open_investigation(connection: AsyncConnection, delivery: Delivery, opening: Opening) -> None:
    """After `fires` said that it is a storm: one that has a thread of its own nevertheless."""
    await connection.execute(OPEN, {**delivery.columns, **opening.columns})


async def join(connection: AsyncConnection, delivery: Delivery, investigation_id: UUID, because: str) -> None:
    """Another incident of an investigation that is there; if it was over, it is so no longer."""
    values = {**delivery.columns, "investigation_id": investigation_id, "joined_because": because}
    await connection.execute(JOIN, values)
    for statement in (HOLD, BURN_ON):
        await connection.execute(statement, {"id": investigation_id})


async def join_storm(
    connection: AsyncConnection, delivery: Delivery, opening: Opening, joining: Joining
) -> None:
    """An incident whose investigation is shown in another one's thread, which is told. The other one gets
    the severity and priority of the gravest, and is over no longer."""
    values = {**delivery.columns, **opening.columns, **joining.columns, **jobs.columns(joining.update)}
    await connection.execute(JOIN_STORM, values)


async def count_storm(engine: AsyncEngine, leader_id: UUID) -> None:
    """Count those who joined while a stage held their leader's row."""
    async with autocommit(engine) as connection:
        await connection.execute(STORM_COUNTED, {"id": leader_id})


async def raise_severity(
    connection: AsyncConnection, investigation_id: UUID, severity: Severity, priority: int
) -> None:
    """Of an investigation and of the one whose thread it is in, with the jobs that wait; never lowered."""
    await connection.execute(HOLD, {"id": investigation_id})
    await connection.execute(RAISE, {"id": investigation_id, "severity": severity, "priority": priority})


async def acknowledge(connection: AsyncConnection, delivery: Delivery) -> UUID | None:
    """The investigation whose incident somebody has acknowledged just now."""
    values = {**delivery.identity, "digest": delivery.digest, "kept": DELIVERIES_KEPT}
    found: UUID | None = (await connection.execute(ACKNOWLEDGE, values)).scalar()
    return found


async def resolve(connection: AsyncConnection, delivery: Delivery) -> UUID | None:
    """Close the open incident; the investigation it belonged to. An old resolve told again closes nothing."""
    told = {"digest": delivery.digest, "kept": DELIVERIES_KEPT, "repeats_seconds": delivery.repeats_seconds}
    values = {**delivery.identity, **told}
    found: UUID | None = (await connection.execute(RESOLVE, values)).scalar()
    if found:
        await settle(connection, found)
    return found


async def settle(connection: AsyncConnection, investigation_id: UUID) -> None:
    """One of its incidents is over: so is the investigation, and the one whose thread it is in, if that was
    the last."""
    for statement in (HOLD, SETTLE):
        await connection.execute(statement, {"id": investigation_id})


async def quiet(engine: AsyncEngine, *, seconds: float = QUIET_SECONDS) -> Sequence[int]:
    """The incidents of which their sources have told nothing for so long, at most `MOST_QUIET`."""
    async with begin(engine) as connection:
        values = {"seconds": float(seconds), "most": MOST_QUIET}
        return (await connection.execute(QUIET, values)).scalars().all()


async def end_quiet(
    connection: AsyncConnection, incident_id: int, *, seconds: float = QUIET_SECONDS
) -> UUID | None:
    """End it, unless something was heard of it meanwhile; its investigation."""
    values = {"id": incident_id, "seconds": float(seconds)}
    found: UUID | None = (await connection.execute(END_QUIET, values)).scalar()
    if found:
        await settle(connection, found)
    return found


async def known(connection: AsyncConnection, delivery: Delivery) -> RowMapping | None:
    """`investigation_id, status` of the newest incident of that key."""
    return (await connection.execute(KNOWN, delivery.identity)).mappings().first()


async def leader_of(connection: AsyncConnection, investigation_id: UUID) -> UUID:
    leader: UUID = (await connection.execute(LEADER_OF, {"id": investigation_id})).scalar_one()
    return leader


async def keep_rejected(connection: AsyncConnection, source: str, reason: str, payload: Any) -> int:
    """Keep a payload for an hour's replay, and no longer (`drop_rejected`)."""
    await drop_rejected(connection)
    statement = (
        rejected_webhooks.insert()
        .values(source=source, reason=reason, payload=payload)
        .returning(rejected_webhooks.c.id)
    )
    return int((await connection.execute(statement)).scalar_one())


async def drop_rejected(connection: AsyncConnection) -> None:
    """Remove the payloads that were kept for their hour."""
    await connection.execute(
        text("DELETE FROM rejected_webhooks WHERE created_at < now() - make_interval(secs => :seconds)"),
        {"seconds": KEEP_REJECTED_SECONDS},
    )


async def rejected(connection: AsyncConnection, rejected_id: int) -> Rejected | None:
    rows = await connection.execute(
        text(
            "SELECT * FROM rejected_webhooks "
            "WHERE id = :id AND created_at > now() - make_interval(secs => :seconds)"
        ),
        {"id": rejected_id, "seconds": KEEP_REJECTED_SECONDS},
    )
    row = rows.mappings().first()
    return Rejected.model_validate(dict(row)) if row else None
