"""Every time series of the stack, by name and labels, with samples on a grid of one scrape (15 s)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor

from app.playground.stack.counters import BOUNDS, SCRAPE, PodSeconds, RouteCounters
from app.playground.stack.noise import around_one, salt
from app.playground.stack.promql.store import Matcher, Stored
from app.playground.stack.shop import Pool, Route, Service
from app.playground.stack.story import Pod, Story

WINDOW = 3.25 * 3600
DURATION = "http_request_duration_seconds"
Read = Callable[[int, int], Sequence[float]]
"""First and last scrape, both included → their values."""


@dataclass(frozen=True)
class Line:
    """One series: it exists from `born` until `gone` (seconds since the epoch; None is for ever)."""

    labels: Mapping[str, str]
    read: Read
    born: float = 0.0
    gone: float | None = None


HELP: Mapping[str, tuple[str, str]] = {
    "http_requests_total": ("counter", "Requests answered."),
    DURATION: ("histogram", "Time from the request to its answer."),
    "process_cpu_seconds_total": ("counter", "Processor time used."),
    "container_memory_working_set_bytes": ("gauge", "Memory that cannot be given back."),
    "db_pool_connections_in_use": ("gauge", "Connections that are lent out."),
    "db_pool_connections_max": ("gauge", "Connections the pool may open."),
    "db_pool_requests_waiting": ("gauge", "Requests that wait for a connection."),
    "queue_depth": ("gauge", "Messages that wait."),
    "tls_certificate_expiry_seconds": ("gauge", "Seconds until the certificate of the host ends."),
    "up": ("gauge", "1 when the last scrape succeeded."),
}


class Metrics:
    """The store a query is evaluated over. Scrapes lie at `origin + n * 15 s`; none is after `now()`."""

    def __init__(self, story: Story, now: Callable[[], float], since: float | None = None) -> None:
        """`since` replaces the onset as the moment before which there are 3 h 15 min of samples."""
        self._story = story
        self.now = now
        self.origin = floor(((story.onset if since is None else since) - WINDOW) / SCRAPE) * SCRAPE
        self.lines = list(self._lines())

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[Stored]:
        """The series that match, each with its samples in [start, end]; those without any are left out."""
        found = [line for line in self.lines if all(matcher.fits(line.labels) for matcher in matchers)]
        return [stored for line in found if (stored := self._cut(line, start, end))]

    def _cut(self, line: Line, start: float, end: float) -> Stored | None:
        first = max(ceil((max(start, line.born) - self.origin) / SCRAPE), 0)
        until = min(end, self.now(), line.gone - 0.001 if line.gone is not None else end)
        last = floor((until - self.origin) / SCRAPE)
        if last < first:
            return None
        times = [self.origin + number * SCRAPE for number in range(first, last + 1)]
        ended = None if line.gone is None or line.gone > self.now() else line.gone
        return Stored(line.labels, times, list(line.read(first, last)), ended)

    def _lines(self) -> Iterator[Line]:
        for service in self._story.shop.services.values():
            for route in service.routes:
                yield from self._of_route(service, route)
            for pod in self._story.pods(service.name):
                yield from self._of_pod(service, pod)
            for pool in service.pools:
                yield from self._of_pool(service, pool)
            yield from (self._of_queue(service, queue) for queue in service.queues)
            if service.host:
                yield self._certificate(service)

    def _of_route(self, service: Service, route: Route) -> Iterator[Line]:
        counters = RouteCounters(self._story, service.name, route, self.origin)
        base = {"service": service.name, "route": route.path}
        for status, version in counters.keys:
            born, gone = self._story.lifetime(service.name, version)
            labels = {"method": route.method, "status": status, "version": version}
            yield Line(
                _named("http_requests_total", base | labels),
                _whole(counters, counters.requests[status, version]),
                born,
                gone,
            )
        for column, bound in zip(counters.buckets, (*BOUNDS, "+Inf"), strict=True):
            labels = base | {"le": str(bound)}
            yield Line(_named(f"{DURATION}_bucket", labels), _whole(counters, column))
        yield Line(_named(f"{DURATION}_count", base), _whole(counters, counters.buckets[-1]))
        yield Line(_named(f"{DURATION}_sum", base), _plain(counters, counters.sum))

    def _of_pod(self, service: Service, pod: Pod) -> Iterator[Line]:
        labels = {"service": service.name, "pod": pod.name}
        seconds = PodSeconds(self._story, pod, self.origin)
        yield self._pod_line("process_cpu_seconds_total", pod, labels, _plain(seconds, seconds.seconds))
        memory = salt(self._story.seed, "memory", pod.name)

        def used(number: int, at: float) -> float:
            grown = self._story.factor(service.name, "memory", "", at)
            return floor(service.memory * grown * around_one(memory, number // 4, 0.03))

        yield self._pod_line("container_memory_working_set_bytes", pod, labels, self._gauge(used))
        yield self._pod_line("up", pod, labels, self._gauge(lambda *_: 1.0))

    @staticmethod
    def _pod_line(name: str, pod: Pod, labels: Mapping[str, str], read: Read) -> Line:
        return Line(_named(name, labels), read, pod.born, pod.gone)

    def _of_pool(self, service: Service, pool: Pool) -> Iterator[Line]:
        labels = {"service": service.name, "pool": pool.name}
        chance = salt(self._story.seed, "pool", service.name, pool.name)

        def wanted(number: int, at: float) -> float:
            noise = around_one(chance, number, 0.22)
            return round(self._story.demand(service.name, pool.name, pool.usual, at) * noise)

        def lent(number: int, at: float) -> float:
            return min(wanted(number, at), pool.size)

        def waiting(number: int, at: float) -> float:
            return max(wanted(number, at) - pool.size, 0)

        yield Line(_named("db_pool_connections_in_use", labels), self._gauge(lent))
        yield Line(_named("db_pool_connections_max", labels), self._gauge(lambda *_: pool.size))
        yield Line(_named("db_pool_requests_waiting", labels), self._gauge(waiting))

    def _of_queue(self, service: Service, queue: str) -> Line:
        chance = salt(self._story.seed, "queue", service.name, queue)

        def depth(number: int, at: float) -> float:
            grown = self._story.factor(service.name, "queue", queue, at)
            return round(7 * grown * around_one(chance, number, 0.6))

        return Line(_named("queue_depth", {"service": service.name, "queue": queue}), self._gauge(depth))

    def _certificate(self, service: Service) -> Line:
        labels = {"service": service.name, "host": service.host}
        ends = self._story.certificate_ends(service.name)
        return Line(_named("tls_certificate_expiry_seconds", labels), self._gauge(lambda _, at: ends - at))

    def _gauge(self, value: _At) -> Read:
        def read(first: int, last: int) -> list[float]:
            return [float(value(number, self.origin + number * SCRAPE)) for number in range(first, last + 1)]

        return read


_At = Callable[[int, float], float]
"""Number and time of a scrape → what a gauge shows then."""


def _named(name: str, labels: Mapping[str, str]) -> dict[str, str]:
    return {"__name__": name, **labels}


def _whole(counters: RouteCounters, column: array[float]) -> Read:
    def read(first: int, last: int) -> list[float]:
        counters.reach(last)
        return [float(floor(value)) for value in column[first : last + 1]]

    return read


def _plain(counters: RouteCounters | PodSeconds, column: array[float]) -> Read:
    def read(first: int, last: int) -> Sequence[float]:
        counters.reach(last)
        return column[first : last + 1]

    return read
