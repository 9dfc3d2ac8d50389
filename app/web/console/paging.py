"""Where a page ends: the key of its last row, as the next page's address carries it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, NamedTuple, TypeVar

from app.errors import AgentError

T = TypeVar("T")


class BadCursor(AgentError):
    """An address that was cut or made up."""

    code = "bad_cursor"
    status = 422


class Moment(NamedTuple):
    """A row's place among rows by time: `2026-11-29T05:00:00.000001Z~42`."""

    at: datetime
    id: str

    def __str__(self) -> str:
        return f"{self.at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}~{self.id}"

    @classmethod
    def parse(cls, cursor: str) -> Moment:
        at, _, last = cursor.partition("~")
        try:
            return cls(datetime.fromisoformat(at).astimezone(UTC), last)
        except (ValueError, OverflowError) as error:
            raise BadCursor("This address names no page; begin with the newest.") from error


@dataclass(frozen=True)
class Page(Generic[T]):
    """Rows, and the cursor behind the last of them; None when there are no more."""

    rows: tuple[T, ...]
    older: str | None = None


def page(rows: Sequence[T], limit: int, cursor: Callable[[T], object]) -> Page[T]:
    """Of `limit + 1` rows that were asked for, those of the page."""
    shown = tuple(rows[:limit])
    return Page(shown, str(cursor(shown[-1])) if len(rows) > limit else None)
