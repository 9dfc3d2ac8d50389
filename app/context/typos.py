"""Misspelled names: near enough to be meant, far enough from everyday words to be no accident."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from app.context.catalog import Catalog
from app.context.ordinary import ORDINARY
from app.context.speech import Speech

SERVICE_WORDS = frozenset({"service", "svc", "microservice", "component"})
SHORTEST = 5
"""Letters; anything shorter is one letter away from too many other words."""
LONG = 8
"""Letters from which two mistakes are forgiven instead of one."""
SHORTEST_PREFIX = 4
MOST_TRIED = 300
LIKELY = 0.78
"""Jaro-Winkler similarity from which a name is worth proposing."""
NEAREST = 3


@dataclass(frozen=True)
class Slip:
    """Words `start` to `end` (exclusive) that are nearly the name of `services`."""

    services: tuple[str, ...]
    start: int
    end: int

    def is_within(self, other: Slip) -> bool:
        longer = other.end - other.start > self.end - self.start
        return longer and other.start <= self.start and self.end <= other.end


def misspelled(speech: Speech, catalog: Catalog) -> tuple[str, ...]:
    """The services that misspelled words of the message mean, in the order of the words.

    Mistakes are counted as optimal string alignment (insert, drop, change, swap neighbours). Of the names
    near one word only the nearest count: a tie gives all of them, so that the caller asks back.
    """
    slips = list(find_slips(speech, catalog))
    outer = [slip for slip in slips if not any(slip.is_within(other) for other in slips)]
    found = dict.fromkeys(name for slip in outer for name in slip.services)
    return tuple(found or dict.fromkeys(abbreviated(speech, squeezed_spellings(catalog))))


def squeezed_spellings(catalog: Catalog) -> dict[str, str]:
    """Names by every spelling without hyphens."""
    return {spelling.replace("-", ""): name for spelling, name in catalog.spellings.items()}


def find_slips(speech: Speech, catalog: Catalog) -> Iterator[Slip]:
    """All places where a name nearly stands. “check out” is not nearly `checkout`: the words are counted."""
    from rapidfuzz import process  # noqa: PLC0415
    from rapidfuzz.distance import OSA  # noqa: PLC0415 - 3 MB that a quiet process does not need

    by_spelling = squeezed_spellings(catalog)
    by_words: dict[int, list[str]] = {}
    for spelling in catalog.spellings:
        by_words.setdefault(spelling.count("-") + 1, []).append(spelling.replace("-", ""))
    for part, start, end in parts(speech, most=max(by_words, default=1)):
        choices = list(by_spelling) if speech.is_one(start, end) else by_words.get(end - start, [])
        allowed = 2 if len(part) >= LONG else 1
        near = process.extract(part, choices, scorer=OSA.distance, score_cutoff=allowed, limit=NEAREST)
        near = [hit for hit in near if len(hit[0]) >= SHORTEST and same_beginning(part, hit[0])]
        best = min((hit[1] for hit in near), default=0)
        if near:
            names = dict.fromkeys(by_spelling[spelling] for spelling, away, _ in near if away == best)
            yield Slip(tuple(names), start, end)


def parts(speech: Speech, *, most: int) -> Iterator[tuple[str, int, int]]:
    """What may be a misspelled name: single words and up to `most` neighbours, each spelling once."""
    tried: set[str] = set()
    for start in range(len(speech.words)):
        for end in range(start + 1, min(start + most, len(speech.words)) + 1):
            words = speech.words[start:end]
            part = "".join(words)
            if len(part) < SHORTEST or part in tried or all(is_ordinary(word) for word in words):
                continue
            tried.add(part)
            yield part, start, end
            if len(tried) >= MOST_TRIED:
                return


def is_ordinary(word: str) -> bool:
    return word in ORDINARY or len(word) < 3


def same_beginning(part: str, name: str) -> bool:
    """People seldom miss the first letter; they do swap the first two."""
    return part[0] == name[0] or part[:2] == name[1::-1]


def abbreviated(speech: Speech, by_spelling: Mapping[str, str]) -> Iterator[str]:
    """The service whose name begins with the word beside “service”: “the check service” means checkout."""
    for word in beside_service(speech):
        meant = {name for spelling, name in by_spelling.items() if spelling.startswith(word)}
        if len(word) >= SHORTEST_PREFIX and len(meant) == 1:
            yield from meant


def beside_service(speech: Speech) -> Iterator[str]:
    """The words right before and right after “service”."""
    for at, word in enumerate(speech.words):
        if word in SERVICE_WORDS:
            yield from speech.words[max(at - 1, 0) : at]
            yield from speech.words[at + 1 : at + 2]


def nearest(speech: Speech, catalog: Catalog) -> tuple[str, ...]:
    """Up to three names that look like a word of the message, the likeliest first."""
    from rapidfuzz import process  # noqa: PLC0415
    from rapidfuzz.distance import JaroWinkler  # noqa: PLC0415 - 3 MB that a quiet process does not need

    by_spelling = squeezed_spellings(catalog)
    words = dict.fromkeys(
        [w for w in speech.words if len(w) >= 4 and w not in ORDINARY][:MOST_TRIED]
        + [w for w in beside_service(speech) if len(w) >= SHORTEST_PREFIX]
    )
    hits = [
        (-score, by_spelling[spelling])
        for word in words
        for spelling, score, _ in process.extract(
            word, list(by_spelling), scorer=JaroWinkler.similarity, score_cutoff=LIKELY, limit=NEAREST
        )
    ]
    return tuple(dict.fromkeys(name for _, name in sorted(hits)))[:NEAREST]
