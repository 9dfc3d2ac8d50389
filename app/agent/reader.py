"""One question to the model whose answer is a form and not prose: what a text says, read into fields."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel
from pydantic_ai.messages import ModelRequest, UserPromptPart

from app.agent.asking import ask, offer
from app.agent.booking import Bookings
from app.agent.budget import Budget
from app.agent.conclude import conclusion_in
from app.agent.failures import MODEL_FAILED, ModelUnavailable, explain
from app.agent.models import ChosenModel
from app.agent.prices import Prices

C = TypeVar("C", bound=BaseModel)

SECONDS = 30.0
"""Somebody waits; what can be done without the model is done without it then."""
LONG_FORM = 1024
"""Tokens reserved for a form."""


@dataclass(frozen=True)
class ReadFor:
    """The turn a reading is booked on."""

    turn_id: UUID
    session_id: int
    attempt: int


@dataclass(frozen=True)
class Reader:
    """Asks once: whoever wants a reading has something to go on with when there is none."""

    model: ChosenModel
    budget: Budget
    prices: Prices
    seconds: float = SECONDS

    async def read(self, form: type[C], task: str, text: str, reading: ReadFor) -> C | None:
        """What `text` says, in the form; None when the model gave another one.

        Raises:
            ModelUnavailable: it failed, or took too long.
            BudgetSpent: a cap forbids it.
        """
        bookings = Bookings(
            reading.turn_id, reading.session_id, reading.attempt, self.model, self.budget, self.prices
        )
        request = ModelRequest(parts=[UserPromptPart(text)])
        try:
            async with (
                bookings.request(len(task) + len(text), written=LONG_FORM) as booking,
                asyncio.timeout(self.seconds),
            ):
                response = await ask(self.model, [request], offer(task, (), form), booking.hear)
                booking.response = response
        except MODEL_FAILED as error:
            failure = explain(error, self.model.name)
            raise ModelUnavailable(failure.sentence, failure.reason) from error
        except TimeoutError as error:
            raise ModelUnavailable("The model took too long to read this.", "timed_out") from error
        return conclusion_in([response], form)
