"""What was made and where it was asked to go: the SQL of artifacts as files, and of deliveries.

Nothing here commits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.delivery.models import Kind, Plan
from app.storage.engine import as_json

ARTIFACT = "id, session_id, turn_id, file_name, title, media_type, content, faults, created_at"
OF_LAST_TURN = text(f"""
SELECT {ARTIFACT} FROM artifacts
 WHERE session_id = :session
   AND turn_id = (SELECT turn_id FROM artifacts WHERE session_id = :session ORDER BY id DESC LIMIT 1)
 ORDER BY id
""")
BY_IDS = text(f"SELECT {ARTIFACT} FROM artifacts WHERE id = ANY(:ids) ORDER BY id")
LISTED = text("""
SELECT artifact.id, artifact.created_at, artifact.file_name, length(artifact.content) AS characters,
       artifact.faults IS NOT NULL AS is_broken, session.channel_id, session.thread_ts, session.service_name,
       session.workflow,
       (SELECT outcome ->> 'link' FROM deliveries
         WHERE artifact.id = ANY(artifact_ids) AND outcome ->> 'link' IS NOT NULL
         ORDER BY deliveries.id DESC LIMIT 1) AS link
  FROM artifacts AS artifact
  JOIN sessions AS session ON session.id = artifact.session_id
 WHERE CAST(:service AS text) IS NULL OR session.service_name = :service
 ORDER BY artifact.id DESC LIMIT :limit
""")

# The same thread of the same workspace may have two installations in it, and then two beginnings.
ORIGIN = text("""
SELECT concat_ws('/', team_id, channel_id, thread_ts, id, extract(epoch FROM created_at))
  FROM sessions WHERE id = :session
""")
DELIVERY = (
    "id, session_id, turn_id, confirmed_in, asked_by, kind, target, artifact_ids, plan, outcome, created_at"
)
ASK = text(f"""
INSERT INTO deliveries (session_id, turn_id, asked_by, kind, target, artifact_ids)
VALUES (:session, :turn, :user, :kind, :target, :artifacts)
    ON CONFLICT (turn_id) DO UPDATE SET turn_id = EXCLUDED.turn_id
RETURNING {DELIVERY}
""")
CONFIRMED_IN = text(f"SELECT {DELIVERY} FROM deliveries WHERE confirmed_in = :turn")
# What was proposed counts while it is the last thing that was said in the thread.
PROPOSED = text(f"""
SELECT {DELIVERY} FROM deliveries
 WHERE session_id = :session AND confirmed_in IS NULL AND outcome IS NULL
   AND turn_id = (SELECT id FROM turns WHERE session_id = :session AND id <> :turn AND started_at IS NOT NULL
                   ORDER BY started_at DESC LIMIT 1)
""")
CONFIRM = text(f"""
UPDATE deliveries SET confirmed_in = :turn WHERE id = :id AND confirmed_in IS NULL AND outcome IS NULL
RETURNING {DELIVERY}
""")
DECLINED_IN = text(
    "SELECT outcome FROM deliveries WHERE outcome ->> 'declined_in' = :turn AND session_id = ("
    "SELECT session_id FROM turns WHERE id = CAST(:turn AS uuid))"
)
DONE_BEFORE = text(f"""
SELECT {DELIVERY} FROM deliveries
 WHERE session_id = :session AND kind = :kind AND target = :target AND artifact_ids = :artifacts
   AND outcome ->> 'link' IS NOT NULL
 ORDER BY id DESC LIMIT 1
""")
# Whoever planned first has decided.
PLAN = text("""
UPDATE deliveries SET plan = coalesce(plan, CAST(:plan AS jsonb)) WHERE id = :id RETURNING plan
""")
FINISH = text("""
UPDATE deliveries SET outcome = CAST(:outcome AS jsonb), finished_at = now()
 WHERE id = :id AND outcome IS NULL
