"""The time a tool is asked about: so many minutes up to now, or up to a given time."""

from __future__ import annotations

from datetime import UTC, datetime

from app.tools.catalogue import ToolScope

UNTIL = "End of the time looked at, ISO 8601 in UTC (2026-11-20T10:45:00Z); default: now"


def window(minutes: float, until: datetime | None, scope: ToolScope) -> tuple[float, float]:
    """(start, end) in seconds since the epoch; a time without a zone is UTC, and the future is cut off."""
    now = scope.clock()
    end = now if until is None else min(until if until.tzinfo else until.replace(tzinfo=UTC), now)
    return end.timestamp() - minutes * 60, end.timestamp()


def clock_time(at: float) -> str:
    """`10:45:30`, UTC; a time that no calendar has is shown as it is."""
    if not 0 <= at < 253_402_300_800:  # the year 10000
        return f"{at:g}"
    return datetime.fromtimestamp(at, UTC).strftime("%H:%M:%S")


def told_window(start: float, end: float) -> str:
    """`10:15:00–10:45:00 UTC`, with the day where it is not the same one."""
    first, last = datetime.fromtimestamp(start, UTC), datetime.fromtimestamp(end, UTC)
    if first.date() != last.date():
        return f"{first:%Y-%m-%d %H:%M:%S}–{last:%Y-%m-%d %H:%M:%S} UTC"
    return f"{first:%Y-%m-%d %H:%M:%S}–{last:%H:%M:%S} UTC"
