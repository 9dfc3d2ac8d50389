"""The arguments of one Web API call, whatever way they came in: query, form or JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from app.playground.slack.records import Json
from app.playground.slack.refusal import SlackRefusal


class Arguments:
    """Typed access to a call's arguments; a missing or malformed one is `invalid_arguments`."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = {name: value for name, value in values.items() if value is not None}

    def check_names(self, known: Iterable[str]) -> None:
        # Slack takes `team_id` with any method: org-wide installations need it.
        unknown = set(self.values) - set(known) - {"team_id"}
        if unknown:
            raise invalid(f"unknown argument: {', '.join(sorted(unknown))}")

    def text(self, name: str) -> str | None:
        value = self.values.get(name)
        if value is None or isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        raise invalid(f"must be a string: {name}")

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise invalid(f"missing required field: {name}")
        return value

    def flag(self, name: str) -> bool:
        return str(self.values.get(name, "")).lower() in ("1", "true")

    def number(self, name: str, default: int, most: int) -> int:
        raw = self.values.get(name, default)
        try:
            return max(1, min(int(raw), most))
        except (TypeError, ValueError):
            raise invalid(f"must be a number: {name}") from None

    def json(self, name: str, error: str = "invalid_arguments") -> Any:
        """A value that is JSON: an object or list as it is, a string parsed."""
        value = self.values.get(name)
        if not isinstance(value, str):
            return value
        if not value:
            return None
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            raise SlackRefusal(error) from None


def invalid(what: str) -> SlackRefusal:
    return SlackRefusal("invalid_arguments", f"[ERROR] {what}")


def page(
    found: list[Any], arguments: Arguments, *, default: int = 100, most: int = 1000
) -> tuple[list[Any], Json]:
    """One page of `found` and the `response_metadata` that leads to the next."""
    cursor = arguments.text("cursor") or ""
    if cursor and not (cursor.startswith("next:") and cursor[5:].isdigit()):
        raise SlackRefusal("invalid_cursor")
    start = int(cursor[5:]) if cursor else 0
    end = start + arguments.number("limit", default, most)
    return found[start:end], {"next_cursor": f"next:{end}" if end < len(found) else ""}
