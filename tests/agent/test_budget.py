"""Budgets in a real Postgres: caps hold across processes, and a dead process blocks nobody for long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent.budget import BudgetSpent, Estimate, PostgresBudget, Spent, WindowLimits
from app.storage.engine import create_engine
from app.storage.tables import budget_windows, usage

TEN_CENTS = Estimate(1000, Decimal("0.10"))


@dataclass
class Clock:
    now: datetime = datetime(2026, 11, 20, 20, 46, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


async def turn(engine: AsyncEngine) -> Spent:
    """A ledger entry of eight cents for a turn that exists."""
    session, turn_id = 0, uuid4()
    async with engine.begin() as connection:
        row = await connection.execute(
            text(
                "INSERT INTO sessions (team_id, channel_id, thread_ts, lock_key)"
                " VALUES ('T', 'C', :ts, 'x') RETURNING id"
            ),
            {"ts": str(turn_id)},
        )
        session = row.scalar_one()
        await connection.execute(
            text(
                "INSERT INTO turns (id, session_id, source_key, kind, user_id, question, trace_id)"
                " VALUES (:id, :session, :key, 'mention', 'U', 'q', 't')"
            ),
            {"id": turn_id, "session": session, "key": str(turn_id)},
        )
    return Spent(
        turn_id,
        session,
        1,
        "anthropic",
        "claude-haiku-5-5",
        700,
        100,
        500,
        50,
        Decimal("0.08"),
        Decimal("0.08"),
    )


async def test_many_at_once_never_exceed_the_cap(engine: AsyncEngine) -> None:
    budget = PostgresBudget(engine, WindowLimits(usd_per_hour=Decimal(1)), clock=Clock())

    outcomes = await asyncio.gather(*(budget.reserve(TEN_CENTS) for _ in range(25)), return_exceptions=True)

    assert sum(not isinstance(outcome, BaseException) for outcome in outcomes) == 10
    assert {type(outcome) for outcome in outcomes if isinstance(outcome, BaseException)} == {BudgetSpent}


async def test_settling_books_what_was_used_and_writes_the_ledger(engine: AsyncEngine) -> None:
    budget = PostgresBudget(engine, WindowLimits(usd_per_hour=Decimal("0.20")), clock=Clock())
    spent = await turn(engine)

    await budget.settle(await budget.reserve(TEN_CENTS), spent)

    async with engine.connect() as connection:
        windows = {row.window: row for row in await connection.execute(select(budget_windows))}
        ledger = (await connection.execute(select(usage))).one()
    assert windows["hour:2026-11-20T20"].spent_usd == windows["day:2026-11-20"].spent_usd == Decimal("0.08")
    assert windows["hour:2026-11-20T20"].reserved_usd == windows["hour:2026-11-20T20"].reserved_tokens == 0
    assert windows["day:2026-11-20"].spent_tokens == 800
    assert (ledger.turn_id, ledger.usd, ledger.cache_read_tokens) == (spent.turn_id, Decimal("0.08"), 500)


async def test_a_cut_stream_is_booked_at_its_estimate_and_a_refused_request_not_at_all(
    engine: AsyncEngine,
) -> None:
    budget = PostgresBudget(engine, WindowLimits(usd_per_hour=Decimal("0.20")), clock=Clock())

    await budget.settle(await budget.reserve(TEN_CENTS), None)
    await budget.release(await budget.reserve(TEN_CENTS))
    await budget.settle(await budget.reserve(TEN_CENTS), None)

    with pytest.raises(BudgetSpent) as refused:
        await budget.reserve(TEN_CENTS)
    assert refused.value.limit == "hour"
    assert "$0.20" in refused.value.sentence


async def test_the_next_hour_has_room_again_but_the_day_goes_on(engine: AsyncEngine) -> None:
    clock = Clock()
    limits = WindowLimits(usd_per_hour=Decimal("0.10"), usd_per_day=Decimal("0.20"))
    budget = PostgresBudget(engine, limits, clock=clock)
    for _ in range(2):
        await budget.settle(await budget.reserve(TEN_CENTS), None)
        clock.now += timedelta(hours=1)

    with pytest.raises(BudgetSpent) as refused:
        await budget.reserve(TEN_CENTS)

    assert refused.value.limit == "day"


async def test_what_a_dead_process_reserved_is_free_after_the_hour(engine: AsyncEngine) -> None:
    clock = Clock()
    limits = WindowLimits(usd_per_hour=Decimal("0.10"), usd_per_day=Decimal("0.10"))
    budget = PostgresBudget(engine, limits, clock=clock)
    await budget.reserve(TEN_CENTS)
    with pytest.raises(BudgetSpent):
        await budget.reserve(TEN_CENTS)

    clock.now += timedelta(hours=1)

    assert (await budget.reserve(TEN_CENTS)).usd == Decimal("0.10")


async def test_a_model_without_a_price_counts_against_the_caps_and_is_unpriced_in_the_ledger(
    engine: AsyncEngine,
) -> None:
    budget = PostgresBudget(engine, WindowLimits(usd_per_day=Decimal("0.15")), clock=Clock())
    await budget.settle(await budget.reserve(TEN_CENTS), replace(await turn(engine), usd=None))

    with pytest.raises(BudgetSpent):
        await budget.reserve(TEN_CENTS)
    async with engine.connect() as connection:
        assert (await connection.execute(select(usage.c.usd))).scalar_one() is None


async def test_tokens_have_a_cap_of_their_own(engine: AsyncEngine) -> None:
    budget = PostgresBudget(engine, WindowLimits(tokens_per_hour=1500), clock=Clock())
    await budget.reserve(TEN_CENTS)

    with pytest.raises(BudgetSpent, match="1500 tokens"):
        await budget.reserve(TEN_CENTS)
