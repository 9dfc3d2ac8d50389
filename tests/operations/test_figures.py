"""Figures over all replicas: what they count, what they cost with big tables, and that old ones never pass for new."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app import instruments, jobs
from app.operations import repository
from app.operations.figures import FRESH_SECONDS, OUT_OF_THE_DATABASE, FigureReader
from app.storage.engine import begin, create_engine
from tests.investigations.conftest import alert, intake_on
from tests.operations.conftest import LIMITS, run, turn


async def test_an_idle_database_has_figures_and_no_percentiles(engine: AsyncEngine) -> None:
    found = await FigureReader(engine, LIMITS).figures()
    assert found is not None
    assert (found.queues, found.workers, found.incidents_active) == ({}, 0, 0)
    assert (found.turns.by_status, found.turns.seconds) == ({}, None)
    assert found.investigations.seconds_to_brief is None
    assert (found.rolling_hour.requests, found.windows.total_tokens) == (0, 0)


async def test_turns_of_the_last_hour_are_counted_by_status_with_percentiles_of_those_done(
    engine: AsyncEngine,
) -> None:
    async with begin(engine) as connection:
        for number in range(1, 101):
            await turn(connection, number, seconds=number / 10)
        await turn(connection, 200, status="failed", seconds=90, error_code="turn_given_up")
        await turn(connection, 201, seconds=500, minutes_ago=61)
    found = await FigureReader(engine, LIMITS).figures()
    assert found is not None
    assert found.turns.by_status == {"done": 100, "failed": 1}
    seconds = found.turns.seconds
    assert seconds
    assert (seconds.count, seconds.p50, seconds.p95) == (100, pytest.approx(5.05), pytest.approx(9.505))


async def test_a_job_that_waits_behind_another_one_of_its_thread_is_not_late(engine: AsyncEngine) -> None:
    async with begin(engine) as connection:
        held = await jobs.defer(connection, jobs.Deferral("run_turn", {}, lock="session:1"))
        await jobs.defer(connection, jobs.Deferral("run_turn", {}, lock="session:1"))
        await connection.execute(
            text("UPDATE procrastinate_jobs SET status = 'doing' WHERE id = :id"), {"id": held}
        )
    found = await FigureReader(engine, LIMITS).figures()
    assert found is not None
    queue = found.queues["turns"]
    assert (queue.waiting, queue.running, queue.oldest_seconds) == (1, 1, None)

    async with begin(engine) as connection:
        late = await jobs.defer(connection, jobs.Deferral("run_turn", {}, lock="session:2"))
        await jobs.defer(connection, jobs.Deferral("run_turn", {}, lock="session:3", wait=3600))
        await connection.execute(
            text("UPDATE procrastinate_events SET at = now() - interval '90 seconds' WHERE job_id = :id"),
            {"id": late},
        )
    found = await FigureReader(engine, LIMITS).figures()
    assert found is not None
    queue = found.queues["turns"]
    assert (queue.waiting, queue.running) == (3, 1)
    assert queue.oldest_seconds
    assert 90 <= queue.oldest_seconds < 3600


async def test_alerts_wait_as_incidents_and_as_investigations(engine: AsyncEngine) -> None:
    intake = intake_on(engine)
    for key in ("Q1", "Q2"):
        await intake.accept(alert(key))
    await intake.accept(alert("Q1", status="resolved"))
    found = await FigureReader(engine, LIMITS).figures()
    assert found is not None
    assert (found.incidents_active, found.investigations.begun) == (1, 2)
    assert found.queues["look"].waiting >= 2
    assert instruments.INCIDENTS_ACTIVE.values == {(): 1}


async def test_tokens_are_told_in_total_for_the_hour_and_for_the_last_sixty_minutes(
    engine: AsyncEngine,
) -> None:
    now = datetime.now(UTC)
    for window, usd, tokens in (
        (f"hour:{now:%Y-%m-%dT%H}", 1.5, 300),
        (f"day:{now:%Y-%m-%d}", 4, 900),
        ("day:2026-01-01", 6, 100),
    ):
        await run(
            engine,
            'INSERT INTO budget_windows ("window", spent_usd, spent_tokens) VALUES (:name, :usd, :tokens)',
            name=window,
            usd=usd,
            tokens=tokens,
        )
    for minutes, tokens, usd in ((59, 70, 0.25), (61, 1_000, 9), (1, 30, None)):
        await run(
            engine,
            """INSERT INTO usage (attempt, provider, model, input_tokens, output_tokens, usd, created_at)
               VALUES (1, 'anthropic', 'm', :tokens, 5, :usd, now() - make_interval(mins => :minutes))""",
            tokens=tokens,
            usd=usd,
            minutes=minutes,
        )
    found = await FigureReader(engine, LIMITS, clock=lambda: now).figures()
    assert found is not None
    hour = found.rolling_hour
    assert (hour.requests, hour.input_tokens, hour.output_tokens, hour.usd, hour.unpriced) == (
        2,
        100,
        10,
        0.25,
        1,
    )
    windows = found.windows
    assert (windows.hour_usd, windows.day_usd, windows.total_usd, windows.total_tokens) == (1.5, 4, 10, 1000)
    assert instruments.SPEND_LIMIT.values == {("hour",): 20, ("day",): 100}


async def test_the_database_is_asked_once_however_many_ask(engine: AsyncEngine) -> None:
    now = [100.0]
    reader = FigureReader(engine, LIMITS, seconds=lambda: now[0])
    first = await reader.figures()
    await run(engine, "INSERT INTO procrastinate_workers DEFAULT VALUES")
    assert await reader.figures() is first
    now[0] += FRESH_SECONDS
    found = await reader.figures()
    assert found is not None
    assert found.workers == 1


async def test_figures_of_a_database_that_went_away_are_gone_and_not_old(engine: AsyncEngine) -> None:
    now = [0.0]
    reader = FigureReader(engine, LIMITS, seconds=lambda: now[0])
    assert await reader.figures() is not None
    assert instruments.DATABASE_UP.values == {(): 1}
    away = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    reader.engine, now[0] = away, 100
    assert await reader.figures() is None
    assert instruments.DATABASE_UP.values == {(): 0}
    assert [gauge.name for gauge in OUT_OF_THE_DATABASE if gauge.values] == []
    assert await reader.errors(24) is None
    await away.dispose()


async def test_what_failed_is_grouped_by_its_code_over_all_replicas(engine: AsyncEngine) -> None:
    async with begin(engine) as connection:
        for number in (1, 2):
            await turn(
                connection, number, status="failed", error_code="turn_given_up", minutes_ago=10 * number
            )
        await turn(connection, 3, status="failed", error_code="internal", minutes_ago=25 * 60)
    groups = await FigureReader(engine, LIMITS).errors(24)
    assert groups is not None
    assert [(each.what, each.code, each.count, each.trace_id) for each in groups] == [
        ("turn", "turn_given_up", 2, f"{1:032x}")
    ]


STATEMENTS: dict[str, tuple[Any, dict[str, Any]]] = {
    "queues": (repository.QUEUES, {}),
    "workers": (repository.WORKERS, {"seconds": 8.0}),
    "turns": (repository.TURNS, {}),
    "turn seconds": (repository.TURN_SECONDS, {}),
    "investigations": (repository.INVESTIGATIONS, {}),
    "active": (repository.ACTIVE, {}),
    "tokens": (repository.TOKENS, {}),
    "windows": (repository.WINDOWS, {"hour": "hour:x", "day": "day:x"}),
    "errors": (repository.ERRORS, {"hours": 24, "most": 10}),
}


@pytest.mark.parametrize("name", STATEMENTS)
async def test_no_statement_reads_a_whole_table(engine: AsyncEngine, name: str) -> None:
    """The engine forbids sequential scans where there is another way: one that is planned nevertheless lacks
    an index."""
    statement, values = STATEMENTS[name]
    async with begin(engine) as connection:
        rows = await connection.execute(text(f"EXPLAIN {statement.text}"), values)
        plan = "\n".join(row[0] for row in rows)
    assert "Index" in plan
    assert "Seq Scan" not in plan
