"""Spellings: when two ways to write a name mean the same name."""

from __future__ import annotations

import re
from functools import lru_cache

WORD = re.compile(r"[^\W_]+")
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def words(text: str) -> list[str]:
    """The words of a text in lower case; hyphens, underscores, spaces and humps all part words."""
    return [part.casefold() for word in WORD.findall(text) for part in HUMP.split(word)]


@lru_cache(maxsize=16_384)
def slug(name: str) -> str:
    """What all spellings of a name have in common: its words joined by hyphens."""
    return "-".join(words(name))


@lru_cache(maxsize=16_384)
def squeezed(name: str) -> str:
    """The words of a name without anything between them: `paymentgateway`."""
    return "".join(words(name))
