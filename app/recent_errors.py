"""The errors and warnings of this process, grouped by a stable code and bounded: what `/ops/errors` tells."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

MOST_GROUPS = 200
LONGEST = 500
WORTH_KEEPING = ("warning", "error", "critical", "exception")
TELLS = ("reason", "sentence", "exception", "error")


@dataclass(frozen=True)
class ErrorGroup:
    """`code` is that of the error, else the event's name; `said` what its newest one said, masked."""

    code: str
    event: str
    level: str
    count: int
    first_at: datetime
    last_at: datetime
    said: str
    trace_id: str | None


class RecentErrors:
    """The groups seen last; a new one beyond the bound takes the place of the one not seen for longest."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._clock = clock
        self._groups: OrderedDict[tuple[str, str], ErrorGroup] = OrderedDict()

    def note(self, event: dict[str, Any]) -> None:
        """An event as it is logged: its values are masked already."""
        level = str(event.get("level", ""))
        if level not in WORTH_KEEPING:
            return
        name = str(event.get("event", ""))[:LONGEST]
        code = str(event.get("code") or name)[:100]
        now, key = self._clock(), (code, name)
        known = self._groups.pop(key, None) or ErrorGroup(code, name, level, 0, now, now, "", None)
        said = next((str(event[each]) for each in TELLS if event.get(each)), "")
        self._groups[key] = replace(
            known,
            level=level,
            count=known.count + 1,
            last_at=now,
            # Of a traceback its end says most.
            said=said[-LONGEST:].strip(),
            trace_id=str(event["trace_id"]) if event.get("trace_id") else None,
        )
        if len(self._groups) > MOST_GROUPS:
            self._groups.popitem(last=False)

    def groups(self) -> tuple[ErrorGroup, ...]:
        """The newest first."""
        return tuple(reversed(self._groups.values()))


RECENT_ERRORS = RecentErrors()
"""Those of this process."""
