"""Parts of an answer whose shape is not ours to trust: what is missing or of another kind reads as empty."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

Part = Mapping[str, Any]


def part(whole: Any, *names: str) -> Part:
    """The object below `names`, one in the other; empty where there is none."""
    for name in names:
        whole = whole.get(name) if isinstance(whole, Mapping) else None
    return whole if isinstance(whole, Mapping) else {}


def parts(whole: Any, name: str) -> list[Part]:
    """The objects of a list; what else is in it is left out."""
    return [each for each in values(whole, name) if isinstance(each, Mapping)]


def values(whole: Any, name: str) -> list[Any]:
    found = whole.get(name) if isinstance(whole, Mapping) else None
    return found if isinstance(found, list) else []


def told(whole: Any, name: str, most: int = 300) -> str:
    """A text on one line, at most `most` characters; a number as its digits."""
    found = whole.get(name) if isinstance(whole, Mapping) else None
    if not isinstance(found, str | int | float) or isinstance(found, bool):
        return ""
    line = " ".join(str(found).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def moment(text: Any) -> float | None:
    """Seconds since the epoch of an RFC 3339 time; one without a zone is UTC."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None


def stamp(at: float) -> str:
    """RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
