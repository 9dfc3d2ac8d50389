"""What a request to a model may cost is set aside before it is sent, and booked when it is answered."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from pydantic_ai.messages import ModelResponse, ModelResponseStreamEvent

from app.agent.budget import Budget, Estimate, Spent
from app.agent.compaction import CHARACTERS_PER_TOKEN
from app.agent.failures import MODEL_FAILED
from app.agent.models import ChosenModel
from app.agent.prices import Prices
from app.agent.sending import sent
from app.instruments import MODEL_SPEND, TOKENS_INPUT, TOKENS_OUTPUT


@dataclass
class Booking:
    """One request; whoever sends it leaves here whether anything was heard of its response, and that."""

    heard: bool = False
    response: ModelResponse | None = None

    async def hear(self, event: ModelResponseStreamEvent) -> None:
        self.heard = True


@dataclass(frozen=True)
class Bookings:
    """The requests that one attempt of a turn sends to one model."""

    turn_id: UUID
    session_id: int | None
    attempt: int
    model: ChosenModel
    budget: Budget
    prices: Prices

    @asynccontextmanager
    async def request(self, characters: float, *, written: int) -> AsyncIterator[Booking]:
        """Around one request of so many `characters`, which may write so many tokens.

        One that the service refused costs nothing. One that broke off, was given up or is not answered any
        more has been read and perhaps partly written: it is paid for at its estimate.

        Raises:
            BudgetSpent: the hour or the day has no room for it.
        """
        reservation = await self.budget.reserve(self._estimate(characters, written))
        booking = Booking()
        try:
            with sent(self.model, self.session_id) as request:
                yield booking
                request.answered(booking.response)
        except BaseException as error:
            if isinstance(error, MODEL_FAILED) and not booking.heard:
                await self.budget.release(reservation)
            else:
                await self.budget.settle(reservation, self._spent(booking.response))
            raise
        spent = self._spent(booking.response)
        await self.budget.settle(reservation, spent)
        if spent is not None:
            TOKENS_INPUT.add(spent.input_tokens, model=spent.model)
            TOKENS_OUTPUT.add(spent.output_tokens, model=spent.model)
            MODEL_SPEND.add(float(spent.counted), model=spent.model)

    def _estimate(self, characters: float, written: int) -> Estimate:
        read = round(characters / CHARACTERS_PER_TOKEN)
        return Estimate(read + written, self.prices.at(self.model.provider, self.model.name, read, written))

    def _spent(self, response: ModelResponse | None) -> Spent | None:
        if response is None:
            return None
        usage, provider = response.usage, self.model.provider
        return Spent(
            turn_id=self.turn_id,
            session_id=self.session_id,
            attempt=self.attempt,
            provider=provider,
            model=response.model_name or self.model.name,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            usd=self.prices.of(provider, response),
            counted=self.prices.counted(provider, response),
        )
