"""Intents to call people, kept in the row of their investigation: `escalations`, by key."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import AgentError
from app.escalation.models import Intent
from app.storage.engine import alone, as_json, begin

LONGEST_ALONE = 60
"""Seconds."""
FIND = text("SELECT escalations -> CAST(:key AS text) FROM investigations WHERE id = :id")
BEGIN = text("""
UPDATE investigations
   SET escalations = jsonb_build_object(CAST(:key AS text), CAST(:row AS jsonb)) || escalations
 WHERE id = :id
RETURNING escalations -> CAST(:key AS text)
""")
"""The right side of || wins: what is there stays."""
FINISH = text("""
UPDATE investigations
   SET escalations = jsonb_set(escalations, ARRAY[CAST(:key AS text), 'outcome'], CAST(:outcome AS jsonb))
 WHERE id = :id
""")


class NoInvestigation(AgentError):
    """Somebody is to be called about an investigation that is not there."""

    code = "no_investigation"
    status = 404


class StoredIntents:
    """The intents of one investigation; each call is a transaction of its own (see `escalation.Intents`)."""

    def __init__(self, engine: AsyncEngine, investigation_id: UUID) -> None:
        self._engine = engine
        self._id = investigation_id

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        async with begin(self._engine) as connection:
            await alone(connection, f"escalation:{self._id}", seconds=LONGEST_ALONE)
            yield

    async def find(self, key: str) -> Intent | None:
        async with begin(self._engine) as connection:
            row = (await connection.execute(FIND, {"id": self._id, "key": key})).scalar()
        return _intent(row) if row else None

    async def begin(self, key: str, plan: Mapping[str, Any]) -> Intent:
        values = {"id": self._id, "key": key, "row": as_json({"plan": dict(plan), "outcome": None})}
        async with begin(self._engine) as connection:
            row = (await connection.execute(BEGIN, values)).scalar()
        if row is None:
            raise NoInvestigation("There is no such investigation; nobody was called.")
        return _intent(row)

    async def finish(self, key: str, outcome: Mapping[str, Any]) -> None:
        values = {"id": self._id, "key": key, "outcome": as_json(dict(outcome))}
        async with begin(self._engine) as connection:
            await connection.execute(FINISH, values)


def _intent(row: Mapping[str, Any]) -> Intent:
    return Intent(row["plan"], row.get("outcome"))
