"""Words a change shares with the symptoms, the rarer among all changes the more telling.

Names of services are left out (where a change was is weighed elsewhere), and so are words every diff has.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.context.names import squeezed, words
from app.context.ranking import SILENT, stem

LEAST_LETTERS = 3
COMMON_WORDS = """
err error errors nil null return func function def class const var let import new true false none string int
bool float struct type self this ctx context service services server src pkg lib internal app main index
chore feat fix refactor docs test tests add adds added remove update updates change changes use uses support
failed failure fail info warn warning code file files line value values data name key get set http api
request requests response handler total count rate ratio per sec seconds log logs metric metrics
time duration second minute minutes hour hours millisecond milliseconds
"""
COMMON = frozenset(COMMON_WORDS.split())
WEIGHT_OF_CHANGED = 1.0
WEIGHT_OF_TITLE = 0.6


@dataclass(frozen=True)
class Shared:
    """0–1, and the words themselves, the most telling first."""

    score: float
    words: tuple[str, ...]


class Wording:
    """The words of the symptoms against those of each change."""

    def __init__(
        self,
        symptoms: Iterable[tuple[str, float]],
        texts: Mapping[str, Sequence[tuple[str, float]]],
        names: Iterable[str],
    ) -> None:
        """`symptoms` are texts with their weight, `texts` those of each change by its key."""
        self._names = "\n".join(squeezed(name) for name in names)
        self._symptoms: dict[str, float] = {}
        for text, weight in symptoms:
            for word in self._telling(text):
                self._symptoms[word] = max(self._symptoms.get(word, 0.0), weight)
        self._changes = {key: self._weighed(parts) for key, parts in texts.items()}
        self._spread = Counter(word for found in self._changes.values() for word in found)

    def shared(self, key: str) -> Shared:
        mine = self._changes.get(key, {})
        count = len(self._changes)
        found = {
            word: weight * self._symptoms[word] * math.log((count + 1) / (self._spread[word] + 0.5))
            for word, weight in mine.items()
            if word in self._symptoms
        }
        total = sum(max(value, 0.1) for value in found.values())
        ordered = sorted(found, key=lambda word: (-found[word], word))
        return Shared(1 - math.exp(-total / 3), tuple(ordered[:5]))

    def _weighed(self, parts: Sequence[tuple[str, float]]) -> dict[str, float]:
        found: dict[str, float] = {}
        for text, weight in parts:
            for word in self._telling(text):
                found[word] = max(found.get(word, 0.0), weight)
        return found

    def _telling(self, text: str) -> set[str]:
        return {stem(word) for word in words(text[:4000]) if _tells(word) and word not in self._names}


def _tells(word: str) -> bool:
    return (
        len(word) >= LEAST_LETTERS
        and word not in SILENT
        and word not in COMMON
        and not re.search(r"\d", word)
    )
