"""How often a method may be called: one token bucket per method, per channel where Slack says so.

The tiers are those of https://docs.slack.dev/apis/web-api/rate-limits: a bucket holds one minute's worth,
so a short burst passes, and fills up evenly.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from app.playground.slack.refusal import RateLimited


@dataclass(frozen=True)
class Rate:
    """Calls a minute, the burst that passes at once, and whether each channel counts by itself."""

    per_minute: float
    burst: float
    per_channel: bool = False


TIER_1 = Rate(1, 20)
"""Slack promises “1+”; a process that restarts must still be able to open a connection."""
TIER_2 = Rate(20, 20)
TIER_3 = Rate(50, 50)
TIER_4 = Rate(100, 100)
SPECIAL = Rate(600, 600)
POSTING = Rate(60, 5, per_channel=True)
"""One message a second and channel, a small burst allowed."""


class RateLimiter:
    """Counts calls against their rates; `factor` widens every rate, None switches counting off."""

    def __init__(self, clock: Callable[[], float], factor: float | None = 1.0) -> None:
        self._clock = clock
        self._factor = factor
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, method: str, rate: Rate, channel: str = "") -> None:
        """Count one call.

        Raises:
            RateLimited: when the bucket is empty, with the whole seconds until it holds a call again.
        """
        if self._factor is None:
            return
        key = (method, channel if rate.per_channel else "")
        capacity, per_second = rate.burst * self._factor, rate.per_minute * self._factor / 60
        now = self._clock()
        level, since = self._buckets.get(key, (capacity, now))
        level = min(capacity, level + (now - since) * per_second)
        if level < 1:
            self._buckets[key] = (level, now)
            raise RateLimited(max(1, math.ceil((1 - level) / per_second)))
        self._buckets[key] = (level - 1, now)
