"""One objective as it goes into files: its queries, windows and alerts. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.workflows.in_words import slug
from app.workflows.wants import slis
from app.workflows.wants.answers import known
from app.workflows.wants.counts import Counts, bucket_for, seconds_of
from app.workflows.wants.saying import time_of
from app.workflows.wants.slis import ALL, Slis

WINDOWS = ("5m", "30m", "1h", "6h", "3d")
LOW_TRAFFIC = 10.0
"""Requests a minute below which one error is a spike (standards/alerting.md)."""
PAGING_TIERS = (1, 2, None)


@dataclass(frozen=True)
class Journey:
    """A journey as it was answered, with what was measured of it; `route` is None while nobody knows it."""

    name: str
    route: str | None
    counts: Counts
    speeds: Mapping[str, float]


def slo(
    service: str,
    tier: int | None,
    journey: Journey,
    measures: Slis,
    *,
    target: Any,
    threshold: float | None = None,
) -> dict[str, Any]:
    """One objective; with a threshold (seconds) that of its latency."""
    sli = "availability" if threshold is None else "latency"
    route, name = journey.route or ALL, f"{journey.name} {sli}"
    requests = slis.requests_of(measures, service, route)
    bucket = None if threshold is None else _bucket(threshold, journey)
    good, valid = slis.datadog_queries(measures, service, route, threshold)
    words = f"took at most {time_of(threshold)}" if threshold is not None else "were answered well"
    return known(
        {
            "name": name,
            "id": slug(name),
            "journey": journey.name,
            "sli": sli,
            "target": target,
            "warning": _warning(target),
            "means": f"The share of “{journey.name}” requests that {words}",
            "windows": [
                {"window": each, "expr": slis.bad_share(measures, requests, each, bucket)} for each in WINDOWS
            ],
            "alert": "".join(word.capitalize() for word in re.findall(r"[A-Za-z0-9]+", f"{service} {name}")),
            "pages": tier in PAGING_TIERS,
            "guard": _guard(measures, requests, journey.counts),
            "bucket": _bucket_note(threshold, journey),
            "route": None
            if journey.route is not None
            else "all requests of the service, for want of a route",
            "datadog_good": good,
            "datadog_valid": valid,
        }
    )


def _warning(target: Any) -> float | None:
    """Where Datadog warns: with two fifths of the budget left of it, above the target."""
    return None if target is None else round(target + (100 - target) * 0.4, 4)


def _bucket(threshold: float, journey: Journey) -> str:
    found = bucket_for(threshold, list(journey.speeds))
    return found if found is not None else f"{threshold:g}"


def _bucket_note(threshold: float | None, journey: Journey) -> str | None:
    if threshold is None:
        return None
    bucket = _bucket(threshold, journey)
    if not journey.speeds:
        return f"check that the histogram has a bucket with le={bucket}"
    if abs(seconds_of(bucket) - threshold) < 1e-9:
        return None
    return f"add a bucket at {threshold:g} s; until then le={bucket} is measured"


def _guard(measures: Slis, requests: str, counts: Counts) -> str | None:
    """What keeps one error in a quiet hour from paging."""
    if not counts.counts or counts.a_minute >= LOW_TRAFFIC:
        return None
    return f"{slis.over(slis.filled(measures.availability.valid, requests), '1h')} * 3600 > 100"
