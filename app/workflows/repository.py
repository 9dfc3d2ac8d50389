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
UPDATE sessions SET workflow = :workflow, workflow_state = CAST(:state AS jsonb),
       service_name = coalesce(service_name, :service)
 WHERE id = :session
""")


async def save_state(connection: AsyncConnection, session_id: int, state: State, service: str | None) -> None:
    """Where the session's workflow stands; a session without a service gets that of its workflow."""
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
