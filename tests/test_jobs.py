"""How soon a job of a process that died is somebody else's."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from app.jobs import BEAT_SECONDS, DEAD_AFTER_SECONDS
from app.storage.engine import begin, create_engine

HOLDER = text("""
INSERT INTO procrastinate_workers (last_heartbeat) VALUES (now() - make_interval(secs => :ago)) RETURNING id
""")
HELD = text("""
INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, worker_id)
VALUES ('turns', 'run_turn', '{}', 'doing', :holder)
""")
RESCUE = text("SELECT queue_rescue(:seconds)")
STATUS = text("SELECT status::text FROM procrastinate_jobs")


@pytest.mark.parametrize(
    ("silent", "rescued", "status"),
    [(DEAD_AFTER_SECONDS - 2 * BEAT_SECONDS, 0, "doing"), (DEAD_AFTER_SECONDS + BEAT_SECONDS, 1, "todo")],
)
async def test_a_job_is_anybodys_once_its_holder_has_been_silent_for_long(
    database_url: str, silent: float, rescued: int, status: str
) -> None:
    engine = create_engine(database_url)
    async with begin(engine) as connection:
        holder = (await connection.execute(HOLDER, {"ago": silent})).scalar_one()
        await connection.execute(HELD, {"holder": holder})

        count = (await connection.execute(RESCUE, {"seconds": DEAD_AFTER_SECONDS})).scalar_one()

        assert count == rescued
        assert (await connection.execute(STATUS)).scalar_one() == status
    await engine.dispose()


def test_what_a_dead_process_held_goes_on_within_fifteen_seconds() -> None:
    """A beat may have been just before the end, and others look once in a beat of theirs."""
    assert DEAD_AFTER_SECONDS + 2 * BEAT_SECONDS < 15
