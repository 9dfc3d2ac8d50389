"""The prices that are given by a file of one's own, MODEL_PRICES."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ConfigDict, ValidationError

from app.errors import AgentError
from app.frozen import Frozen

if TYPE_CHECKING:
    from pydantic_ai.usage import RequestUsage

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


def own_prices(path: Path | None) -> Mapping[str, Price]:
    """By model, from `model name: {input, output, cache_read, cache_write}` in USD per million tokens.

    Raises:
        PricesError: naming the file and what is wrong with it.
    """
    if path is None:
        return {}
    try:
        listed = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return {name: Price.model_validate(value) for name, value in listed.items()}
    except (OSError, yaml.YAMLError, ValidationError, AttributeError) as error:
        raise PricesError(f"MODEL_PRICES: {path} cannot be used: {_first_line(error)}") from error


def _first_line(error: Any) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
