"""Whether dates have a pattern: how often, on which days and hours, and how far apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

FEWEST = 3
"""Dates before a pattern is named: two make no pattern."""
MOST_OF_THEM = 0.7
"""Share of all dates that must agree."""
STEADY = 0.25
"""How far, as a share of the median, the middle of the intervals may stray."""
HOURS_TOGETHER = 3
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def pattern(dates: Sequence[datetime], now: datetime) -> str:
    """A sentence or two; times are as the dates give them (UTC)."""
    dates = sorted(dates)
    if not dates:
        return "Nothing like it is known."
    count = f"{len(dates)} time{'s' * (len(dates) != 1)} since {dates[0]:%Y-%m-%d}"
    recent = sum(date >= now - timedelta(days=30) for date in dates)
    sentence = f"{count}, {recent} in the last 30 days; last on {dates[-1]:%Y-%m-%d %H:%M} UTC."
    found = [each for each in (interval(dates), weekday(dates), hour(dates)) if each]
    if len(dates) < FEWEST:
        return f"{sentence} Too few for a pattern."
    told = "; ".join(found) or "no pattern in days, hours or intervals"
    return f"{sentence} {told[0].upper()}{told[1:]}."


def interval(dates: Sequence[datetime]) -> str:
    """`about every 7 days`, when the intervals are alike."""
    hours = [(later - earlier).total_seconds() / 3600 for earlier, later in pairwise(dates)]
    if len(hours) < FEWEST - 1 or (middle := median(hours)) == 0:
        return ""
    if median(abs(each - middle) for each in hours) > STEADY * middle:
        return ""
    return f"about every {middle / 24:.0f} days" if middle >= 36 else f"about every {middle:.0f} hours"


def weekday(dates: Sequence[datetime]) -> str:
    """`mostly on Mondays (4 of 5)`, when several weeks agree."""
    (day, count), *_ = Counter(date.weekday() for date in dates).most_common(1)
    weeks = {date.isocalendar()[:2] for date in dates if date.weekday() == day}
    enough = len(weeks) >= FEWEST and count >= MOST_OF_THEM * len(dates)
    return f"mostly on {DAYS[day]}s ({count} of {len(dates)})" if enough else ""


def hour(dates: Sequence[datetime]) -> str:
    """`mostly between 02:00 and 05:00 UTC`: at most three hours that hold most of them, on several days."""
    hours = Counter(date.hour for date in dates)
    begin = max(range(24), key=lambda each: (sum(hours[at] for at in _hours_from(each)), -each))
    held = [at for at in _hours_from(begin) if hours[at]]
    count = sum(hours[at] for at in held)
    days = {date.date() for date in dates if date.hour in held}
    if len(days) < FEWEST or count < MOST_OF_THEM * len(dates):
        return ""
    return f"mostly between {held[0]:02}:00 and {(held[-1] + 1) % 24:02}:00 UTC ({count} of {len(dates)})"


def _hours_from(begin: int) -> list[int]:
    return [(begin + step) % 24 for step in range(HOURS_TOGETHER)]
