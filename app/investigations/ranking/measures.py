"""What a series measures, judged by the words of its name and its unit, and which way is bad."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise
from typing import Literal

from app.context.names import words
from app.signals.models import Series

Measure = Literal["errors", "availability", "latency", "traffic", "saturation", "expiry", "other"]
ADVERSE: frozenset[Measure] = frozenset({"errors", "availability", "latency", "saturation"})

# In this order: `failed_requests` counts errors, `request_queue_depth` is a queue, `hit_ratio` no rate.
VOCABULARY: tuple[tuple[Measure, str], ...] = (
    ("expiry", "expiry expires expiration expire"),
    ("availability", "availability available uptime success successful hit hits healthy ready"),
    (
        "errors",
        "error errors failed failure failures fault faults panic panics exception exceptions rejected "
        "rejections timeouts unavailable dropped 5xx 4xx 500 502 503 504 401 403 429 unauthorized restarts",
    ),
    ("saturation", "cpu memory mem heap rss disk pool queue backlog depth conns connections threads inodes"),
    ("saturation", "utilization utilisation saturation throttled throttling load usage lag pending inflight"),
    ("latency", "latency duration durations wait delay elapsed p50 p90 p95 p99 took rtt"),
    ("traffic", "rps qps requests request throughput traffic rate queries hits calls messages invocations"),
)
KINDS: Mapping[str, Measure] = {
    word: measure for measure, text in reversed(VOCABULARY) for word in text.split()
}
BY_UNIT: Mapping[str, Measure] = {"seconds": "latency", "1/s": "traffic"}
TIMES = frozenset({"s", "sec", "second", "min", "minute", "hour", "day"})
PRECEDENCE: tuple[Measure, ...] = tuple(dict.fromkeys(measure for measure, _ in VOCABULARY))


def measure_of(series: Series) -> Measure:
    return _measure(series.name, series.unit)


@lru_cache(maxsize=4096)
def _measure(name: str, unit: str) -> Measure:
    said = words(name)
    if any(before == "per" and after not in TIMES for before, after in pairwise(said)):
        # Queries per request are what a request costs, and no traffic.
        return "other"
    found = {KINDS[word] for word in said if word in KINDS}
    return next((kind for kind in PRECEDENCE if kind in found), BY_UNIT.get(unit, "other"))


def failing_share(series: Series) -> Series:
    """An availability turned into the share that failed, so that more is worse for all adverse measures.

    Taken as percent when it ever exceeds 1.5, as a ratio otherwise.
    """
    whole = 100.0 if any(value > 1.5 for _, value in series.points) else 1.0
    points = tuple((at, whole - value) for at, value in series.points)
    return Series(series.name, points, series.service, series.labels, series.unit)
