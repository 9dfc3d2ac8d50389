"""The SQL of lists: what waits and runs, and what is remembered of a service."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.investigations.models import Listed, PastInvestigation
from app.investigations.repository import place_of

LIST = text("""
SELECT investigation.*,
       (SELECT count(*) FROM incidents WHERE investigation_id = investigation.id) AS incidents
  FROM investigations AS investigation
 WHERE NOT CAST(:waiting AS boolean) OR investigation.status IN ('queued', 'looking', 'looked', 'diagnosing')
 ORDER BY CASE WHEN :waiting THEN investigation.priority END DESC, investigation.created_at DESC
 LIMIT :limit
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
    """The newest, or those that wait or run in the order of their priority."""
    rows = await connection.execute(LIST, {"waiting": waiting, "limit": limit})
    return tuple(Listed.model_validate(dict(row)) for row in rows.mappings())


async def past(
    connection: AsyncConnection, service: str, *, before: datetime, limit: int = 20
) -> tuple[PastInvestigation, ...]:
    """Earlier investigations of a service, newest first."""
    rows = await connection.execute(PAST, {"service": service, "before": before, "limit": limit})
    return tuple(PastInvestigation.model_validate({**row, "place": place_of(row)}) for row in rows.mappings())
