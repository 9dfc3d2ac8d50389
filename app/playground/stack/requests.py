"""The requests one can look at singly: those that traces and log lines were kept of.

Of requests that went well few are kept, of those that failed most. A request is found again by its trace id
alone, for the id says from which tick and which draw it came.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import exp, floor

from app.playground.stack.counters import FAILING_SPREAD
from app.playground.stack.noise import normal, salt, uniform
from app.playground.stack.scenario import Failure
from app.playground.stack.shop import Route
from app.playground.stack.story import Story

TICK = 4.0
KEPT_FINE = 0.25
"""Requests a second that are kept of those of one route that went well."""
KEPT_FAILING = 0.9
USUAL = 0xFF
"""Stands for the failures that happen on every day."""


@dataclass(frozen=True)
class Sampled:
    """One request: `at` is when it was answered, `seconds` how long that took."""

    trace_id: str
    at: float
    service: str
    route: Route
    seconds: float
    pod: str
    version: str
    failure: Failure | None = None

    @property
    def status(self) -> str:
        if self.failure:
            return self.failure.status
        return "204" if self.route.method == "DELETE" else "200"


class Requests:
    """All kept requests of a story."""

    def __init__(self, story: Story) -> None:
        self._story = story
        self._routes = [
            (service.name, route) for service in story.shop.services.values() for route in service.routes
        ]
        self._salts: dict[tuple[int, int], int] = {}
        self._failures = story.scenario.failures if story.scenario else ()

    def between(self, start: float, end: float) -> Iterator[Sampled]:
        """Those answered in [start, end), tick by tick."""
        for tick in range(floor(start / TICK), floor(end / TICK) + 1):
            yield from (each for each in self.in_tick(tick) if start <= each.at < end)

    def backwards(self, start: float, end: float) -> Iterator[Sampled]:
        """The same, the newest first."""
        for tick in range(floor(end / TICK), floor(start / TICK) - 1, -1):
            found = [each for each in self.in_tick(tick) if start <= each.at < end]
            yield from sorted(found, key=lambda each: -each.at)

    def in_tick(self, tick: int) -> Iterator[Sampled]:
        """Those answered in [tick, tick + 1) times TICK."""
        at = (tick + 0.5) * TICK
        for place, (service, route) in enumerate(self._routes):
            rps = self._story.rps(service, route, at)
            failing = list(self._story.failing(service, route, at))
            well = rps * (1 - sum(share for _, share in failing))
            yield from self._draws(tick, place, 0, min(well, KEPT_FINE))
            yield from self._draws(tick, place, USUAL, well * route.failing)
            for failure, share in failing:
                kind = self._failures.index(failure) + 1
                yield from self._draws(tick, place, kind, min(rps * share, KEPT_FAILING))

    def find(self, trace_id: str) -> Sampled | None:
        """The request of a trace; None for an id that none has."""
        try:
            tick, place, kind, draw = (
                int(trace_id[a:b], 16) for a, b in ((0, 8), (8, 10), (10, 12), (12, 16))
            )
        except ValueError:
            return None
        if place >= len(self._routes) or not (kind == USUAL or kind <= len(self._failures)):
            return None
        found = self._draw(tick, place, kind, draw)
        return found if found.trace_id == trace_id else None

    def _draws(self, tick: int, place: int, kind: int, rate: float) -> Iterator[Sampled]:
        if (place, kind) not in self._salts:
            self._salts[place, kind] = salt(self._story.seed, "draws", place, kind)
        for draw in range(floor(rate * TICK + uniform(self._salts[place, kind], tick))):
            yield self._draw(tick, place, kind, draw)

    def _draw(self, tick: int, place: int, kind: int, draw: int) -> Sampled:
        service, route = self._routes[place]
        own = salt(self._story.seed, tick, place, kind, draw)
        at = (tick + uniform(own, 0)) * TICK
        failure = None if kind == 0 else _usual(service, route)
        if failure and kind != USUAL:
            failure = self._failures[kind - 1]
        pod, version = self._pod(service, at, uniform(own, 1), failure)
        return Sampled(
            trace_id=f"{tick:08x}{place:02x}{kind:02x}{draw:04x}{own:016x}",
            at=at,
            service=service,
            route=route,
            seconds=self._seconds(service, route, at, failure, normal(own, 2)),
            pod=pod,
            version=version,
            failure=failure,
        )

    def _seconds(
        self, service: str, route: Route, at: float, failure: Failure | None, deviation: float
    ) -> float:
        if failure:
            return failure.seconds * exp(FAILING_SPREAD * deviation)
        median = route.seconds * self._story.factor(service, "latency", route.path, at)
        return median * exp(route.spread * deviation)

    def _pod(self, service: str, at: float, chance: float, failure: Failure | None) -> tuple[str, str]:
        running = [pod for pod in self._story.pods(service) if pod.runs_at(at)]
        if failure and failure.version:
            running = [pod for pod in running if pod.version == failure.version] or running
        if not running:
            return service, self._story.shop.services[service].version
        pod = running[int(chance * len(running))]
        return pod.name, pod.version


def _usual(service: str, route: Route) -> Failure:
    """What fails now and then on the best of days."""
    return Failure(
        name="usual",
        service=service,
        route=route.path,
        status="500",
        share=route.failing,
        seconds=route.seconds * 1.4,
        error="write: connection reset by peer",
        lines=("request failed: write: connection reset by peer",),
    )
