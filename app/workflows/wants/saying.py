"""Shares, times and periods in words. Pure."""

from __future__ import annotations

from datetime import UTC, datetime

from app.workflows.wants.counts import DAY, Counts


def percent(share: float) -> str:
    """99.95 as “99.95 %”; near to 100 with as many digits as tell it from there."""
    for places in (2, 3, 4):
        said = f"{share:.{places}f}"
        if share >= 100 or float(said) < 100:
            break
    return f"{said.rstrip('0').rstrip('.')} %"


def time_of(seconds: float) -> str:
    """A time as Prometheus writes it: 800ms, 1500ms, 2s."""
    milliseconds = round(seconds * 1000)
    return f"{milliseconds // 1000}s" if milliseconds and milliseconds % 1000 == 0 else f"{milliseconds}ms"


def amount_of(count: float) -> str:
    for size, name in ((1e9, "billion"), (1e6, "million")):
        if count >= size:
            return f"{count / size:.3g} {name}"
    return f"{count:,.0f}"


def period(history: Counts) -> str:
    """What there is, said honestly: “the last 30 days”, “the 3 hours that are there of the last 30 days”."""
    if history.measured >= 29.5 * DAY:
        return "the last 30 days"
    return f"the {length(history.measured)} that Prometheus has of the last 30 days"


def length(seconds: float) -> str:
    for size, name in ((DAY, "day"), (3600.0, "hour"), (60.0, "minute")):
        if seconds >= 2 * size or size == 60.0:
            count = round(seconds / size)
            return f"{count} {name}{'s' * (count != 1)}"
    raise AssertionError


def day(at: float) -> str:
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment.day} {moment:%B}"
