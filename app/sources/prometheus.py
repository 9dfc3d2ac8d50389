"""Metrics: questions in PromQL to anything that speaks Prometheus' HTTP API.

Source of the shapes: prometheus.io/docs/prometheus/latest/querying/api/.
"""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.settings import Endpoint
from app.signals.models import Series
from app.sources.failures import SHAPE_ERRORS, UNFAMILIAR, SourceFailed
from app.sources.http import ReadOnlyHttp

ALLOWED = ("/api/v1/query", "/api/v1/query_range", "/api/v1/rules")
SERVICE_LABELS = ("service", "service_name", "app", "job")
QUOTED = re.compile(r"""\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`""")
UNIT = re.compile(r"_(seconds|bytes|ratio|percent)(?:_(?:bucket|total|sum))?\b")
RATE = re.compile(r"\b(?:i?rate|deriv)\s*\(")


@dataclass(frozen=True)
class AlertRule:
    """A rule as the source evaluates it; `state` is `firing`, `pending` or `inactive`, and it fires once its
    query has held for `seconds`."""

    name: str
    query: str
    state: str
    group: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    seconds: float = 0.0


class Prometheus:
    """Reads one Prometheus (or Mimir, Thanos, VictoriaMetrics at its Prometheus address)."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeout_seconds: float = 15,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.http = ReadOnlyHttp(
            endpoint, ALLOWED, source="prometheus", timeout_seconds=timeout_seconds, clock=clock
        )
        # Told to the source as well: it need not go on for a reader that has left.
        self._timeout = f"{timeout_seconds:g}s"

    async def aclose(self) -> None:
        await self.http.aclose()

    def clock_notice(self) -> str | None:
        """A sentence when the source's clock is off."""
        return self.http.clock_notice()

    async def query(self, promql: str, at: float) -> tuple[Series, ...]:
        """The values of `promql` at one time (seconds since the epoch), a point for each series.

        Raises:
            SourceFailed: as `ReadOnlyHttp.json`; `QueryRejected` carries Prometheus' own words.
        """
        asked = {"query": promql, "time": f"{at:.3f}", "timeout": self._timeout}
        answer = await self.http.json("/api/v1/query", asked)
        return self._series(answer, promql)

    async def query_range(
        self, promql: str, start: float, end: float, step: float = 30
    ) -> tuple[Series, ...]:
        """The values of `promql` every `step` seconds from `start` to `end`, both included.

        Raises:
            SourceFailed: as `query`.
        """
        window = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": f"{step:g}"}
        asked = {"query": promql, **window, "timeout": self._timeout}
        answer = await self.http.json("/api/v1/query_range", asked)
        # Ten thousand points take the event loop too long.
        return await asyncio.to_thread(self._series, answer, promql)

    async def rules(self) -> tuple[AlertRule, ...]:
        """The alerting rules that the source evaluates.

        Raises:
            SourceFailed: as `query`.
        """
        answer = await self.http.json("/api/v1/rules", {"type": "alert"})
        try:
            return tuple(
                _rule(rule, str(group.get("name", "")))
                for group in answer["data"]["groups"]
                for rule in group["rules"]
                if rule.get("type", "alerting") == "alerting"
            )
        except SHAPE_ERRORS:
            raise SourceFailed("prometheus", UNFAMILIAR) from None

    def link(self, promql: str, start: float, end: float) -> str:
        """The page of Prometheus that draws `promql` over that time."""
        until = datetime.fromtimestamp(end, UTC).strftime("%Y-%m-%d %H:%M:%S")
        drawn = {"g0.expr": promql, "g0.tab": "0", "g0.range_input": f"{max(round(end - start), 60)}s"}
        return self.http.page("/graph", {**drawn, "g0.end_input": until})

    def _series(self, answer: Any, promql: str) -> tuple[Series, ...]:
        try:
            return series_of(answer["data"]["resultType"], answer["data"]["result"], promql)
        except SHAPE_ERRORS:
            raise SourceFailed("prometheus", UNFAMILIAR) from None


def series_of(kind: str, result: Any, expression: str) -> tuple[Series, ...]:
    """The series of a result of type `matrix`, `vector` or `scalar`; those without a number are left out."""
    if kind == "scalar":
        result = [{"metric": {}, "value": result}]
    elif kind == "string":
        return ()
    found = (_one(each, expression) for each in result)
    return tuple(series for series in found if series.points)


def _one(entry: Mapping[str, Any], expression: str) -> Series:
    labels = {str(name): str(value) for name, value in entry["metric"].items()}
    name = labels.pop("__name__", None) or expression
    raw = entry.get("values") or ([entry["value"]] if "value" in entry else [])
    return Series(
        name=name,
        points=numbers(raw),
        service=next((labels[each] for each in SERVICE_LABELS if labels.get(each)), None),
        labels=labels,
        unit=unit_of(expression),
    )


def numbers(samples: Iterable[Any]) -> tuple[tuple[float, float], ...]:
    """(time, value) of samples such as `[1700000000.1, "0.5"]`, ascending, without NaN and infinities."""
    points = ((float(at), float(value)) for at, value in samples)
    return tuple(sorted(point for point in points if math.isfinite(point[0]) and math.isfinite(point[1])))


def unit_of(expression: str) -> str:
    """The unit that the names in an expression give away, by Prometheus' naming practice; else empty.

    prometheus.io/docs/practices/naming/: base units are a suffix; a counter under `rate` is per second. What
    is divided or multiplied has a unit that names do not tell.
    """
    plain = QUOTED.sub("", expression)
    if "/" in plain or "*" in plain:
        return ""
    named = UNIT.search(plain)
    if RATE.search(plain) and "histogram_quantile" not in plain:
        return "" if named else "1/s"
    return named[1] if named else ""


def _rule(rule: Mapping[str, Any], group: str) -> AlertRule:
    return AlertRule(
        name=str(rule["name"]),
        query=str(rule["query"]),
        state=str(rule.get("state", "inactive")),
        group=group,
        labels={str(k): str(v) for k, v in (rule.get("labels") or {}).items()},
        annotations={str(k): str(v) for k, v in (rule.get("annotations") or {}).items()},
        seconds=float(rule.get("duration") or 0),
    )
