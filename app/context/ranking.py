"""BM25: how well a section answers a question, from the words they share.

Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond" (2009), with k1 = 1.2 and
b = 0.75. A question is scored against some hundred sections, for which plain Python takes less than a
millisecond; a library on numpy would cost every replica 16 MB and 0.3 s at start.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.context.names import words

K1 = 1.2
B = 0.75
HEADING_WEIGHT = 3
MOST_TERMS = 48
"""Of a question; a longer one is a pasted log, whose rarest words say what it is about."""
KINDRED_WEIGHT = 0.35

SILENT_WORDS = """
a about all also am an and any are as at be been but by can could did do does for from get give had has have
he hello help her here hi how i if in into is it its just know let like make may me more much must my need
needs no not now of off on or our out please she should so some take tell than thank thanks that the their
them then there these they this those to too up us use want was we were what when where which while who whom
whose why will with would you your
"""
SILENT = frozenset(SILENT_WORDS.split())

KINDRED = (
    "launch release readiness ready checklist production live ship rollout",
    "down outage failure fail broken degrade unavailable incident",
    "slow latency timeout duration",
    "owner own team contact responsible",
    "page pager oncall escalate escalation alert",
    "slo sli objective availability budget target",
    "depend dependency upstream downstream call contract",
    "dashboard metric graph monitor",
    "log trace span logging",
    "deploy rollback release rollout canary",
)
"""Words that people use for each other's matter, a group per line: "launch" asks for "readiness" too."""


@dataclass(frozen=True)
class Terms:
    """How often each stem is in a passage; `length` is their sum."""

    counts: Mapping[str, int]
    length: int


def stem(word: str) -> str:
    """A word without its commonest endings: alerts, alerting and alerted are one term."""
    if len(word) > 4 and word.endswith("ies"):
        word = word[:-3] + "y"
    elif len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    for ending in ("ing", "ed", "e"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def stems(text: str) -> list[str]:
    """The stems of a text's telling words; CamelCase and snake_case are taken apart."""
    return [stem(word) for word in words(text) if word not in SILENT]


def terms(text: str, heading: str, document: str = "") -> Terms:
    """Count a passage; the words of its heading weigh more than those of its text, and what its document is
    (“standard SLOs”) counts as if every passage said it."""
    counts = Counter(stems(text))
    counts.update(stems(document))
    for term in stems(heading):
        counts[term] += HEADING_WEIGHT
    return Terms(dict(counts), sum(counts.values()))


def scores(
    question: Iterable[str], passages: Sequence[Terms], *, ignoring: Container[str] = ()
) -> list[float]:
    """How well each passage answers; 0 where nothing is shared. Comparable within one question only.

    `ignoring` are stems that tell nothing here, such as the name of the service all passages are about.
    """
    average = sum(passage.length for passage in passages) / len(passages) if passages else 1.0
    asked = weights(each for each in question if each not in ignoring)
    held = {term: found for term in asked if (found := holding(term, passages))}
    weighed = {term: asked[term] * rarity(len(found), len(passages)) for term, found in held.items()}
    totals = [0.0] * len(passages)
    for term in sorted(weighed, key=lambda term: (-weighed[term], term))[:MOST_TERMS]:
        for at, count in held[term]:
            norm = K1 * (1 - B + B * passages[at].length / average)
            totals[at] += weighed[term] * count * (K1 + 1) / (count + norm)
    return totals


def holding(term: str, passages: Sequence[Terms]) -> list[tuple[int, int]]:
    """Which passages hold a term (by their place in the list), and how often."""
    return [(at, passage.counts[term]) for at, passage in enumerate(passages) if term in passage.counts]


def rarity(holding: int, all_of_them: int) -> float:
    """The inverse document frequency; always positive."""
    return math.log(1 + (all_of_them - holding + 0.5) / (holding + 0.5))


def weights(asked: Iterable[str]) -> dict[str, float]:
    """What was asked counts in full, what is commonly meant by it for a part."""
    found = dict.fromkeys(asked, 1.0)
    for term in list(found):
        for kindred in KIN.get(term, ()):
            found.setdefault(kindred, KINDRED_WEIGHT)
    return found


def kin() -> dict[str, tuple[str, ...]]:
    found: dict[str, dict[str, None]] = {}
    for group in KINDRED:
        stems = [stem(word) for word in group.split()]
        for each in stems:
            found.setdefault(each, {}).update(dict.fromkeys(s for s in stems if s != each))
    return {each: tuple(others) for each, others in found.items()}


KIN = kin()
