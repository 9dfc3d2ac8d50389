"""One question to the model whose answer is a form and not prose: what a text says, read into fields."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel
from pydantic_ai.messages import ModelRequest, ModelResponse, ModelResponseStreamEvent, UserPromptPart

from app.agent.asking import ask, offer
from app.agent.budget import Budget, Estimate, Reservation, Spent
from app.agent.compaction import CHARACTERS_PER_TOKEN
from app.agent.conclude import conclusion_in
from app.agent.failures import ModelUnavailable, explain
from app.agent.models import LoadedModel
from app.agent.prices import Prices
from app.agent.run import MODEL_FAILED

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

    model: LoadedModel
    budget: Budget
    prices: Prices
    seconds: float = SECONDS

    async def read(self, form: type[C], task: str, text: str, reading: ReadFor) -> C | None:
        """What `text` says, in the form; None when the model gave another one.

        Raises:
            ModelUnavailable: it failed, or took too long.
            BudgetSpent: a cap forbids it.
        """
        reservation = await self.budget.reserve(self._estimate(len(task) + len(text)))
        request = ModelRequest(parts=[UserPromptPart(text)])
        try:
            async with asyncio.timeout(self.seconds):
                response = await ask(self.model, [request], offer(task, (), form), _hear)
        except MODEL_FAILED as error:
            await self.budget.release(reservation)
            failure = explain(error, self.model.name)
            raise ModelUnavailable(failure.sentence, failure.reason) from error
        except TimeoutError as error:
            await self.budget.settle(reservation, None)
            raise ModelUnavailable("The model took too long to read this.", "timed_out") from error
        except BaseException:
            await self.budget.settle(reservation, None)
            raise
        await self._pay(reservation, response, reading)
        return conclusion_in([response], form)

    def _estimate(self, characters: int) -> Estimate:
        read = round(characters / CHARACTERS_PER_TOKEN)
        cost = self.prices.at(self.model.provider, self.model.name, read, LONG_FORM)
        return Estimate(read + LONG_FORM, cost)

    async def _pay(self, reservation: Reservation, response: ModelResponse, reading: ReadFor) -> None:
        spent = Spent(
            turn_id=reading.turn_id,
            session_id=reading.session_id,
            attempt=reading.attempt,
            provider=self.model.provider,
            model=response.model_name or self.model.name,
            input_tokens=response.usage.input_tokens,
            output_tokens=response.usage.output_tokens,
            cache_read_tokens=response.usage.cache_read_tokens,
            cache_write_tokens=response.usage.cache_write_tokens,
            usd=self.prices.of(self.model.provider, response),
            counted=self.prices.counted(self.model.provider, response),
        )
        await self.budget.settle(reservation, spent)


async def _hear(event: ModelResponseStreamEvent) -> None:
    """Nothing of a form is shown while it is written."""
