"""The rows about revisions: one for each verdict that differs from the one before, however many say it."""

from __future__ import annotations

import asyncio

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.knowledge.models import Fault
from app.knowledge.repository import commit_of, faults_of, last_good, record
from app.storage.engine import begin
from app.storage.tables import knowledge_revisions

FAULTS = (Fault("a.md", 3, "error", "is broken"),)


async def told(engine: AsyncEngine, revision: str, *, accepted: bool, age: float = 0.0) -> bool:
    async with begin(engine) as connection:
        faults = () if accepted else FAULTS
        return await record(connection, revision, accepted=accepted, faults=faults, age=age)


async def test_of_several_replicas_one_is_told_to_speak(engine: AsyncEngine) -> None:
    several = await asyncio.gather(*(told(engine, "r1", accepted=False) for _ in range(5)))

    assert sorted(several) == [False, False, False, False, True]
    async with begin(engine) as connection:
        assert await connection.scalar(select(func.count()).select_from(knowledge_revisions)) == 1
        assert await faults_of(connection, "r1") == FAULTS


async def test_a_revision_may_be_refused_by_one_version_and_accepted_by_another(engine: AsyncEngine) -> None:
    assert await told(engine, "r1", accepted=False)
    assert await told(engine, "r1", accepted=True)
    async with begin(engine) as connection:
        assert await faults_of(connection, "r1") == FAULTS
        assert await faults_of(connection, "r2") == ()


async def test_each_turn_of_things_is_told_once_by_two_replicas(engine: AsyncEngine) -> None:
    verdicts = [("good", True), ("bad", False)] * 2

    heard = [await told(engine, name, accepted=accepted) for name, accepted in verdicts for _ in range(2)]

    assert heard == [True, False] * 4


async def test_a_replica_that_speaks_late_says_nothing_that_is_over(engine: AsyncEngine) -> None:
    assert await told(engine, "bad", accepted=False, age=60)
    assert await told(engine, "good", accepted=True)

    assert not await told(engine, "bad", accepted=False, age=30)
    assert await told(engine, "bad", accepted=False)


async def test_the_last_good_revision_is_the_newest_from_git_but_for_the_one_refused(
    engine: AsyncEngine,
) -> None:
    async with begin(engine) as connection:
        assert await last_good(connection, besides="b") is None
        for revision, commit in (("a", "aaaa"), ("old", None), ("a", "aaaa"), ("b", "bbbb")):
            await record(connection, revision, accepted=True, commit=commit)
        await record(connection, "local-1", accepted=True)
        await record(connection, "b", accepted=False, faults=FAULTS)

        assert await last_good(connection, besides="b") == "aaaa"
        assert await last_good(connection, besides="c") == "bbbb"
        assert (await commit_of(connection, "a"), await commit_of(connection, "old")) == ("aaaa", None)
