"""A form that a model fills in: read once, and booked like every request of a turn."""

from __future__ import annotations

from uuid import uuid4

import pytest
from pydantic import BaseModel

from app.agent.failures import ModelUnavailable
from app.agent.reader import Reader, ReadFor
from tests.agent.memory import MemoryBudget
from tests.agent.stage import Stage
from tests.fakes.script import Call, overloaded, say


class Named(BaseModel):
    """What is named."""

    service: str


READING = ReadFor(uuid4(), 7, 2)


def reader(stage: Stage, **more: float) -> tuple[Reader, MemoryBudget]:
    assert isinstance(stage.budget, MemoryBudget)
    return Reader(stage.model, stage.budget, stage.prices, **more), stage.budget


async def test_a_form_is_read_and_paid_on_its_turn(stage: Stage) -> None:
    asked, budget = reader(stage)
    stage.server.script.add(say("", Call("conclude", {"service": "checkout"})))

    assert await asked.read(Named, "Read it.", "checkout, please", READING) == Named(service="checkout")

    [spent] = budget.spent
    assert spent is not None
    assert (spent.turn_id, spent.session_id, spent.attempt) == (READING.turn_id, 7, 2)
    assert spent.output_tokens > 0


async def test_a_reading_that_breaks_off_is_paid_and_one_that_is_refused_is_not(stage: Stage) -> None:
    asked, budget = reader(stage)
    stage.server.script.add(say("It is never finished at all", fault="cut"))
    with pytest.raises(ModelUnavailable):
        await asked.read(Named, "Read it.", "checkout", READING)
    assert (budget.spent, budget.released) == ([None], 0)

    stage.server.script.add(overloaded(), overloaded())
    with pytest.raises(ModelUnavailable):
        await asked.read(Named, "Read it.", "checkout", READING)
    assert (budget.spent, budget.released) == ([None], 1)


async def test_a_reading_that_takes_too_long_is_given_up_and_paid(stage: Stage) -> None:
    asked, budget = reader(stage, seconds=0.3)
    stage.server.script.add(say("checkout", first_token_seconds=5))

    with pytest.raises(ModelUnavailable) as gone:
        await asked.read(Named, "Read it.", "checkout", READING)

    assert gone.value.reason == "timed_out"
    assert (budget.spent, budget.released) == ([None], 0)
