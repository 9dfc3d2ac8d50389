"""What was answered and found so far, as the lookups of a workshop read it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.workflows.facts import Asked
from app.workflows.wants.journeys import MOST, route_for
from app.workflows.wants.slis import ALL


def journeys_of(asked: Asked) -> list[str]:
    """The journeys that were named; where nobody could name one, all requests are one."""
    return list(asked.answers.get("journeys") or ["all requests"])[: MOST * 2]


def route_of(asked: Asked, journey: str) -> str | None:
    said = asked.answers.get(f"route[{journey}]")
    if said is None:
        return route_for(journey, facts_of(asked, "baseline").get("routes", []))
    # `POST /pay` is answered as often as `/pay`.
    found = str(said).strip().strip("`").split(" ")[-1]
    return ALL if found.casefold() == ALL else found


PROPOSED = {"availability_target": "target", "latency_target": "share", "latency_threshold": "threshold"}


def answer(asked: Asked, field: str, journey: str) -> Any:
    """What was answered for a journey, else what was proposed, as a default that nobody was asked for."""
    said = asked.answers.get(f"{field}[{journey}]")
    if said is not None:
        return said
    proposed = {each["name"]: each for each in facts_of(asked, "history").get("journeys", [])}
    return proposed.get(journey, {}).get(PROPOSED[field])


def facts_of(asked: Asked, want: str) -> Mapping[str, Any]:
    found = asked.facts.get(want)
    return found if isinstance(found, Mapping) else {}


def known(value: dict[str, Any]) -> dict[str, Any]:
    return {name: each for name, each in value.items() if each is not None}
