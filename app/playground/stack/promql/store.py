"""What a query reads: series chosen by matchers."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from app.playground.stack.promql.refused import BadQuery


@dataclass(frozen=True)
class Matcher:
    """`operator` is one of = != =~ !~; a label that is not there is the empty text."""

    label: str
    operator: str
    value: str

    def fits(self, labels: Mapping[str, str]) -> bool:
        value = labels.get(self.label, "")
        found = bool(self._pattern.fullmatch(value)) if "~" in self.operator else value == self.value
        return found != self.operator.startswith("!")

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        try:
            return re.compile(self.value, re.DOTALL)
        except re.error as error:
            raise BadQuery(f"invalid regular expression {self.value!r}: {error}") from None


@dataclass(frozen=True)
class Stored:
    """A series: times ascending in seconds, a value for each. After `ended` it is known to be gone."""

    labels: Mapping[str, str]
    times: Sequence[float]
    values: Sequence[float]
    ended: float | None = None


class Store(Protocol):
    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[Stored]:
        """The series all matchers fit, with their samples in [start, end]."""
        ...
