"""The SQL of lists: what waits and runs, and what is remembered of a service."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.investigations.models import Listed, PastInvestigation
from app.investigations.repository import place_of

WAITS = "status IN ('queued', 'looking', 'looked', 'diagnosing')"
COLUMNS = """
       id, title, service_name, severity, status, priority, created_at, looked_at, resolved_at, finished_at,
       (SELECT count(*) FROM incidents AS incident
          JOIN investigations AS shown ON shown.id = incident.investigation_id
         WHERE shown.id = listed.id OR shown.storm_id = listed.id) AS incidents
"""
WAITING = text(f"""
SELECT {COLUMNS} FROM investigations AS listed WHERE {WAITS}
 ORDER BY priority DESC, created_at LIMIT :limit
""")
# Those that a storm put into another one's thread are counted there: else they would be all there is to see.
RECENT = text(f"""
SELECT {COLUMNS} FROM investigations AS listed WHERE storm_id IS NULL ORDER BY created_at DESC LIMIT :limit
""")
# What people said last of a brief counts for more than the brief.
PAST = text("""
SELECT investigation.id, investigation.created_at AS at, investigation.title, investigation.service_name,
       investigation.severity, coalesce(outcome.cause, investigation.brief #>> '{likely_cause,text}',
                                        investigation.evidence_brief #>> '{likely_cause,text}') AS cause,
       outcome.cause IS NOT NULL AS told, outcome.correct,
       session.team_id, session.channel_id, session.thread_ts
  FROM investigations AS investigation
  LEFT JOIN sessions AS session ON session.id = investigation.session_id
  LEFT JOIN LATERAL (
      SELECT cause, correct FROM outcomes WHERE investigation_id = investigation.id
       ORDER BY (user_id IS NOT NULL) DESC, id DESC LIMIT 1) AS outcome ON true
 WHERE investigation.service_name = :service AND investigation.created_at < :before
   AND investigation.status <> 'joined'
   -- What somebody tried from a shell has not happened.
   AND NOT EXISTS (SELECT 1 FROM incidents WHERE incidents.id = investigation.incident_id
                      AND strpos(incidents.incident_key, '#by-hand:') > 0)
 ORDER BY investigation.created_at DESC LIMIT :limit
""")


async def listed(
    connection: AsyncConnection, *, waiting: bool = False, limit: int = 50
) -> tuple[Listed, ...]:
    """The newest that have threads of their own, or those that wait or run in the order of the queue."""
    rows = await connection.execute(WAITING if waiting else RECENT, {"limit": limit})
    return tuple(Listed.model_validate(dict(row)) for row in rows.mappings())


async def waiting(connection: AsyncConnection) -> int:
    """How many wait or run."""
    rows = await connection.execute(text(f"SELECT count(*) FROM investigations WHERE {WAITS}"))
    return int(rows.scalar_one())


async def past(
    connection: AsyncConnection, service: str, *, before: datetime, limit: int = 20
) -> tuple[PastInvestigation, ...]:
    """Earlier investigations of a service, newest first."""
    rows = await connection.execute(PAST, {"service": service, "before": before, "limit": limit})
    return tuple(PastInvestigation.model_validate({**row, "place": place_of(row)}) for row in rows.mappings())
