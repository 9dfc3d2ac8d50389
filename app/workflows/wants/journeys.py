"""What users do with a service, as far as its blueprint says, and which route carries which journey. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from app.workflows.wants.standard import tables

MOST = 8
ROUTE = re.compile(r"`?\b(?:GET|POST|PUT|PATCH|DELETE|HEAD)\s+(/[^\s`|,)]*)")
WORD = re.compile(r"[a-z0-9]+")


def journeys_in(page: str) -> tuple[str, ...]:
    """The first column of a blueprint's table of journeys."""
    for head, rows in tables(page):
        if re.fullmatch(r"(?:user )?journeys?|capabilit(?:y|ies)", head[0].lower()):
            return tuple(dict.fromkeys(row[0] for row in rows if row[0]))[:MOST]
    return ()


def routes_in(page: str) -> tuple[str, ...]:
    """The routes that a blueprint names with their methods."""
    return tuple(dict.fromkeys(match.rstrip("`.,") for match in ROUTE.findall(page)))


def route_for(journey: str, routes: Sequence[str]) -> str | None:
    """The route that carries a journey: the one of that name, else the only one its words fit best."""
    named = journey.strip().split(" ")[-1]
    if exact := next((each for each in routes if each in (journey, named)), None):
        return exact
    wanted = _words(journey)
    scores = {each: len(wanted & _words(each)) for each in routes}
    best = max(scores.values(), default=0)
    found = [each for each, score in scores.items() if score == best and best]
    return found[0] if len(found) == 1 else None


def _words(said: str) -> frozenset[str]:
    """Words without the plural, so that “order status” fits `/orders/{id}`."""
    parts = re.sub(r"\{[^}]*\}", " ", said.lower())
    return frozenset(
        word[:-1] if len(word) > 3 and word.endswith("s") else word for word in WORD.findall(parts)
    )
