"""Change points: when a series left its level, and how far.

The size of a shift is |median after − median before| / max(IQR/1.349, 2 % of the level): a distance in robust
standard deviations, with a floor so that a very quiet series does not make every wiggle a change. As the
level is the larger of both medians, a size never exceeds 100.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal

from app.signals.models import Series

IQR_OF_A_NORMAL = 1.349
QUIET_SHARE = 0.02
LEAST_SIZE = 4.0
LEAST_POINTS = 3
LEAST_CONTRAST = 2.4
"""Standard deviations by which the mean ranks of both sides differ; the largest of 100 splits of pure noise
reaches 2 to 3, so contrast and size together are asked for."""
MOST_DEPTH = 3

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Shift:
    """`at` is the time of the first point on the new level, `before` and `after` are medians, `size` is the
    distance in robust standard deviations (0–100)."""

    at: float
    before: float
    after: float
    size: float
    direction: Literal["up", "down"]

    @property
    def ratio(self) -> float:
        """How many times its old level the new one is; infinite when the old level was zero."""
        return abs(self.after / self.before) if self.before else math.inf


def shift(
    series: Series,
    *,
    at: float | None = None,
    since: float | None = None,
    until: float | None = None,
    least: float = LEAST_SIZE,
    least_points: int = LEAST_POINTS,
) -> Shift | None:
    """The strongest change of level within `since` … `until`, or None when the series kept its level.

    With `at` the split is given, and any difference of the two sides is told, whatever its size. Without it,
    of changes about equally strong the first is taken: an incident that is over changes the level twice.
    """
    points = window(series.points, since, until)
    if at is not None:
        split = sum(1 for moment, _ in points if moment < at)
        return _between(points, 0, split, len(points)) if 0 < split < len(points) else None
    found = shifts(points, least=least, least_points=least_points)
    if not found:
        return None
    strongest = max(each.size for each in found)
    return next(each for each in found if each.size >= strongest / 2)


def shifts(
    points: Points, *, least: float = LEAST_SIZE, least_points: int = LEAST_POINTS
) -> tuple[Shift, ...]:
    """All changes of level in order of time, found by splitting where both sides differ most, then each side
    again (binary segmentation on ranks, Vostrikova 1981)."""
    points = window(points)
    edges = sorted(_splits(ranks([value for _, value in points]), 0, len(points), least_points, MOST_DEPTH))
    bounds = [0, *edges, len(points)]
    found = []
    for left, split, right in zip(bounds, bounds[1:], bounds[2:], strict=False):
        change = _between(points, left, _snapped(points, left, split, right), right)
        if change is not None and change.size >= least:
            found.append(change)
    return tuple(found)


def window(points: Points, since: float | None = None, until: float | None = None) -> Points:
    """The finite points of a span of time; points come in order of time."""
    low, high = -math.inf if since is None else since, math.inf if until is None else until
    inside = points[
        bisect_left(points, low, key=itemgetter(0)) : bisect_right(points, high, key=itemgetter(0))
    ]
    if math.isfinite(sum([value for _, value in inside])):
        return inside
    return [point for point in inside if math.isfinite(point[1])]


def median(values: Sequence[float]) -> float:
    """Of at least one value."""
    return quantile(sorted(values), 0.5)


def quantile(ordered: Sequence[float], share: float) -> float:
    """Linear between neighbours, of at least one value in ascending order."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    # Not low + (high - low) * rest: the difference of two finite values may be infinite.
    rest = place - low
    return ordered[low] * (1 - rest) + ordered[high] * rest


def noise(values: Sequence[float], level: float) -> float:
    """The robust standard deviation, at least 2 % of `level`; 0 only when everything is 0."""
    ordered = sorted(values)
    spread = quantile(ordered, 0.75) - quantile(ordered, 0.25)
    return max(spread / IQR_OF_A_NORMAL, QUIET_SHARE * abs(level))


def size_of(before: Sequence[float], after: Sequence[float]) -> float:
    """Distance of two samples in robust standard deviations of the first, 0–100."""
    was, now = median(before), median(after)
    scale = noise(before, max(abs(was), abs(now)))
    if scale == 0 or not math.isfinite(scale):
        return 0.0
    return min(abs(now / scale - was / scale), 100.0)


def _snapped(points: Points, left: int, split: int, right: int) -> int:
    """The split moved over neighbours that are nearer to the other side's median: ranks see order alone."""
    before, after = (median([v for _, v in part]) for part in (points[left:split], points[split:right]))

    def belongs_before(place: int) -> bool:
        return abs(points[place][1] - before) < abs(points[place][1] - after)

    while split < right - 1 and belongs_before(split):
        split += 1
    while split > left + 1 and not belongs_before(split - 1):
        split -= 1
    return split


def _between(points: Points, left: int, split: int, right: int) -> Shift | None:
    before = [value for _, value in points[left:split]]
    after = [value for _, value in points[split:right]]
    was, now = median(before), median(after)
    if was == now:
        return None
    return Shift(points[split][0], was, now, size_of(before, after), "up" if now > was else "down")


def ranks(values: Sequence[float]) -> list[float]:
    """Ranks from 0, equal values sharing their mean: one wild value counts no more than a high one."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for place in order[start:end]:
            ranks[place] = (start + end - 1) / 2
        start = end
    return ranks


def _splits(ranks: Sequence[float], left: int, right: int, least: int, depth: int) -> list[int]:
    """Where to cut `ranks[left:right]`, most contrast first; empty when no cut stands out."""
    split = _best_split(ranks[left:right], least) if depth else None
    if split is None:
        return []
    middle = left + split
    return [
        middle,
        *_splits(ranks, left, middle, least, depth - 1),
        *_splits(ranks, middle, right, least, depth - 1),
    ]


def _best_split(ranks: Sequence[float], least: int) -> int | None:
    count = len(ranks)
    if count < 2 * least:
        return None
    mean = sum(ranks) / count
    deviation = math.sqrt(sum((rank - mean) ** 2 for rank in ranks) / count)
    if deviation == 0:
        return None
    best, best_at, total = 0.0, None, 0.0
    for place in range(1, count):
        total += ranks[place - 1] - mean
        # The sum's standard deviation under "no change" is deviation · √(k·(n−k)/n).
        contrast = abs(total) / (deviation * math.sqrt(place * (count - place) / count))
        if least <= place <= count - least and contrast > best:
            best, best_at = contrast, place
    return best_at if best >= LEAST_CONTRAST else None
