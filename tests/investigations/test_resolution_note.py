"""The note with which people closed an incident in its own source is its outcome, once."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.investigations import afterwards
from app.investigations.intake import Intake
from app.storage.engine import begin
from tests.investigations.conftest import alert


async def test_the_same_note_is_one_outcome(engine: AsyncEngine, intake: Intake) -> None:
    investigation_id = (await intake.accept(alert())).investigation_id
    assert investigation_id is not None
    for words in ("the pool was too small", "the pool was too small", "in fact the ledger was slow"):
        async with begin(engine) as connection:
            await afterwards.add_note(connection, investigation_id, words)
    async with begin(engine) as connection:
        rows = (await connection.execute(text("SELECT cause, source FROM outcomes ORDER BY id"))).all()
    assert [tuple(row) for row in rows] == [
        ("the pool was too small", "resolution_note"),
        ("in fact the ledger was slow", "resolution_note"),
    ]
