"""What the services log: a line for each kept request, its failures, and what they say by themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil, floor

from app.playground.stack.noise import around_one, salt
from app.playground.stack.requests import TICK, Requests, Sampled
from app.playground.stack.scenario import Failure, Level, Notice
from app.playground.stack.shop import NAMESPACE
from app.playground.stack.story import Story
from app.signals.models import LogLine

ON_EVERY_DAY = (
    Notice("checkout", "info", "prices reloaded: {n} rules", every=60),
    Notice("checkout", "warn", "calling payments again: attempt 2 of 3, the first took {n} ms", every=97),
    Notice("payments", "info", "settlement file sent to northpay: {n} charges", every=120),
    Notice("payments", "warn", "northpay answered slowly: {n} ms", every=83),
    Notice("inventory", "info", "stock cache refreshed: {n} entries", every=45),
    Notice("inventory", "warn", "row lock of a sku waited {n} ms", every=71),
    Notice("notifications", "info", "handed {n} messages to the provider", every=20),
    Notice("notifications", "info", "receipt sent to lena.berg@shopper.example in {n} ms", every=110),
    Notice("notifications", "warn", "provider asked to slow down for {n} ms", every=150),
)
POOL_EVERY = 30.0


@dataclass(frozen=True)
class Logs:
    """All lines of a story."""

    story: Story
    requests: Requests

    def between(self, start: float, end: float) -> Iterator[LogLine]:
        """Lines in [start, end), tick by tick: nearly in order of time."""
        for tick in range(floor(start / TICK), ceil(end / TICK)):
            yield from (line for line in self._in_tick(tick) if start <= line.at < end)

    def backwards(self, start: float, end: float) -> Iterator[LogLine]:
        """The same, the last tick first."""
        for tick in range(ceil(end / TICK) - 1, floor(start / TICK) - 1, -1):
            lines = [line for line in self._in_tick(tick) if start <= line.at < end]
            yield from sorted(lines, key=lambda line: -line.at)

    def _in_tick(self, tick: int) -> list[LogLine]:
        start, end = tick * TICK, (tick + 1) * TICK
        lines = [line for request in self.requests.in_tick(tick) for line in self._of_request(request)]
        for notice in self._notices():
            lines += [self._noticed(notice, at, number) for at, number in self._times(notice, start, end)]
        lines += self._of_pools(start, end)
        return sorted(lines, key=lambda line: line.at)

    # --- requests ----------------------------------------------------------------------------------------

    def _of_request(self, request: Sampled) -> Iterator[LogLine]:
        failure = request.failure
        level = _level(request.status)
        if failure:
            yield from self._through(request, failure)
            for text in failure.lines:
                yield self._line(request.service, request.at - 0.001, level, text, request)
        text = (
            f"request method={request.route.method} route={request.route.path} status={request.status} "
            f"duration_ms={request.seconds * 1000:.0f}"
        )
        yield self._line(request.service, request.at, level, text, request)

    def _through(self, request: Sampled, failure: Failure) -> Iterator[LogLine]:
        """What the callee logs about the failure that made this one."""
        if not failure.through or self.story.scenario is None:
            return
        cause = self.story.scenario.failure(failure.through)
        for attempt in range(failure.attempts):
            at = request.at - cause.seconds * 1.02 * (failure.attempts - 1 - attempt) - 0.002
            for text in cause.lines:
                yield self._line(cause.service, at, _level(cause.status), text, request)

    def _line(
        self,
        service: str,
        at: float,
        level: str,
        text: str,
        request: Sampled | None = None,
    ) -> LogLine:
        own = request is not None and request.service == service
        pod = request.pod if request and own else self._some_pod(service, at, text)
        quoted = text.replace("\\", "\\\\").replace('"', '\\"')
        tail = f" trace_id={request.trace_id}" if request else ""
        return LogLine(
            at=at,
            text=f'level={level} msg="{quoted}"{tail}',
            service=service,
            level=level,
            trace_id=request.trace_id if request else None,
            labels=self._labels(service, level, pod),
        )

    @staticmethod
    def _labels(service: str, level: str, pod: str) -> Mapping[str, str]:
        return {"service": service, "app": service, "namespace": NAMESPACE, "level": level, "pod": pod}

    def _some_pod(self, service: str, at: float, text: str) -> str:
        running = [pod.name for pod in self.story.pods(service) if pod.runs_at(at)]
        return running[salt(text, floor(at)) % len(running)] if running else service

    # --- what services say by themselves -----------------------------------------------------------------

    def _notices(self) -> Iterator[Notice]:
        yield from (each for each in ON_EVERY_DAY if each.service in self.story.shop.services)
        yield from self.story.scenario.notices if self.story.scenario else ()

    def _times(self, notice: Notice, start: float, end: float) -> Iterator[tuple[float, int]]:
        """When a notice is due in [start, end), with its number."""
        # What is said on every day has been said long before the onset.
        first = self.story.onset + notice.at if notice not in ON_EVERY_DAY else notice.at
        if notice.every is None:
            if start <= first < end:
                yield first, 0
            return
        for number in range(max(ceil((start - first) / notice.every), 0), ceil((end - first) / notice.every)):
            yield first + number * notice.every, number

    def _noticed(self, notice: Notice, at: float, number: int) -> LogLine:
        amount = round(400 * around_one(salt(self.story.seed, notice.text), number, 0.6))
        return self._line(notice.service, at, notice.level, notice.text.format(n=amount))

    def _of_pools(self, start: float, end: float) -> Iterator[LogLine]:
        for number in range(ceil(start / POOL_EVERY), ceil(end / POOL_EVERY)):
            at = number * POOL_EVERY
            for service in self.story.shop.services.values():
                for pool in service.pools:
                    wanted = self.story.demand(service.name, pool.name, pool.usual, at)
                    wanted = round(wanted * around_one(salt(service.name, pool.name), number, 0.15))
                    lent, waiting = min(wanted, pool.size), max(wanted - pool.size, 0)
                    text = f"pool {pool.name}: in use {lent} of {pool.size}, waiting {waiting}"
                    yield self._line(service.name, at, "warn" if waiting else "info", text)


def _level(status: str) -> Level:
    """The level a request's lines have: whose fault it is decides."""
    return "error" if status >= "500" else "warn" if status >= "400" else "info"
