"""What people thought of an answer."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations import repository
from app.storage.audit import write_audit
from app.storage.engine import begin


async def record(engine: AsyncEngine, turn_id: UUID, user_id: str, *, helpful: bool) -> bool:
    """Store a thumb; a person's newest one counts. False when there is no such turn."""
    async with begin(engine) as connection:
        answered = await repository.save_feedback(connection, turn_id, user_id, helpful=helpful)
        if answered is None:
            return False
        await write_audit(
            connection,
            "feedback",
            user_id=user_id,
            input_text="helpful" if helpful else "not helpful",
            **answered,
        )
    return True
