"""What the functions compute, on plain numbers.

A window is the samples of one series inside a range; times and lengths are in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

INF = math.inf


@dataclass(frozen=True)
class Window:
    """The samples of a series in [start, end]; at least one."""

    times: Sequence[float]
    values: Sequence[float]
    start: float
    end: float

    @property
    def length(self) -> float:
        return self.end - self.start


def grown(window: Window, *, counter: bool) -> float | None:
    """How much a series grew over the whole window, drawn out to its edges.

    The rule is Prometheus's own: a counter that falls began again at zero; up to 1.1 mean distances of
    samples are drawn out to an edge, beyond that half a distance; a counter is never drawn out below zero.
    """
    times, values = window.times, window.values
    if len(values) < 2:
        return None
    growth = values[-1] - values[0]
    if counter:
        growth += sum(before for before, after in pairwise(values) if after < before)
    covered = times[-1] - times[0]
    distance = covered / (len(values) - 1)
    to_start, to_end = times[0] - window.start, window.end - times[-1]
    if counter and growth > 0 and values[0] >= 0:
        to_start = min(to_start, covered * values[0] / growth)
    drawn_out = covered
    for gap in (to_start, to_end):
        drawn_out += gap if gap < distance * 1.1 else distance / 2
    return growth * drawn_out / covered


def rate(window: Window) -> float | None:
    growth = grown(window, counter=True)
    return None if growth is None else growth / window.length


def last_step(window: Window, *, counter: bool, per_second: bool) -> float | None:
    """From the last sample but one to the last."""
    if len(window.values) < 2:
        return None
    before, after = window.values[-2], window.values[-1]
    step = after if counter and after < before else after - before
    return step / (window.times[-1] - window.times[-2]) if per_second else step


def slope(window: Window) -> float | None:
    """Least squares, per second."""
    count = len(window.values)
    if count < 2:
        return None
    middle = math.fsum(window.times) / count
    level = math.fsum(window.values) / count
    across = math.fsum((at - middle) ** 2 for at in window.times)
    along = math.fsum(
        (at - middle) * (value - level) for at, value in zip(window.times, window.values, strict=True)
    )
    return along / across


def quantile(part: float, values: Sequence[float]) -> float:
    """The φ-quantile, between neighbours by straight line."""
    if not values or math.isnan(part):
        return math.nan
    if part < 0 or part > 1:
        return INF if part > 1 else -INF
    ordered = sorted(values)
    rank = part * (len(ordered) - 1)
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] * (1 - (rank - low)) + ordered[high] * (rank - low)


OVER_TIME: Mapping[str, Callable[[Window], float | None]] = {
    "rate": rate,
    "increase": lambda window: grown(window, counter=True),
    "delta": lambda window: grown(window, counter=False),
    "irate": lambda window: last_step(window, counter=True, per_second=True),
    "idelta": lambda window: last_step(window, counter=False, per_second=False),
    "deriv": slope,
    "changes": lambda window: float(sum(before != after for before, after in pairwise(window.values))),
    "resets": lambda window: float(sum(after < before for before, after in pairwise(window.values))),
    "avg_over_time": lambda window: math.fsum(window.values) / len(window.values),
    "max_over_time": lambda window: max(window.values),
    "min_over_time": lambda window: min(window.values),
    "sum_over_time": lambda window: math.fsum(window.values),
    "count_over_time": lambda window: float(len(window.values)),
    "last_over_time": lambda window: window.values[-1],
}
KEEPS_NAME = frozenset(("last_over_time",))

SIMPLE: Mapping[str, Callable[[float], float]] = {
    "abs": abs,
    "ceil": lambda value: float(math.ceil(value)) if math.isfinite(value) else value,
    "floor": lambda value: float(math.floor(value)) if math.isfinite(value) else value,
    "sqrt": lambda value: math.sqrt(value) if value >= 0 else math.nan,
    "ln": lambda value: math.log(value) if value > 0 else (-INF if value == 0 else math.nan),
}

WITH_LIMITS: Mapping[str, Callable[..., float]] = {
    "clamp": lambda value, low, high: max(low, min(high, value)),
    "clamp_min": lambda value, low: max(low, value),
    "clamp_max": lambda value, high: min(high, value),
    "round": lambda value, nearest=1.0: math.floor(value / nearest + 0.5) * nearest,
}

ARGUMENTS: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(OVER_TIME, (1, 1)),
    **dict.fromkeys(SIMPLE, (1, 1)),
    **{"clamp": (3, 3), "clamp_min": (2, 2), "clamp_max": (2, 2), "round": (1, 2)},
    "quantile_over_time": (2, 2),
    "histogram_quantile": (2, 2),
    **dict.fromkeys(("absent", "scalar", "vector", "sort", "sort_desc", "timestamp"), (1, 1)),
    "time": (0, 0),
}
"""Fewest and most arguments of every function there is."""


def from_buckets(part: float, buckets: Sequence[tuple[float, float]]) -> float:
    """The φ-quantile of a cumulative histogram: (upper bound, count at or below it), in any order.

    Inside a bucket values are taken to lie evenly; above the last finite bound the answer is that bound.
    """
    ordered = sorted(buckets)
    if math.isnan(part) or not ordered or ordered[-1][0] != INF or len(ordered) < 2:
        return math.nan
    if part < 0 or part > 1:
        return INF if part > 1 else -INF
    counts: list[float] = []
    for _, count in ordered:
        counts.append(max(count, counts[-1] if counts else count))
    if counts[-1] == 0 or math.isnan(counts[-1]):
        return math.nan
    rank = part * counts[-1]
    place = next(number for number, count in enumerate(counts) if count >= rank)
    if place == len(ordered) - 1:
        return ordered[-2][0]
    top = ordered[place][0]
    if place == 0 and top <= 0:
        return top
    bottom, below = (ordered[place - 1][0], counts[place - 1]) if place else (0.0, 0.0)
    inside = counts[place] - below
    return bottom + (top - bottom) * ((rank - below) / inside if inside else math.nan)
