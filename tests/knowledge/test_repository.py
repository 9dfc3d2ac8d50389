"""The rows about revisions: one for each verdict, however many replicas say it."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.knowledge.models import Fault
from app.knowledge.repository import faults_of, record
from app.storage.engine import begin
from app.storage.tables import knowledge_revisions

FAULTS = (Fault("a.md", 3, "error", "is broken"),)


async def test_of_several_replicas_one_is_told_to_speak(engine: AsyncEngine) -> None:
    async def refuse() -> bool:
        async with begin(engine) as connection:
            return await record(connection, "r1", accepted=False, faults=FAULTS)

    told = await asyncio.gather(*(refuse() for _ in range(5)))

    assert sorted(told) == [False, False, False, False, True]
    async with begin(engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(knowledge_revisions)) == 1
        assert await faults_of(connection, "r1") == FAULTS


async def test_a_revision_may_be_refused_by_one_version_and_accepted_by_another(engine: AsyncEngine) -> None:
    async with begin(engine) as connection:
        assert await record(connection, "r1", accepted=False, faults=FAULTS)
        assert await record(connection, "r1", accepted=True)
        assert await faults_of(connection, "r1") == FAULTS
        assert await faults_of(connection, "r2") == ()
