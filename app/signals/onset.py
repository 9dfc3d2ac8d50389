"""When an incident began, by the data: the alert's own time is late, by minutes as a rule.

The symptom's onset is the start of the stretch that differs most from the rest around the alert (circular
binary segmentation, Olshen et al. 2004, on ranks), walked back over the first points of a slow rise.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from app.signals.changes import LEAST_SIZE, Points, median, noise, ranks, window
from app.signals.models import LogLine, Series

LOOK_BACK = 90 * 60.0
STALE = 15 * 60.0
"""A stretch that was over this long before the alert is not what the alert is about."""
BAND = 3.0
FEW = 12
LEAST_STRETCH = 3
MOST_POINTS = 200
BUCKET = 60.0


def onset(series: Series, alerted_at: float, *, upward: bool = False) -> float | None:
    """Time of the first point of the incident, or None when the series does not show one.

    With `upward` only a rise counts. Without it, a long quiet stretch before an incident that goes on looks
    like one of its own now and then; so say it where more is known to be worse.
    """
    everything = window(series.points)
    near = _near(everything, alerted_at)
    stretch = _stretch(near, alerted_at, upward=upward)
    if stretch is None:
        return None
    start, end = stretch
    inside = median([value for _, value in near[start:end]])
    before = median([value for _, value in near[:start]])
    quiet = [value for at, value in everything if at < near[start][0]]
    scale = noise(quiet, max(abs(before), abs(inside))) if quiet else 0.0
    if scale <= 0 or not abs(inside / scale - before / scale) >= LEAST_SIZE:
        return None
    sign = 1 if inside > before else -1
    while start < end - 1 and abs(near[start][1] - before) < abs(near[start][1] - inside):
        start += 1
    while start > 1 and sign * (near[start - 1][1] - before) / scale > BAND:
        start -= 1
    return near[start][0]


def step_of(points: Points) -> float:
    """The usual distance of two points in seconds; 0 when there are fewer than two."""
    gaps = [after[0] - before[0] for before, after in itertools.pairwise(points)]
    return median(gaps[-MOST_POINTS:]) if gaps else 0.0


def errors_by_minute(lines: Sequence[LogLine], service: str | None = None) -> Series:
    """How many warnings and errors a minute were logged, from the first line of any level to the last."""
    every = [line for line in lines if service is None or line.service == service]
    bad = [line.at for line in every if line.level in ("warn", "error", "fatal")]
    if not bad or not all(math.isfinite(line.at) for line in every):
        return Series("logged_errors", (), service)
    first = min(line.at for line in every) // BUCKET
    last = max(line.at for line in every) // BUCKET
    # A stray time stamp must not make a series of years.
    first = max(first, last - 24 * 60)
    counts: dict[float, int] = {}
    for at in bad:
        counts[at // BUCKET] = counts.get(at // BUCKET, 0) + 1
    minutes = (first + index for index in range(int(last - first) + 1))
    return Series("logged_errors", tuple((m * BUCKET, float(counts.get(m, 0))) for m in minutes), service)


def _near(points: Points, alerted_at: float) -> Points:
    near = [point for point in points if point[0] >= alerted_at - LOOK_BACK]
    stride = len(near) // MOST_POINTS + 1
    return near[::stride]


def _stretch(points: Points, alerted_at: float, *, upward: bool) -> tuple[int, int] | None:
    """The half-open range of points that differs most from the rest and touches the alert's time."""
    count = len(points)
    ranked = ranks([value for _, value in points])
    mean = sum(ranked) / count if count else 0.0
    sums = [0.0]
    for rank in ranked:
        sums.append(sums[-1] + rank - mean)
    best, found = 0.0, None
    for start, end in _ranges(points, alerted_at):
        size = end - start
        total = sums[end] - sums[start]
        contrast = (total if upward else abs(total)) / math.sqrt(size * (count - size))
        if contrast > best:
            best, found = contrast, (start, end)
    return found


def _ranges(points: Points, alerted_at: float) -> Iterator[tuple[int, int]]:
    count = len(points)
    least = 1 if count < FEW else LEAST_STRETCH
    step = step_of(points)
    for start in range(min(least, count), count):
        if points[start][0] > alerted_at + step:
            return
        for end in range(min(start + least, count), count + 1):
            if points[end - 1][0] + step >= alerted_at - STALE:
                yield start, end
