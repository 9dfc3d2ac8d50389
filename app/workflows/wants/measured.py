"""Reads what a service's requests delivered from Prometheus: the last 30 days, or what there is of them."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.errors import AgentError
from app.signals.models import Series
from app.sources.prometheus import Prometheus
from app.workflows.wants import counts, slis
from app.workflows.wants.counts import DAY, Counts
from app.workflows.wants.slis import ALL, Slis

DAYS = 30
STEP = 3600.0
SHORT_STEP = 300.0
FEWEST = 24
"""Points below which a young history is read in finer steps, over a day."""
MOST_KEPT = 200
SECONDS = 14.0
"""For all queries of one want; what comes later is not waited for."""


class NoHistory(AgentError):
    """Nothing is measured, or Prometheus does not say."""

    code = "no_history"


@dataclass(frozen=True)
class Span:
    """The times that are asked about: points at the ends of windows of `step` seconds."""

    start: float
    end: float
    step: float

    @property
    def window(self) -> str:
        return f"{self.step:.0f}s"


@dataclass(frozen=True)
class Traffic:
    """Counts by route, busiest first; `whole` are those of all routes."""

    span: Span
    whole: Counts
    routes: Mapping[str, Counts]

    def of(self, route: str) -> Counts:
        return self.whole if route == ALL else self.routes.get(route, Counts(self.span.step))


@dataclass
class Measured:
    """Keeps answers for as long as their times are the newest: a corrected target asks nothing anew."""

    prometheus: Prometheus
    _kept: OrderedDict[tuple[str, float, float], tuple[Series, ...]] = field(default_factory=OrderedDict)

    async def traffic(self, measures: Slis, service: str, now: float) -> Traffic:
        """The requests of a service and the failures among them.

        Raises:
            NoHistory: there is none.
            AgentError: Prometheus does not answer, or not in time.
        """
        for span in spans(now):
            found = await self._traffic(measures, service, span)
            if len(found.whole.counts) >= FEWEST or span.step == SHORT_STEP:
                if not found.whole.counts:
                    break
                return found
        raise NoHistory(f"Prometheus has no requests of {service} under {slis.SLIS}.")

    async def _traffic(self, measures: Slis, service: str, span: Span) -> Traffic:
        requests = slis.requests_of(measures, service, ALL)
        valid, bad = await self._both(
            span,
            slis.over(slis.filled(measures.availability.valid, requests), span.window, measures.route),
            slis.over(slis.filled(measures.availability.bad, requests), span.window, measures.route),
        )
        routes = dict.fromkeys(name for each in valid if (name := each.labels.get(measures.route)))
        found = {
            name: counts.counted(_of(valid, measures, name), _of(bad, measures, name), span.step)
            for name in routes
        }
        busiest = dict(sorted(found.items(), key=lambda pair: -pair[1].valid))
        return Traffic(span, counts.counted(valid, bad, span.step), busiest)

    async def speeds(self, measures: Slis, service: str, route: str, span: Span) -> Mapping[str, float]:
        """The share of requests (percent) below each bound of a bucket."""
        requests = slis.requests_of(measures, service, route)
        coarse = Span(span.start, span.end, span.step * (6 if span.step == STEP else 1))
        query = slis.over(slis.filled(measures.latency.buckets, requests), coarse.window, "le")
        return counts.shares(await self._ask(query, coarse))

    async def slowness(self, measures: Slis, service: str, route: str, le: str, span: Span) -> Counts:
        """Counts in which requests beyond a bucket are the bad ones."""
        requests = slis.requests_of(measures, service, route)
        fast, everything = await self._both(
            span,
            slis.over(slis.filled(measures.latency.fast, requests, le), span.window),
            slis.over(slis.filled(measures.latency.all, requests), span.window),
        )
        return counts.slow(fast, everything, span.step)

    async def _both(self, span: Span, one: str, other: str) -> tuple[Sequence[Series], Sequence[Series]]:
        first, second = await asyncio.gather(self._ask(one, span), self._ask(other, span))
        return first, second

    async def _ask(self, query: str, span: Span) -> tuple[Series, ...]:
        key = (query, span.end, span.step)
        if key not in self._kept:
            self._kept[key] = await self.prometheus.query_range(query, span.start, span.end, span.step)
            while len(self._kept) > MOST_KEPT:
                self._kept.popitem(last=False)
        return self._kept[key]


def spans(now: float) -> tuple[Span, Span]:
    """30 days by the hour, and for a young history the last day by five minutes."""
    hour, fine = now // STEP * STEP, now // SHORT_STEP * SHORT_STEP
    return (
        Span(hour - DAYS * DAY + STEP, hour, STEP),
        Span(fine - DAY + SHORT_STEP, fine, SHORT_STEP),
    )


def _of(series: Sequence[Series], measures: Slis, route: str) -> list[Series]:
    return [each for each in series if each.labels.get(measures.route) == route]
