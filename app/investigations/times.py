"""Times as people on call read them: always UTC, and said so."""

from __future__ import annotations

from datetime import UTC, datetime


def clock_of(at: float) -> str:
    """“02:11 UTC” of seconds since the epoch."""
    return f"{utc(at):%H:%M} UTC"


def day_and_clock(at: float | datetime) -> str:
    """“2026-11-20 02:11 UTC”."""
    return f"{utc(at):%Y-%m-%d %H:%M} UTC"


def utc(at: float | datetime) -> datetime:
    """A time outside what a calendar holds is the epoch: sources say such things, and a report must come."""
    try:
        return at.astimezone(UTC) if isinstance(at, datetime) else datetime.fromtimestamp(at, UTC)
    except (OverflowError, OSError, ValueError):
        return datetime.fromtimestamp(0, UTC)


def lasting(seconds: float) -> str:
    """“40 s”, “4 min”, “2 h 5 min”."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole} s"
    hours, minutes = divmod(round(whole / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
