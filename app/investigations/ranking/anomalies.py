"""What left its level around the onset: one `Anomaly` for each series that did."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter

from app.investigations.ranking.measures import ADVERSE, Measure, failing_share, measure_of
from app.signals.changes import LEAST_SIZE, Points, median, noise, shifts, window
from app.signals.models import Series
from app.signals.onset import step_of

JUST_BEFORE = 30 * 60.0
LEADING = 60 * 60.0
"""How long before the symptom something may have changed and still have led to it."""
MOST_POINTS = 240


@dataclass(frozen=True)
class Anomaly:
    """A series that changed: from when on, its level `before` and `after`, and how far in robust standard
    deviations of its history (0–100). Availabilities are told as the share that failed."""

    series: Series
    measure: Measure
    at: float
    before: float
    after: float
    size: float

    @property
    def service(self) -> str | None:
        return self.series.service

    @property
    def rose(self) -> bool:
        return self.after > self.before

    @property
    def adverse(self) -> bool:
        """A change for the worse, as far as the name tells what is worse."""
        return self.measure in ADVERSE and self.rose

    @property
    def seen(self) -> str:
        return f"series:{self.series.service or ''}/{self.series.name}"


def anomalies(every: Sequence[Series], onset: float) -> tuple[Anomaly, ...]:
    """Those of `every` that left their level at `onset`, or up to an hour before it or while it lasted;
    the largest first."""
    found = [anomaly for series in every if (anomaly := _anomaly(series, onset)) is not None]
    return tuple(sorted(found, key=lambda each: (-each.size, each.at, each.service or "", each.series.name)))


def by_service(found: Sequence[Anomaly]) -> Mapping[str, tuple[Anomaly, ...]]:
    services = sorted({each.service for each in found if each.service})
    return {service: tuple(each for each in found if each.service == service) for service in services}


def _anomaly(series: Series, onset: float) -> Anomaly | None:
    measure = measure_of(series)
    if measure == "availability":
        series = failing_share(series)
    points = window(series.points)
    at_onset = _compared(points, onset)
    moved = _moved(points, onset)
    if moved is not None and (at_onset is None or moved[3] > at_onset[3]):
        chosen = moved
    elif at_onset is not None and at_onset[3] >= LEAST_SIZE:
        chosen = (moved[0] if moved else at_onset[0], *at_onset[1:])
    else:
        return None
    return Anomaly(series, measure, *chosen)


def _compared(points: Points, onset: float) -> tuple[float, float, float, float] | None:
    """(at, before, after, size) of the levels just before the onset and just after it.

    The noise is that of all history: a chart of five points has none of its own to tell.
    """
    split = bisect_left(points, onset, key=itemgetter(0))
    history = [value for _, value in points[max(split - MOST_POINTS, 0) : split]]
    before = [value for at, value in points[max(split - MOST_POINTS, 0) : split] if at >= onset - JUST_BEFORE]
    reach = onset + _reach(points)
    after = [value for at, value in points[split : split + MOST_POINTS] if at <= reach]
    if not before or not after:
        return None
    was, now = median(before), median(after)
    scale = noise(history, max(abs(was), abs(now)))
    if scale <= 0:
        return None
    return onset, was, now, min(abs(now / scale - was / scale), 100.0)


def _reach(points: Points) -> float:
    """How long after the onset to look: ten minutes, and at least two points, so that an incident that is
    over already is not drowned in its recovery."""
    return max(10 * 60.0, 2 * step_of(points[-MOST_POINTS:]) - 1)


def _moved(points: Points, onset: float) -> tuple[float, float, float, float] | None:
    """The same of the first large change of level of the last hours that is near the onset."""
    recent = window(points, onset - 3 * LEADING)[-MOST_POINTS:]
    near = [each for each in shifts(recent) if onset - LEADING <= each.at <= onset + LEADING / 6]
    if not near:
        return None
    largest = max(each.size for each in near)
    first = next(each for each in near if each.size >= largest / 2)
    return first.at, first.before, first.after, first.size
