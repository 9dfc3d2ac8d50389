"""Observations put in order: which source answered first, and how, must make no difference to the ranking."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from app.investigations.evidence import Observations
from app.signals.models import Change, ClusterEvent, LogLine, Series, Span

MOST_LINES = 5_000
MOST_SPANS = 5_000
MOST_POINTS = 400
QUIET = ("", "debug", "info")
Item = TypeVar("Item")


def in_order(seen: Observations) -> Observations:
    """Everything sorted by time and then by all that tells two of a kind apart; what has no time is dropped,
    and of very much a sample is kept."""
    return replace(
        seen,
        alerted_at=seen.alerted_at if math.isfinite(seen.alerted_at) else 0.0,
        symptom=None if seen.symptom is None else _finite(seen.symptom),
        series=tuple(sorted(map(_finite, seen.series), key=series_key)),
        logs=_lines(sorted((each for each in seen.logs if math.isfinite(each.at)), key=_line_key)),
        spans=tuple(
            _sample(
                sorted(
                    (each for each in seen.spans if math.isfinite(each.start + each.duration_ms)),
                    key=_span_key,
                ),
                MOST_SPANS,
            )
        ),
        changes=tuple(sorted((each for each in seen.changes if math.isfinite(each.at)), key=_change_key)),
        events=tuple(sorted((each for each in seen.events if math.isfinite(each.at)), key=_event_key)),
    )


def series_key(
    series: Series,
) -> tuple[str, str, str, tuple[tuple[str, str], ...], tuple[tuple[float, float], ...]]:
    return series.service or "", series.name, series.unit, _pairs(series.labels), series.points


def _finite(series: Series) -> Series:
    points = series.points[-MOST_POINTS:]
    # One sum tells of all points that they are finite, for it is as soon as none is not.
    if not math.isfinite(sum([at + value for at, value in points])):
        points = tuple(point for point in points if math.isfinite(point[0]) and math.isfinite(point[1]))
    return replace(series, points=tuple(sorted(points)))


def _lines(ordered: Sequence[LogLine]) -> tuple[LogLine, ...]:
    """Of too many lines rather quiet ones are left out, evenly over time: before and after are compared."""
    if len(ordered) <= MOST_LINES:
        return tuple(ordered)
    loud = _sample([line for line in ordered if line.level not in QUIET], MOST_LINES * 4 // 5)
    quiet = _sample([line for line in ordered if line.level in QUIET], MOST_LINES - len(loud))
    return tuple(sorted((*loud, *quiet), key=_line_key))


def _sample(ordered: Sequence[Item], most: int) -> Sequence[Item]:
    return ordered[:: math.ceil(len(ordered) / most)] if len(ordered) > most > 0 else ordered


def _line_key(line: LogLine) -> tuple[float, str, str, str]:
    return line.at, line.service or "", line.level, line.text


def _span_key(span: Span) -> tuple[object, ...]:
    told = span.trace_id, span.span_id, span.service, span.name, span.duration_ms, span.parent_id or ""
    return span.start, *told, span.failed, span.error or "", _pairs(span.attributes)


def _change_key(change: Change) -> tuple[object, ...]:
    told = change.kind, change.id, change.service or "", change.title, change.commits, change.files
    return change.at, *told, change.diff or "", change.link or "", change.author or ""


def _event_key(event: ClusterEvent) -> tuple[object, ...]:
    told = event.kind, event.name, event.reason, event.message
    return event.at, *told, event.service or "", event.count, event.warning


def _pairs(values: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(values.items()))


def names(*every: Iterable[str | None]) -> frozenset[str]:
    """All names in `every` that are names."""
    return frozenset(name for group in every for name in group if name)
