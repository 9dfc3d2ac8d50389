"""One wait for the disk for many transactions.

A transaction that holds a lock everybody needs lets all of them wait for its commit to reach the disk, one
after the other. With `synchronous_commit` off it is seen by others at once, and kept for good as soon as any
later one is: https://www.postgresql.org/docs/current/wal-async-commit.html
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage.engine import autocommit

# The least that is a transaction with something to write.
WRITE = text("SELECT pg_logical_emit_message(true, 'sre-agent', '')")


@dataclass
class Flush:
    """`done()` returns when all that was committed before it was called is kept, whatever happens."""

    engine: AsyncEngine
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    _begun: int = 0
    _done: int = 0

    async def done(self) -> None:
        """Raises `DatabaseUnavailable`: it is not known to be kept."""
        enough = self._begun + 1
        async with self._turn:
            if self._done >= enough:
                return
            self._begun += 1
            async with autocommit(self.engine) as connection:
                await connection.execute(WRITE)
            self._done = self._begun
