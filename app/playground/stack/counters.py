"""Counters of a route and of a pod: sums over scrapes, kept only for the series somebody has asked for."""

from __future__ import annotations

from array import array
from functools import cached_property
from math import erf, exp, log, sqrt

from app.playground.stack.noise import around_one, salt
from app.playground.stack.scenario import Failure
from app.playground.stack.shop import Route
from app.playground.stack.story import Pod, Story

SCRAPE = 15.0
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
LOGARITHMS = (*map(log, BOUNDS), None)
ROOT = sqrt(2)
FAILING_SPREAD = 0.12
LOST = 0.006
"""The part of what is asked for by its id and is not there."""
ALREADY = 5 * 3600.0
"""How long counters had been counting when the window begins."""


class RouteCounters:
    """Requests of one route by status and version, and their durations; one row a scrape from `origin` on.

    Failures of a version fall on that version; all else is spread over versions as the pods are.
    """

    def __init__(self, story: Story, service: str, route: Route, origin: float) -> None:
        self._story = story
        self._service = service
        self._route = route
        self._origin = origin
        self._salt = salt(story.seed, "requests", service, route.path)
        self._usual = route.failing
        self.keys = [(status, version) for version in story.versions(service) for status in self._statuses]
        self.requests = {key: array("d") for key in self.keys}
        self.buckets = [array("d") for _ in range(len(BOUNDS) + 1)]
        self.sum = array("d")

    @cached_property
    def _statuses(self) -> tuple[str, ...]:
        fine = {"GET": "200", "POST": "200", "DELETE": "204"}[self._route.method]
        lost = ("404",) if "{" in self._route.path and self._route.method == "GET" else ()
        scenario = self._story.scenario
        failing = [
            each.status
            for each in (scenario.failures if scenario else ())
            if (each.service, each.route) == (self._service, self._route.path)
        ]
        return tuple(dict.fromkeys((fine, *lost, "500", *failing)))

    def reach(self, last: int) -> None:
        """Count up to scrape `last`."""
        for number in range(len(self.sum), last + 1):
            self._count(number)

    def _count(self, number: int) -> None:
        at = self._origin + (number - 0.5) * SCRAPE
        story, route = self._story, self._route
        seconds = SCRAPE if number else ALREADY
        count = story.rps(self._service, route, at) * seconds * around_one(self._salt, number, 0.09)
        failing = list(story.failing(self._service, route, at))
        fine = count * (1 - min(sum(share for _, share in failing), 1.0))
        shares = self._shares(at)
        self._usual = route.failing * around_one(self._salt, number + 2_000_003, 0.9)
        for key in self.keys:
            self._add(self.requests[key], self._part(key, shares, failing, count, fine))
        slow = story.factor(self._service, "latency", route.path, at)
        median = route.seconds * slow * around_one(self._salt, number + 1_000_003, 0.07)
        # What gets slow does not get slow evenly.
        spread = route.spread * (1.25 if slow > 1.3 else 1.0)
        parts = [(fine, median, spread)]
        parts += [(count * share, failure.seconds, FAILING_SPREAD) for failure, share in failing]
        for column, bound in zip(self.buckets, LOGARITHMS, strict=True):
            below = 0.0
            for many, mid, wide in parts:
                below += many * _below(bound, mid, wide)
            self._add(column, below)
        self._add(self.sum, sum(many * mid * exp(wide * wide / 2) for many, mid, wide in parts))

    def _shares(self, at: float) -> dict[str, float]:
        versions = {version for _, version in self.keys}
        if len(versions) == 1:
            return dict.fromkeys(versions, 1.0)
        return {version: self._story.version_share(self._service, version, at) for version in versions}

    def _part(
        self,
        key: tuple[str, str],
        shares: dict[str, float],
        failing: list[tuple[Failure, float]],
        count: float,
        fine: float,
    ) -> float:
        """How many of the requests since the last scrape had this status and version."""
        status, version = key
        share, usual = shares[version], self._usual
        if share == 0:
            return 0.0
        part = 0.0
        if status == "500":
            part = fine * usual * share
        elif status == "404":
            part = fine * LOST * share
        elif status == self._statuses[0]:
            part = fine * (1 - usual - (LOST if "404" in self._statuses else 0)) * share
        for failure, suffering in failing:
            if failure.status == status and failure.version in (None, version):
                part += count * suffering * (1.0 if failure.version else share)
        return part

    @staticmethod
    def _add(column: array[float], more: float) -> None:
        column.append((column[-1] if column else 0.0) + more)


class PodSeconds:
    """The processor seconds of one pod, a row a scrape; a pod has at most one core."""

    def __init__(self, story: Story, pod: Pod, origin: float) -> None:
        self._story = story
        self._pod = pod
        self._origin = origin
        self._salt = salt(story.seed, "cpu", pod.name)
        self.seconds = array("d")

    def reach(self, last: int) -> None:
        for number in range(len(self.seconds), last + 1):
            before = self.seconds[-1] if self.seconds else 4000.0 * around_one(self._salt, 0, 0.5)
            at = self._origin + number * SCRAPE
            self.seconds.append(before + SCRAPE * self._cores(at, number) if self._pod.runs_at(at) else 0.0)

    def _cores(self, at: float, number: int) -> float:
        service = self._story.shop.services[self._pod.service]
        requests = sum(self._story.rps(service.name, route, at) for route in service.routes)
        wanted = 0.03 + requests * service.cpu_per_request / service.replicas
        wanted *= self._story.factor(service.name, "cpu", "", at)
        return min(wanted * around_one(self._salt, number, 0.12), 0.985)


def _below(bound: float | None, median: float, spread: float) -> float:
    """The part of a log-normal distribution at or below the bound of this logarithm; None is infinity."""
    if bound is None:
        return 1.0
    return 0.5 * (1 + erf((bound - log(median)) / (spread * ROOT)))
