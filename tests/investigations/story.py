"""Small hand-made incidents: an hour of charts, one sample a minute, in which something goes wrong."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace

from app.investigations.evidence import Observations
from app.signals.models import Change, LogLine, Series, Span

START = 1_700_000_000.0
MINUTE = 60.0
ALL = frozenset({"prometheus", "loki", "tempo", "deploys", "github", "kubernetes"})


def at(minute: float) -> float:
    return START + minute * MINUTE


def chart(
    service: str,
    name: str,
    level: float,
    *steps: tuple[float, float],
    minutes: int = 70,
    noise: float = 0.03,
    unit: str = "",
) -> Series:
    """A noisy level that becomes another at each (minute, level) of `steps`."""
    chance = random.Random(f"{service}/{name}")
    points = []
    for minute in range(minutes):
        now = next((value for begin, value in reversed(steps) if minute >= begin), level)
        points.append((at(minute), max(now * (1 + chance.gauss(0, noise)), 0.0)))
    return Series(name, tuple(points), service, {}, unit)


def ramp(service: str, name: str, level: float, begin: float, slope: float, minutes: int = 70) -> Series:
    """A level that grows by `slope` a minute from `begin` on."""
    steady = chart(service, name, level, minutes=minutes)
    points = tuple(
        (when, value + max((when - at(begin)) / MINUTE, 0.0) * slope) for when, value in steady.points
    )
    return replace(steady, points=points)


def lines(
    service: str, text: str, begin: float, end: float = 70, level: str = "error", every: float = 0.5
) -> list[LogLine]:
    count = int((end - begin) / every)
    return [LogLine(at(begin + index * every), text, service, level) for index in range(count)]


def usual(*services: str) -> list[LogLine]:
    return [
        line for service in services for line in lines(service, "request served in 12ms", 0, level="info")
    ]


def deploy(service: str, minute: float, sha: str, **commit: object) -> list[Change]:
    """A rollout and the commit it brought; the commit says what was changed."""
    known: dict[str, object] = {"title": f"work on {service}", "files": (), "diff": None, **commit}
    return [
        Change("deploy", f"rollout-{sha}", at(minute), f"rollout of {sha}", service, commits=(sha,)),
        Change(
            "commit", sha, at(minute - 5), str(known["title"]), None, files=known["files"], diff=known["diff"]
        ),  # type: ignore[arg-type]
    ]


def call(
    trace: str, caller: str, callee: str, minute: float, failed: str | None = None, **attributes: str
) -> list[Span]:
    root = Span(trace, "1", caller, "handle", at(minute), 900.0, None, failed is not None)
    child = Span(trace, "2", callee, "work", at(minute), 800.0, "1", failed is not None, failed, attributes)
    return [root, child]


def told(service: str, symptom: Series, minute: float = 66, **rest: object) -> Observations:
    """Observations of an alert at `minute` about `symptom`, which is among the series."""
    series = (symptom, *rest.pop("series", ()))  # type: ignore[misc]
    depends_on: Mapping[str, tuple[str, ...]] = rest.pop("depends_on", {})  # type: ignore[assignment]
    known = {key: tuple(value) for key, value in rest.items() if key != "title"}  # type: ignore[call-overload]
    return Observations(
        service=service,
        alerted_at=at(minute),
        title=str(rest.get("title", f"{symptom.name} of {service} is high")),
        symptom=symptom,
        series=series,
        depends_on=depends_on,
        sources_asked=ALL,
        **known,
    )
