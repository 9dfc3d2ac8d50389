"""A message as words: lower case, taken apart, with what was written as one remembered."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.context.names import HUMP

WORD = re.compile(r"[^\W_]+(?:[-_.]+[^\W_]+)*")
BETWEEN = re.compile(r"[-_.]+")
NO_WORDS = re.compile(r"<[@!#][^<>]*>|:[a-z0-9_+-]+:")
QUOTES = frozenset("`\"“‘'*")
MOST_WORDS = 4000


@dataclass(frozen=True)
class Speech:
    """The words of a message.

    `joined[n]` says that word n belongs to the word before it (`check-out`, `CheckOut`); `marked[n]` that it
    stands in quotes or is part of such a compound, which people do to names and seldom to other words.
    """

    words: tuple[str, ...]
    joined: tuple[bool, ...]
    marked: tuple[bool, ...]

    def is_one(self, start: int, end: int) -> bool:
        """Whether the words from `start` to `end` (exclusive) were written as one."""
        return all(self.joined[start + 1 : end])


def listen(text: str) -> Speech:
    """Take a message apart; mentions of people, groups and channels and emoji are no words."""
    words: list[str] = []
    joined: list[bool] = []
    marked: list[bool] = []
    spoken = NO_WORDS.sub(" ", text)
    for found in WORD.finditer(spoken):
        quoted = found.start() > 0 and spoken[found.start() - 1] in QUOTES
        parts = [part for word in BETWEEN.split(found[0]) for part in HUMP.split(word)]
        for at, part in enumerate(parts):
            words.append(part.casefold())
            joined.append(at > 0)
            marked.append(quoted or len(parts) > 1)
        if len(words) > MOST_WORDS:
            break
    return Speech(tuple(words), tuple(joined), tuple(marked))
