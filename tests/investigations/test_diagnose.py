"""Budgets of diagnoses, and the attempt that finds its predecessor's second look begun."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic_ai.messages import ModelRequest, UserPromptPart
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent.budget import BudgetSpent, Estimate, PostgresBudget, WindowLimits
from app.investigations.begun import OnceBegun
from app.investigations.brief import Brief, Cited
from app.investigations.diagnose import SECOND_LOOK, Outcome
from app.investigations.thread import concluded
from tests.investigations.cases import FINDINGS
from tests.investigations.conftest import Rows

NEXT = Estimate(600, Decimal("0.01"))


def budget(engine: AsyncEngine, **limits: Any) -> PostgresBudget:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    return PostgresBudget(engine, WindowLimits(**limits), clock=lambda: noon)


def of_one(engine: AsyncEngine, *, begun: bool = False, **after: Any) -> OnceBegun:
    return OnceBegun(budget(engine, tokens_per_hour=1000), budget(engine, **after), begun=begun)


async def test_an_hour_that_is_spent_lets_nothing_begin_and_everything_go_on(
    engine: AsyncEngine, rows: Rows
) -> None:
    one, other = of_one(engine), of_one(engine)
    held = await one.reserve(NEXT)
    with pytest.raises(BudgetSpent):
        await other.reserve(NEXT)
    await one.settle(held, None)
    await one.release(await one.reserve(NEXT))
    await one.settle(await one.reserve(NEXT), None)
    found = await rows(
        "SELECT spent_tokens, reserved_tokens FROM budget_windows WHERE \"window\" LIKE 'hour:%'"
    )
    assert found == [(1200, 0)]


async def test_an_attempt_that_goes_on_has_begun_already(engine: AsyncEngine) -> None:
    await of_one(engine).reserve(NEXT)
    await of_one(engine, begun=True).reserve(NEXT)


async def test_what_has_begun_still_ends_with_the_day(engine: AsyncEngine) -> None:
    one = of_one(engine, usd_per_day=Decimal("0.015"))
    await one.settle(await one.reserve(NEXT), None)
    with pytest.raises(BudgetSpent, match="day"):
        await one.reserve(NEXT)


def test_an_outcome_is_read_back_as_it_was_decided() -> None:
    brief = Brief(
        headline="h",
        impact=Cited(text="i", evidence=("E1",)),
        since="",
        likely_cause=Cited(text="c", evidence=("E1", "E2")),
        confidence_level="low",
        confidence=0.3,
    )
    outcome = Outcome(brief, FINDINGS, ("a change",), "it failed", "the budget", "low_confidence")
    kept = outcome.stored(2)
    assert kept["round"] == 2
    assert Outcome.restored(kept, FINDINGS) == outcome


def test_only_what_a_model_concluded_is_a_diagnosis() -> None:
    assert concluded("claude-haiku-5-5", None) == "diagnosed"
    assert concluded(None, None) == "evidence_only"
    assert concluded(None, "The model service refused the API key.") == "failed"
    assert concluded("claude-haiku-5-5", "A deeper look failed.") == "diagnosed"


def test_a_second_look_is_known_by_its_question() -> None:
    from app.investigations.diagnose import _asks

    assert _asks(ModelRequest(parts=[UserPromptPart(SECOND_LOOK)]), SECOND_LOOK)
    assert not _asks(ModelRequest(parts=[UserPromptPart(f"{SECOND_LOOK} Else.")]), SECOND_LOOK)
