"""P1s that join a storm after people were called about it: they are called about those as well.

Whoever was called knows what burned then. Which P1s a call is about is stored before it is sent, so that
whoever comes after a crash calls about the same ones, and nobody is called twice about one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.escalation.models import Why
from app.investigations import apart, queueing, repository
from app.investigations.calling import LATER
from app.investigations.models import Incident, Investigation
from app.storage.engine import as_json

APART_SECONDS = 60
"""The least time between two such calls about one storm: a storm of P1s does not become one of pages."""
MOST_LOADED = 100

# The P1s that the call at the end of a diagnosis names; a call that is stored already names no others.
NAMED = text("""
UPDATE investigations SET called_at = now()
 WHERE storm_id = :id AND severity = 'P1' AND called_at IS NULL AND resolved_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM investigations AS leader
                    WHERE leader.id = :id AND leader.escalations ? CAST(:key AS text))
""")
KEEP = text(f"""
UPDATE investigations
   SET escalations = escalations || jsonb_build_object(
           '{LATER}', coalesce(escalations -> '{LATER}', '{{}}') || CAST(:call AS jsonb))
 WHERE id = :id
RETURNING escalations -> '{LATER}'
""")
KEPT = text(f"SELECT escalations -> '{LATER}' FROM investigations WHERE id = :id")
ABOUT = text("""
SELECT incident.* FROM incidents AS incident
  JOIN investigations AS member ON member.id = incident.investigation_id
 WHERE member.storm_id = :id AND member.called_at = :called_at
 ORDER BY incident.status = 'resolved', incident.severity, incident.id LIMIT :most
""")


async def named_now(connection: AsyncConnection, leader_id: UUID, why: Why) -> None:
    """The call that is about to be decided on names the P1s that burn in the thread."""
    await connection.execute(NAMED, {"id": leader_id, "key": f"{leader_id}/{why}"})


async def due(
    connection: AsyncConnection, leader_id: UUID, why: Why, *, apart_seconds: float = APART_SECONDS
) -> Mapping[datetime, Why]:
    """The calls that are to be made, by their times: about P1s of which no call knows, and those that were
    begun and came to no end."""
    claimed = await apart.claim(
        connection, leader_id, "called_at", apart_seconds=apart_seconds, priority=queueing.ASKED_FOR
    )
    if claimed is not None:
        call = {claimed.isoformat(): {"why": why}}
        kept = (await connection.execute(KEEP, {"id": leader_id, "call": as_json(call)})).scalar()
    else:
        kept = (await connection.execute(KEPT, {"id": leader_id})).scalar()
    return {
        datetime.fromisoformat(at): each["why"] for at, each in (kept or {}).items() if "said" not in each
    }


async def called_about_then(
    connection: AsyncConnection, leader_id: UUID, called_at: datetime
) -> tuple[Incident, ...]:
    """The incidents a call is about, as they stand."""
    values: dict[str, Any] = {"id": leader_id, "called_at": called_at, "most": MOST_LOADED}
    rows = await connection.execute(ABOUT, values)
    return tuple(Incident.model_validate(dict(each)) for each in rows.mappings())


async def keep_said(
    connection: AsyncConnection, investigation: Investigation, called_at: datetime, why: Why, said: str
) -> None:
    """What came of a call, empty when what it was to be about is over; an update tells the thread."""
    call = {called_at.isoformat(): {"why": why, "said": said}}
    await connection.execute(KEEP, {"id": investigation.id, "call": as_json(call)})
    if said:
        await repository.audit_call(connection, investigation, said)
        await queueing.update_after(connection, investigation.id)
