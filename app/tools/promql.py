"""The tool that asks for metrics in PromQL."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from pydantic import BaseModel, Field

from app.context.models import Source
from app.errors import AgentError
from app.signals.models import Series
from app.sources.prometheus import Prometheus
from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope
from app.tools.masking import mask
from app.tools.shaping import fitted, number, plural, shortened
from app.tools.window import UNTIL, clock_time, told_window, window

MOST_SERIES = 10
LAST_POINTS = 20
DETAIL = (LAST_POINTS, 12, 6, 0)
"""Last points shown for each series: fewer before a series is left out."""
MOST_EXAMINED = 200
"""Series searched for a change point, by spread (about 0.3 ms each); a model reads ten."""
LONGEST_LABELS = 200
DESCRIPTION = (
    "Ask Prometheus for metrics in PromQL, over a range of time or at one instant (minutes=0). Returns the "
    "series that changed most, each with its change point (size in robust standard deviations), minimum, "
    "median, maximum and last points. Aggregate in the query (sum by, topk, histogram_quantile) rather "
    "than fetch many series."
)


class PromQL(BaseModel):
    query: str = Field(
        min_length=1, max_length=4000, description="PromQL, e.g. sum(rate(x_total[5m])) by (service)"
    )
    minutes: int = Field(30, ge=0, le=180, description="How far back; 0: the value at one instant")
    step_seconds: int = Field(30, ge=1, le=3600, description="Seconds between points")
    until: datetime | None = Field(None, description=UNTIL)


def tool(parts: object) -> Tool[PromQL] | None:
    prometheus = getattr(parts, "prometheus", None)
    if not isinstance(prometheus, Prometheus):
        return None

    async def run(asked: PromQL, scope: ToolScope) -> ToolResult:
        start, end = window(asked.minutes, asked.until, scope)
        try:
            if asked.minutes:
                series = await prometheus.query_range(asked.query, start, end, asked.step_seconds)
            else:
                series = await prometheus.query(asked.query, end)
        except AgentError as error:
            raise ToolFailed(error.sentence) from error
        link = prometheus.link(asked.query, start, end)
        source = Source(
            kind="metrics",
            title=mask(f"Prometheus: {shortened(asked.query, 80)}"),
            path=asked.query,
            url=link,
        )
        over = told_window(start, end) if asked.minutes else f"at {clock_time(end)} UTC"
        ranked = by_change(series)
        text = told(ranked, over, scope.limit_bytes, prometheus.clock_notice())
        title = f"Asked Prometheus: {plural(len(series), 'series')}"
        return ToolResult(text, (source,), title, full=in_full(ranked) if asked.minutes and series else None)

    return Tool("promql", DESCRIPTION, PromQL, run, deadline_seconds=15)


@dataclass(frozen=True)
class Ranked:
    """A series and how it moved; `change` is a sentence, empty when it kept its level."""

    series: Series
    size: float
    spread: float
    change: str


def by_change(series: Sequence[Series]) -> list[Ranked]:
    """Most changed first: by the size of their change of level, then by how far they range."""
    widest = sorted(series, key=lambda each: (-spread(each), sorted(each.labels.items())))
    ranked = [_examined(each) if place < MOST_EXAMINED else Ranked(each, 0, spread(each), "")
              for place, each in enumerate(widest)]  # fmt: skip
    return sorted(ranked, key=lambda each: -each.size)


def _examined(series: Series) -> Ranked:
    from app.signals.changes import shift  # noqa: PLC0415

    found = shift(series)
    if found is None:
        return Ranked(series, 0, spread(series), "")
    levels = f"{number(found.before)} → {number(found.after)}"
    change = f"shifts {found.direction} at {clock_time(found.at)}: {levels} (size {number(found.size)})"
    return Ranked(series, found.size, spread(series), change)


def spread(series: Series) -> float:
    """How far a series ranges, in units of its median level."""
    values = [value for _, value in series.points]
    level = abs(median(values))
    return (max(values) - min(values)) / level if level else max(values) - min(values)


def told(ranked: Sequence[Ranked], over: str, limit_bytes: int, notice: str | None = None) -> str:
    """What the model reads; it fits `limit_bytes`."""
    if not ranked:
        hint = "check the metric's name and labels, or widen the time"
        return "\n".join(filter(None, [notice, f"No series with a number ({over}); {hint}."]))
    best, shared = ranked[:MOST_SERIES], common_labels([each.series for each in ranked])
    head = heading(len(ranked), over, shared, notice)
    text = ""
    for points in DETAIL:
        blocks = [block(each, shared, points) for each in best]
        text, shown = fitted(head, blocks, limit_bytes, "series like these")
        if shown == len(best):
            break
    return text


def heading(count: int, over: str, shared: dict[str, str], notice: str | None) -> str:
    which = f"; the {MOST_SERIES} that changed most" if count > MOST_SERIES else ""
    lines = [
        notice,
        f"{plural(count, 'series')}, {over}{which}:",
        f"All have {labelled(shared)}." if shared else None,
    ]
    return "\n".join(line for line in lines if line)


def block(ranked: Ranked, shared: dict[str, str], points: int) -> str:
    """One series: what sets it apart, its change, its statistics, its last points from a time on."""
    series = ranked.series
    values = [value for _, value in series.points]
    own = {name: value for name, value in series.labels.items() if name not in shared}
    name = labelled(own) if own else shortened(series.name, 80)
    if len(values) == 1:
        return f"- {name}: {number(values[0])}"
    stats = (("min", min(values)), ("median", median(values)), ("max", max(values)), ("last", values[-1]))
    line = f"- {name}: {ranked.change or 'keeps its level'}; " + ", ".join(
        f"{k} {number(v)}" for k, v in stats
    )
    last = series.points[-points:] if points else ()
    return line + (
        f"\n  from {clock_time(last[0][0])}: {' '.join(number(v) for _, v in last)}" if last else ""
    )


def common_labels(series: Sequence[Series]) -> dict[str, str]:
    """Labels that are the same in all of several series; said once."""
    if len(series) < 2:
        return {}
    shared = set(series[0].labels.items()).intersection(*(each.labels.items() for each in series[1:]))
    return dict(sorted(shared))


def labelled(labels: dict[str, str]) -> str:
    inner = ", ".join(f'{name}="{shortened(value, 60)}"' for name, value in sorted(labels.items()))
    return "{" + shortened(inner, LONGEST_LABELS) + "}"


def in_full(ranked: Sequence[Ranked]) -> str:
    """Every point, twenty on a line; each line begins with its series and the time of its first point."""
    return "\n".join(line for each in ranked for line in _lines(each.series))


def _lines(series: Series) -> Iterator[str]:
    name = labelled(dict(series.labels))
    for first in range(0, len(series.points), LAST_POINTS):
        part = series.points[first : first + LAST_POINTS]
        yield f"{name} {clock_time(part[0][0])}: {' '.join(number(value) for _, value in part)}"
