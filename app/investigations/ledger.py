"""What an investigation's thread shows, kept with the investigation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.investigations import repository
from app.storage.engine import autocommit, begin


@dataclass(frozen=True)
class InvestigationLedger:
    """The state of the thread (see `conversations.reply.Ledger`), fenced by a stage's `attempt`.

    Without one it is the update of a thread that writes, which is beside all stages and outlives them, and is
    fenced by its own number, `update`.
    """

    engine: AsyncEngine
    investigation_id: UUID
    attempt: int | None = None
    update: int | None = None

    async def load(self) -> dict[str, Any] | None:
        async with begin(self.engine) as connection:
            return await repository.load_thread_state(connection, self.investigation_id)

    async def save(self, state: dict[str, Any]) -> None:
        """Raises `StaleAttempt` when another worker has the stage, or it has ended."""
        async with autocommit(self.engine) as connection:
            await repository.save_thread_state(
                connection, self.investigation_id, state, attempt=self.attempt, update=self.update
            )