""")


@dataclass(frozen=True)
class Artifact:
    """A file as it was handed over."""

    id: int
    session_id: int
    turn_id: UUID | None
    file_name: str
    title: str
    media_type: str
    content: str
    faults: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True)
class Listed:
    """A line of the list: `link` is where the file was delivered to, `thread` is `CHANNEL:THREAD_TS`."""

    id: int
    created_at: datetime
    file_name: str
    characters: int
    is_broken: bool
    thread: str
    service: str | None
    workflow: str | None
    link: str | None


@dataclass(frozen=True)
class Delivery:
    """Something that a person asked to have delivered; `confirmed_in` is the turn in which they said yes."""

    id: int
    session_id: int
    turn_id: UUID
    confirmed_in: UUID | None
    asked_by: str
    kind: Kind
    target: str
    artifact_ids: tuple[int, ...]
    plan: Plan | None
    outcome: Mapping[str, Any] | None
    created_at: datetime


async def last_made(connection: AsyncConnection, session_id: int) -> tuple[Artifact, ...]:
    """The files of a session that were made together the last time."""
    rows = await connection.execute(OF_LAST_TURN, {"session": session_id})
    return tuple(map(_artifact, rows))


async def artifacts(connection: AsyncConnection, ids: Sequence[int]) -> tuple[Artifact, ...]:
    rows = await connection.execute(BY_IDS, {"ids": list(ids)})
    return tuple(map(_artifact, rows))


async def origin(connection: AsyncConnection, session_id: int) -> str:
    """What tells a session from all others, those of other installations too."""
    return str((await connection.execute(ORIGIN, {"session": session_id})).scalar_one())


async def listed(
    connection: AsyncConnection, *, limit: int, service: str | None = None
) -> tuple[Listed, ...]:
    """The newest first."""
    rows = await connection.execute(LISTED, {"limit": limit, "service": service})
    return tuple(
        Listed(
            row.id,
            row.created_at,
            row.file_name,
            row.characters,
            row.is_broken,
            f"{row.channel_id}:{row.thread_ts}",
            row.service_name,
            row.workflow,
            row.link,
        )
        for row in rows
    )


async def ask(
    connection: AsyncConnection,
    *,
    session_id: int,
    turn_id: UUID,
    user_id: str,
    kind: Kind,
    target: str,
    artifact_ids: Sequence[int],
) -> Delivery:
    """What a turn asks for; the one it asked for already, when it is tried again."""
    values = {
        "session": session_id,
        "turn": turn_id,
        "user": user_id,
        "kind": kind,
        "target": target,
        "artifacts": list(artifact_ids),
    }
    return _delivery((await connection.execute(ASK, values)).one())


async def confirmed_in(connection: AsyncConnection, turn_id: UUID) -> Delivery | None:
    row = (await connection.execute(CONFIRMED_IN, {"turn": turn_id})).one_or_none()
    return _delivery(row) if row else None


async def proposed(connection: AsyncConnection, session_id: int, turn_id: UUID) -> Delivery | None:
    """What waits for a yes, as seen by this turn: the last turn before it proposed it."""
    row = (await connection.execute(PROPOSED, {"session": session_id, "turn": turn_id})).one_or_none()
    return _delivery(row) if row else None


async def confirm(connection: AsyncConnection, delivery_id: int, turn_id: UUID) -> Delivery | None:
    row = (await connection.execute(CONFIRM, {"id": delivery_id, "turn": turn_id})).one_or_none()
    return _delivery(row) if row else None


async def declined_in(connection: AsyncConnection, turn_id: UUID) -> Mapping[str, Any] | None:
    """What came of the proposal that this turn has said no to already."""
    outcome: Mapping[str, Any] | None = (
        await connection.execute(DECLINED_IN, {"turn": str(turn_id)})
    ).scalar_one_or_none()
    return outcome


async def done_before(
    connection: AsyncConnection, session_id: int, kind: Kind, target: str, artifact_ids: Sequence[int]
) -> Delivery | None:
    """An earlier delivery of exactly these files to there."""
    values = {"session": session_id, "kind": kind, "target": target, "artifacts": list(artifact_ids)}
    row = (await connection.execute(DONE_BEFORE, values)).one_or_none()
    return _delivery(row) if row else None


async def plan(connection: AsyncConnection, delivery_id: int, planned: Plan) -> Plan:
    """Store the plan unless there is one; the one that is stored then."""
    values = {"target": planned.target, "names": list(planned.names), "base": planned.base}
    row = await connection.execute(PLAN, {"id": delivery_id, "plan": as_json(values)})
    return _plan(row.scalar_one())


async def finish(connection: AsyncConnection, delivery_id: int, outcome: Mapping[str, Any]) -> bool:
    """Whether it was this call that ended it."""
    ended = await connection.execute(FINISH, {"id": delivery_id, "outcome": as_json(dict(outcome))})
    return ended.rowcount == 1


def _artifact(row: Any) -> Artifact:
    return Artifact(
        row.id,
        row.session_id,
        row.turn_id,
        row.file_name,
        row.title,
        row.media_type,
        row.content,
        tuple(row.faults or ()),
        row.created_at,
    )


def _delivery(row: Any) -> Delivery:
    return Delivery(
        row.id,
        row.session_id,
        row.turn_id,
        row.confirmed_in,
        row.asked_by,
        cast("Kind", row.kind),
        row.target,
        tuple(row.artifact_ids),
        _plan(row.plan) if row.plan else None,
        row.outcome,
        row.created_at,
    )


def _plan(stored: Mapping[str, Any]) -> Plan:
    return Plan(stored["target"], tuple(stored["names"]), stored["base"])
