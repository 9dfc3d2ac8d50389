"""What was in force before, as all replicas have written it down."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from app.knowledge import repository
from app.storage.engine import begin


@dataclass(frozen=True)
class StoredHistory:
    """`History` of `app.knowledge.keeping` on the database.

    Raises:
        DatabaseUnavailable: by each of its methods.
    """

    engine: AsyncEngine

    async def last_good(self, *, besides: str) -> str | None:
        async with begin(self.engine) as connection:
            return await repository.last_good(connection, besides=besides)

    async def commit_of(self, revision: str) -> str | None:
        async with begin(self.engine) as connection:
            return await repository.commit_of(connection, revision)
