"""At most N diagnoses at once over all replicas, P1 first, one per service, and a slot that moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app import jobs
from app.investigations import repository
from app.investigations.models import PRIORITIES, Investigation, Place
from app.investigations.queueing import DIAGNOSE, DIAGNOSE_QUEUE, defer_diagnose, expire_overdue
from app.investigations.slots import OPTIONS, SLOTS, Slots
from app.jobs import Deferral, defer
from app.storage.engine import begin
from app.storage.errors import StaleAttempt
from tests.investigations.conftest import Rows, alert, intake_on

HELD = (
    f"FROM pg_locks WHERE locktype = 'advisory' AND classid = {SLOTS} AND granted AND pid <> pg_backend_pid() "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
KILL_AND_TAKE = f"""
DO $$ BEGIN
    LOOP
        PERFORM pg_terminate_backend(pid) {HELD};
        EXIT WHEN pg_try_advisory_lock({SLOTS}, 0);
        PERFORM pg_sleep(0.001);
    END LOOP;
END $$
"""


@dataclass
class Diagnoses:
    """Handlers that say what runs, and wait until they are let go."""

    running: list[str] = field(default_factory=list)
    order: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    cut: list[str] = field(default_factory=list)
    most: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self, investigation_id: str) -> None:
        self.order.append(investigation_id)
        self.running.append(investigation_id)
        self.most = max(self.most, len(self.running))
        try:
            await self.gate.wait()
            await asyncio.sleep(0.02)
            self.ended.append(investigation_id)
        except asyncio.CancelledError:
            self.cut.append(investigation_id)
            raise
        finally:
            self.running.remove(investigation_id)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not holds():
            await asyncio.sleep(0.02)


@pytest.fixture
async def slots(database_url: str) -> AsyncIterator[Callable[..., Awaitable[Slots]]]:
    started: list[Slots] = []

    async def start(diagnoses: Diagnoses, most: int) -> Slots:
        each = Slots(database_url, {DIAGNOSE: diagnoses.run}, most=most, grace_seconds=1)
        started.append(each)
        await each.start()
        return each

    yield start
    await asyncio.gather(*(each.stop() for each in started))


async def put(engine: AsyncEngine, name: str, *, service: str | None = None, priority: int = 80) -> None:
    lock = f"service:{service}" if service else None
    async with begin(engine) as connection:
        await defer(
            connection,
            Deferral(
                DIAGNOSE, {"investigation_id": name}, queue=DIAGNOSE_QUEUE, lock=lock, priority=priority
            ),
        )


@pytest.mark.slow
async def test_two_replicas_never_run_more_than_n_and_begin_with_p1(
    engine: AsyncEngine, slots: Callable[..., Awaitable[Slots]]
) -> None:
    for n in range(6):
        await put(engine, f"P3-{n}")
    await put(engine, "P1", priority=PRIORITIES["P1"])
    diagnoses = Diagnoses()
    first, second = await slots(diagnoses, 2), await slots(diagnoses, 2)

    await until(lambda: len(diagnoses.running) == 2)
    assert len(first.held) + len(second.held) == 2
    assert not first.held & second.held
    # The two begin at once, in whatever order.
    assert "P1" in diagnoses.order[:2]
    diagnoses.gate.set()
    await until(lambda: len(diagnoses.ended) == 7)
    assert diagnoses.most == 2
    assert len(set(diagnoses.ended)) == 7


@pytest.mark.slow
async def test_one_service_is_diagnosed_once_at_a_time_and_follow_ups_wait_too(
    engine: AsyncEngine, database_url: str, slots: Callable[..., Awaitable[Slots]]
) -> None:
    await put(engine, "first", service="checkout", priority=100)
    await put(engine, "second", service="checkout")
    await put(engine, "other", service="mail")
    diagnoses, said = Diagnoses(), []

    async def answer(turn_id: str) -> None:
        said.append((turn_id, list(diagnoses.running), list(diagnoses.ended)))

    turns = jobs.Queue(database_url, concurrency=2, grace_seconds=1)
    turns.handle("run_turn", answer)
    await slots(diagnoses, 3)
    await until(lambda: len(diagnoses.running) == 2)
    assert sorted(diagnoses.running) == ["first", "other"]

    async with begin(engine) as connection:
        await defer(connection, Deferral("run_turn", {"turn_id": "T"}, lock="service:checkout", priority=100))
    await turns.start()
    await asyncio.sleep(0.3)
    assert said == []
    diagnoses.gate.set()
    await until(lambda: bool(said) and len(diagnoses.ended) == 3)
    await turns.stop()
    assert "first" in said[0][2]
    assert "second" not in said[0][1]


@pytest.mark.slow
async def test_a_process_that_drains_ends_its_diagnosis_and_gives_its_slot_to_another(
    engine: AsyncEngine, slots: Callable[..., Awaitable[Slots]]
) -> None:
    await put(engine, "mine")
    mine, others = Diagnoses(), Diagnoses()
    draining = await slots(mine, 1)
    await until(lambda: mine.running == ["mine"])
    draining.drain()
    waiting = await slots(others, 1)
    await put(engine, "next")
    await asyncio.sleep(2)
    assert (mine.running, draining.running, others.order) == (["mine"], 1, [])

    mine.gate.set()
    await until(lambda: others.running == ["next"] and not draining.held)
    assert (mine.ended, mine.cut, draining.held, waiting.held) == (["mine"], [], frozenset(), {0})


@pytest.mark.slow
async def test_a_slot_moves_when_its_holder_s_connection_ends(
    engine: AsyncEngine, database_url: str, slots: Callable[..., Awaitable[Slots]]
) -> None:
    holder = await psycopg.AsyncConnection.connect(database_url, autocommit=True)
    await holder.execute("SELECT pg_advisory_lock(%s, 0)", (SLOTS,))
    diagnoses = Diagnoses()
    waiting = await slots(diagnoses, 1)
    await put(engine, "one")
    await asyncio.sleep(1)
    assert not waiting.held
    assert diagnoses.order == []

    await holder.close()
    await until(lambda: diagnoses.running == ["one"])
    assert waiting.held == {0}


@pytest.mark.slow
async def test_a_holder_that_says_nothing_any_more_loses_its_slot(
    database_url: str, slots: Callable[..., Awaitable[Slots]]
) -> None:
    stopped = await psycopg.AsyncConnection.connect(database_url, autocommit=True, options=OPTIONS)
    await stopped.execute("SELECT pg_advisory_lock(%s, 0)", (SLOTS,))
    waiting = await slots(Diagnoses(), 1)
    await until(lambda: waiting.held == {0})
    with pytest.raises(psycopg.OperationalError):
        await stopped.execute("SELECT 1")
    await stopped.close()


@pytest.mark.slow
async def test_a_slot_that_another_has_taken_meanwhile_is_not_run_on(
    engine: AsyncEngine, database_url: str, slots: Callable[..., Awaitable[Slots]]
) -> None:
    diagnoses = Diagnoses()
    mine = await slots(diagnoses, 1)
    await put(engine, "one")
    await until(lambda: diagnoses.running == ["one"])

    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as other:
        await other.execute(KILL_AND_TAKE)
        await until(lambda: diagnoses.cut == ["one"])
        assert not mine.held
    # The other one is gone: the slot comes back, and so does the job.
    diagnoses.gate.set()
    await until(lambda: diagnoses.ended == ["one"])
    assert diagnoses.most == 1


@pytest.mark.slow
async def test_a_lost_connection_alone_costs_no_diagnosis(
    engine: AsyncEngine, rows: Rows, slots: Callable[..., Awaitable[Slots]]
) -> None:
    diagnoses = Diagnoses()
    mine = await slots(diagnoses, 1)
    await put(engine, "one")
    await until(lambda: diagnoses.running == ["one"])
    await rows(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'sre-agent-slots' AND datname = current_database()"
    )
    await asyncio.sleep(1)
    held = f"SELECT count(*) {HELD}"
    async with asyncio.timeout(60):
        while await rows(held) != [(1,)]:
            await asyncio.sleep(0.05)
    assert diagnoses.running == ["one"]
    assert mine.held == {0}
    diagnoses.gate.set()
    await until(lambda: diagnoses.ended == ["one"])
    await mine.stop()
    assert await rows(held) == [(0,)]


# -- waiting for a diagnosis ------------------------------------------------------------------------------


async def looked(
    engine: AsyncEngine, key: str = "Q1", *, thread: bool = True, **changes: object
) -> Investigation:
    """An investigation whose look is over, and whose diagnosis waits."""
    accepted = await intake_on(engine).accept(alert(key, **changes))
    assert accepted.investigation_id
    async with begin(engine) as connection:
        taken = await repository.begin_look(connection, accepted.investigation_id)
        assert taken
        if thread:
            await repository.open_thread(connection, taken, Place("T1", "C1", f"100.{key}"))
            found = await repository.load(connection, taken.id)
            assert found
            taken = found
        await defer_diagnose(connection, taken)
    return taken


async def test_a_diagnosis_waits_behind_its_service_with_its_severity(
    engine: AsyncEngine, rows: Rows
) -> None:
    taken = await looked(engine, severity="P1")
    assert await rows(
        "SELECT queue_name, lock, priority FROM procrastinate_jobs WHERE task_name = 'diagnose'"
    ) == [("diagnose", "service:checkout", 100)]
    assert await rows(
        "SELECT v.status, v.diagnose_job_id = t.job_id, t.id = v.id FROM investigations v JOIN turns t ON t.id = v.turn_id"
    ) == [("looked", True, True)]
    async with begin(engine) as connection:
        with pytest.raises(StaleAttempt):
            await defer_diagnose(connection, taken)


async def test_without_a_service_it_waits_behind_its_own_session(engine: AsyncEngine, rows: Rows) -> None:
    await looked(engine, service=None)
    assert await rows(
        "SELECT j.lock = 'session:' || s.id, s.lock_key FROM procrastinate_jobs j, sessions s WHERE j.task_name = 'diagnose'"
    ) == [(True, None)]


async def test_a_severity_that_rises_while_it_waits_moves_it_forward(engine: AsyncEngine, rows: Rows) -> None:
    await looked(engine, severity="P4")
    await intake_on(engine).accept(alert(severity="P1"))
    assert await rows("SELECT priority FROM procrastinate_jobs WHERE task_name = 'diagnose'") == [(100,)]


async def test_what_waited_too_long_is_expired_when_it_is_its_turn(engine: AsyncEngine, rows: Rows) -> None:
    taken = await looked(engine)
    await rows("UPDATE investigations SET looked_at = now() - interval '601 s'")
    for attempt in (2, 3):  # a worker that dies before the note is in the thread leaves it to the next
        async with begin(engine) as connection:
            expired = await repository.begin_diagnose(connection, taken.id, ttl_seconds=600)
        assert expired
        assert (expired.status, expired.attempt) == ("expired", attempt)
    async with begin(engine) as connection:
        await repository.finish(connection, expired, "expired", error_code="queue_ttl")
    async with begin(engine) as connection:
        assert await repository.begin_diagnose(connection, taken.id, ttl_seconds=600) is None
    assert await rows("SELECT status, error_code FROM turns") == [("expired", "queue_ttl")]


async def test_a_diagnosis_that_was_begun_in_time_is_never_expired(engine: AsyncEngine, rows: Rows) -> None:
    taken = await looked(engine)
    async with begin(engine) as connection:
        await repository.begin_diagnose(connection, taken.id, ttl_seconds=600)
    await rows("UPDATE investigations SET looked_at = now() - interval '601 s'")
    async with begin(engine) as connection:
        resumed = await repository.begin_diagnose(connection, taken.id, ttl_seconds=600)
    assert resumed
    assert resumed.status == "diagnosing"


async def test_what_waits_too_long_is_told_so_even_when_no_slot_is_free(
    engine: AsyncEngine, rows: Rows
) -> None:
    old, _ = await looked(engine, "Q1"), await looked(engine, "Q2", service="mail")
    await rows(f"UPDATE investigations SET looked_at = now() - interval '601 s' WHERE id = '{old.id}'")
    taken = await asyncio.gather(expire_overdue(engine, 600), expire_overdue(engine, 600))

    assert sorted(taken) == [0, 1]
    assert await rows("SELECT status, count(*) FROM investigations GROUP BY 1 ORDER BY 1") == [
        ("expired", 1),
        ("looked", 1),
    ]
    assert await rows(
        "SELECT task_name, status::text, args->>'investigation_id' FROM procrastinate_jobs "
        f"WHERE task_name <> 'look' AND args->>'investigation_id' = '{old.id}' ORDER BY id"
    ) == [("diagnose", "cancelled", str(old.id)), ("update_incident", "todo", str(old.id))]
    async with begin(engine) as connection:
        told = await repository.load(connection, UUID(str(old.id)))
        assert told
        await repository.finish(connection, told, "expired", error_code="queue_ttl")
