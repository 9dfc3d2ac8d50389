"""Where workflows stand and what they made: all SQL of this room. Nothing here commits."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.engine import as_json
from app.storage.tables import artifacts
from app.workflows.rendering import Handed
from app.workflows.state import State

SAVE = text("""
WITH given AS (SELECT CAST(:state AS jsonb) AS state)
UPDATE sessions SET workflow = :workflow, service_name = coalesce(service_name, :service),
       workflow_state = given.state || jsonb_build_object('since',
           CASE WHEN (workflow_state -> 'begun', workflow_state -> 'status', workflow_state -> 'at',
                      workflow_state -> 'proposed')
                     IS NOT DISTINCT FROM (given.state -> 'begun', given.state -> 'status',
                                           given.state -> 'at', given.state -> 'proposed')
                THEN coalesce(workflow_state -> 'since', '0')
                ELSE to_jsonb(extract(epoch FROM clock_timestamp())) END)
  FROM given
 WHERE id = :session
""")


async def save_state(connection: AsyncConnection, session_id: int, state: State, service: str | None) -> None:
    """Where the session's workflow stands, and since when if something else is asked than before; a session
    without a service gets that of its workflow."""
    values = {
        "session": session_id,
        "workflow": state.title,
        "state": as_json(state.to_json()),
        "service": service,
    }
    await connection.execute(SAVE, values)


async def add_artifacts(
    connection: AsyncConnection, session_id: int, turn_id: UUID, files: Sequence[Handed]
) -> None:
    for file in files:
        await connection.execute(
            artifacts.insert().values(
                session_id=session_id,
                turn_id=turn_id,
                file_name=file.file_name,
                title=file.title,
                media_type=file.media_type,
                content=file.content,
                faults=list(file.faults) or None,
            )
        )
