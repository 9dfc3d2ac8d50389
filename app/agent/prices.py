"""What a response costs: MODEL_PRICES first, then the published price list; Ollama costs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import structlog
import yaml
from genai_prices import calc_price
from pydantic import ConfigDict, ValidationError
from pydantic_ai.messages import ModelResponse
from pydantic_ai.usage import RequestUsage

from app.errors import AgentError
from app.frozen import Frozen

log = structlog.get_logger(__name__)

MILLION = Decimal(1_000_000)


class PricesError(AgentError):
    """The file named by MODEL_PRICES cannot be used."""

    code = "model_prices"


class Price(Frozen):
    """USD per million tokens; cached tokens cost like input unless said otherwise."""

    model_config = ConfigDict(extra="forbid")

    input: Decimal
    output: Decimal
    cache_read: Decimal | None = None
    cache_write: Decimal | None = None

    def of(self, usage: RequestUsage) -> Decimal:
        read, written = usage.cache_read_tokens, usage.cache_write_tokens
        fresh = max(0, usage.input_tokens - read - written)
        return (
            fresh * self.input
            + read * (self.input if self.cache_read is None else self.cache_read)
            + written * (self.input if self.cache_write is None else self.cache_write)
            + usage.output_tokens * self.output
        ) / MILLION


ASSUMED = Price(input=Decimal(15), output=Decimal(75))
"""What a model of unknown price counts against the caps: the price of the dearest models in common use."""


class Prices:
    """Prices by model name. A model nobody knows the price of has None, and counts as `ASSUMED` against the
    caps, which so become caps of its tokens; one warning says what they come to."""

    def __init__(self, own: Mapping[str, Price] | None = None) -> None:
        self._own = dict(own or {})
        self._warned: set[str] = set()

    @classmethod
    def load(cls, path: Path | None) -> Prices:
        """Read `model name: {input, output, cache_read, cache_write}` in USD per million tokens.

        Raises:
            PricesError: naming the file and what is wrong with it.
        """
        if path is None:
            return cls()
        try:
            listed = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
            return cls({name: Price.model_validate(value) for name, value in listed.items()})
        except (OSError, yaml.YAMLError, ValidationError, AttributeError) as error:
            raise PricesError(f"MODEL_PRICES: {path} cannot be used: {_first_line(error)}") from error

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


def _first_line(error: Any) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
