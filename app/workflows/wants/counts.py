"""What a journey delivered, reckoned from counts of requests over time. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.signals.models import Series

DAY = 86_400.0
LADDER = (90.0, 95.0, 98.0, 99.0, 99.5, 99.8, 99.9, 99.95, 99.99)
"""Targets that people can remember, in percent."""


@dataclass(frozen=True)
class Count:
    """Requests in the `step` seconds before `at`: the valid ones, and the bad ones among them."""

    at: float
    valid: float
    bad: float


@dataclass(frozen=True)
class Counts:
    """In order of time, a count each `step` seconds; what is not there was not measured."""

    step: float
    counts: tuple[Count, ...] = ()

    @property
    def valid(self) -> float:
        return math.fsum(each.valid for each in self.counts)

    @property
    def bad(self) -> float:
        return math.fsum(each.bad for each in self.counts)

    @property
    def measured(self) -> float:
        """Seconds that were measured."""
        return self.step * len(self.counts)

    @property
    def delivered(self) -> float | None:
        """The share of good requests, in percent; None where there was none to answer."""
        return 100 * (1 - self.bad / self.valid) if self.valid > 0 else None

    @property
    def a_minute(self) -> float:
        return 60 * self.valid / self.measured if self.counts else 0.0

    @property
    def a_week(self) -> float:
        return 7 * DAY * self.valid / self.measured if self.counts else 0.0


def counted(valid: Iterable[Series], bad: Iterable[Series], step: float) -> Counts:
    """Counts of rates per second at the ends of their windows; where nothing failed, zero did."""
    failures = _summed(bad)
    return Counts(
        step,
        tuple(
            Count(at, rate * step, min(max(failures.get(at, 0.0), 0.0), rate) * step)
            for at, rate in sorted(_summed(valid).items())
            if rate >= 0
        ),
    )


def _summed(series: Iterable[Series]) -> dict[float, float]:
    found: dict[float, float] = {}
    for each in series:
        for at, value in each.points:
            found[at] = found.get(at, 0.0) + value
    return found


def slow(fast: Iterable[Series], everything: Iterable[Series], step: float) -> Counts:
    """Counts in which the slow requests are the bad ones."""
    quick = _summed(fast)
    rates = [(at, rate, min(quick.get(at, 0.0), rate)) for at, rate in sorted(_summed(everything).items())]
    return Counts(step, tuple(Count(at, rate * step, (rate - ok) * step) for at, rate, ok in rates))


def shares(buckets: Iterable[Series]) -> Mapping[str, float]:
    """The share of requests (percent) at or below each bound of a histogram, by how the bound is written."""
    totals: dict[str, float] = {}
    for each in buckets:
        if bound := each.labels.get("le"):
            totals[bound] = totals.get(bound, 0.0) + math.fsum(value for _, value in each.points)
    everything = next((total for bound, total in totals.items() if seconds_of(bound) == math.inf), 0.0)
    if everything <= 0:
        return {}
    finite = sorted((seconds_of(bound), bound) for bound in totals if seconds_of(bound) < math.inf)
    return {bound: 100 * min(totals[bound] / everything, 1.0) for _, bound in finite}


def seconds_of(bound: str) -> float:
    """A bound of a bucket in seconds, such as `0.5` or `+Inf`."""
    try:
        return float(bound)
    except ValueError:
        return math.inf


def step_down(share: float) -> float:
    """The highest of the usual targets that a share (percent) keeps; the share itself below all of them."""
    kept = [each for each in LADDER if each <= share + 1e-9]
    return kept[-1] if kept else math.floor(share * 10) / 10


def bucket_for(threshold: float, bounds: Sequence[str]) -> str | None:
    """The bucket that measures a threshold (seconds): its own, else the next one above, else the last."""
    ordered = sorted(bounds, key=seconds_of)
    above = [each for each in ordered if seconds_of(each) >= threshold - 1e-9]
    return above[0] if above else (ordered[-1] if ordered else None)
