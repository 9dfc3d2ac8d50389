"""The whole results of tool calls, for the tool that reads on in them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage.engine import begin

FULL = text("""
SELECT CASE WHEN result_full <> '' THEN result_full WHEN result_full IS NULL THEN result END FROM tool_calls
 WHERE session_id = :session_id AND call_id = :call_id AND finished_at IS NOT NULL ORDER BY id DESC LIMIT 1
""")


@dataclass(frozen=True)
class StoredResults:
    engine: AsyncEngine

    async def full(self, call_id: str, session_id: int | None) -> str | None:
        """The whole result of a call of that session; None when there is none that was kept."""
        async with begin(self.engine) as connection:
            found = await connection.execute(FULL, {"session_id": session_id, "call_id": call_id})
            return found.scalar()
