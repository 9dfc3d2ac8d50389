"""What a response costs: MODEL_PRICES first, then the published price list; Ollama costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import structlog
from genai_prices import calc_price
from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RequestUsage

from app.agent.own_prices import MILLION, Price

log = structlog.get_logger(__name__)

ASSUMED = Price(input=Decimal(15), output=Decimal(75))
"""What a model of unknown price counts against the caps: the price of the dearest models in common use."""


class Prices:
    """Prices by model name. A model nobody knows the price of has None, and counts as `ASSUMED` against the
    caps, which so become caps of its tokens; one warning says what they come to."""

    def __init__(self, own: Mapping[str, Price] | None = None) -> None:
        self._own = dict(own or {})
        self._warned: set[str] = set()

    def of(self, provider: str, response: ModelResponse) -> Decimal | None:
        """The price of one response in USD, for the ledger."""
        return self._price(provider, response.model_name or "", response.usage)

    def counted(self, provider: str, response: ModelResponse) -> Decimal:
        """What one response counts against the caps, in USD."""
        return self._counted(provider, response.model_name or "", response.usage)

    def at(self, provider: str, model: str, input_tokens: int, output_tokens: int) -> Decimal:
        """What a request of that size with nothing cached counts against the caps, in USD."""
        return self._counted(
            provider, model, RequestUsage(input_tokens=input_tokens, output_tokens=output_tokens)
        )

    def _counted(self, provider: str, model: str, usage: RequestUsage) -> Decimal:
        price = self._price(provider, model, usage)
        return ASSUMED.of(usage) if price is None else price

    def _price(self, provider: str, model: str, usage: RequestUsage) -> Decimal | None:
        if model in self._own:
            return self._own[model].of(usage)
        if provider == "ollama":
            return Decimal(0)
        try:
            return calc_price(usage, model, provider_id=provider).total_price
        except LookupError:
            if model not in self._warned:
                self._warned.add(model)
                log.warning(
                    "model_price_unknown",
                    model=model,
                    tokens_per_usd=int(MILLION / ASSUMED.input),
                    hint=f"add it to MODEL_PRICES; until then its tokens count against the COST_LIMIT_… at "
                    f"${ASSUMED.input} a million read and ${ASSUMED.output} a million written",
                )
            return None
