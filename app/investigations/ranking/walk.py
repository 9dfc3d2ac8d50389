"""From the service that pages towards the service that is to blame, along the calls between them.

A caller suffers what its callee does to it, so one follows the anomaly to its deepest point. Where requests
are counted one can do better than follow the largest deviation: what a callee adds (its change times its
requests) has to account for what the symptom lost. A side call that slowed down a hundredfold but is seldom
made explains nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.investigations.ranking.anomalies import Anomaly
from app.investigations.ranking.measures import measure_of
from app.signals.changes import median
from app.signals.models import Series

LEAST_SHARE = 0.5
"""Of its caller's excess, which a callee has to explain to be followed."""
SPAN = 15 * 60.0


@dataclass(frozen=True)
class Walk:
    """`path` leads from the symptom to the suspect, `ranked` are all services, the most suspicious first."""

    path: tuple[str, ...]
    ranked: tuple[str, ...]
    shares: Mapping[str, float]

    @property
    def suspect(self) -> str | None:
        return self.path[-1] if self.path else None


class Ground:
    """What the walk goes over: who calls whom, what is anomalous where, how much each is asked."""

    def __init__(
        self,
        found: Mapping[str, Sequence[Anomaly]],
        every: Sequence[Series],
        depends_on: Mapping[str, Sequence[str]],
        onset: float,
    ) -> None:
        self.depends_on = depends_on
        self.measured = frozenset(series.service for series in every if series.service)
        self.charts = frozenset((series.service, series.name) for series in every)
        self.worse = {
            service: tuple(each for each in group if each.adverse) for service, group in found.items()
        }
        self.requests = _requests(every, onset)

    def anomaly(self, service: str, like: Anomaly | None) -> Anomaly | None:
        """The service's anomaly of the same kind as `like`; of any kind when that is not measured there.

        Where the very same is measured and did not move, the service is well in the matter at hand.
        """
        worse = self.worse.get(service, ())
        same_name = [each for each in worse if like and each.series.name == like.series.name]
        if like and not same_name and (service, like.series.name) in self.charts:
            return None
        same_kind = [each for each in worse if like and each.measure == like.measure]
        return next(iter(same_name or same_kind or worse), None)

    def excess(self, service: str, anomaly: Anomaly) -> float | None:
        """What the anomaly costs all requests of the service together; None when nobody counts them."""
        asked = self.requests.get(service)
        return None if asked is None else (anomaly.after - anomaly.before) * asked

    def callees(self, service: str) -> tuple[str, ...]:
        """Direct callees, and those behind callees nobody measures."""
        found: list[str] = []
        seen = {service}
        waiting = sorted(self.depends_on.get(service, ()))
        while waiting:
            callee = waiting.pop(0)
            if callee in seen:
                continue
            seen.add(callee)
            if callee in self.measured:
                found.append(callee)
            else:
                waiting += sorted(self.depends_on.get(callee, ()))
        return tuple(found)

    def share(self, service: str, caller: str, like: Anomaly | None) -> float:
        """How much of the caller's excess this callee explains, 0–1; by the sizes where it is not counted."""
        here, there = self.anomaly(service, like), self.anomaly(caller, like)
        if here is None:
            return 0.0
        if there is None:
            return 1.0
        mine, whole = self.excess(service, here), self.excess(caller, there)
        if mine is not None and whole and here.series.name == there.series.name:
            return max(0.0, min(mine / whole, 1.0))
        return min(here.size / there.size, 1.0) if there.size else 0.0


def walk(start: str | None, ground: Ground, symptom: Anomaly | None) -> Walk:
    """Follow the anomaly from `start`; without one, from the anomalous service that others call least."""
    origin = start if start is not None else _outermost(ground)
    if origin is None:
        return Walk((), (), {})
    like = symptom or ground.anomaly(origin, None)
    path = [origin]
    while (following := _next(path, ground, like)) is not None:
        path.append(following)
    shares = _shares(origin, ground, like)
    return Walk(tuple(path), _ranked(path, shares, ground, like), shares)


def _next(path: Sequence[str], ground: Ground, like: Anomaly | None) -> str | None:
    here = path[-1]
    weighed = [
        (ground.share(callee, here, like), _kindred(ground, callee, like), callee)
        for callee in ground.callees(here)
        if callee not in path
    ]
    fit = [each for each in weighed if each[0] >= LEAST_SHARE]
    # The name comes last so that equals are taken in a fixed order, whatever the order of the input.
    return (
        min(fit, key=lambda each: (-each[1], -each[0], -_size(ground, each[2], like), each[2]))[2]
        if fit
        else None
    )


def _kindred(ground: Ground, service: str, like: Anomaly | None) -> bool:
    anomaly = ground.anomaly(service, like)
    return anomaly is not None and like is not None and anomaly.measure == like.measure


def _size(ground: Ground, service: str, like: Anomaly | None) -> float:
    anomaly = ground.anomaly(service, like)
    return anomaly.size if anomaly else 0.0


def _shares(origin: str, ground: Ground, like: Anomaly | None) -> Mapping[str, float]:
    """Of the symptom's excess, what each service that the origin reaches explains."""
    reached, waiting = [origin], [origin]
    while waiting:
        for callee in ground.callees(waiting.pop(0)):
            if callee not in reached:
                reached.append(callee)
                waiting.append(callee)
    return {service: 1.0 if service == origin else ground.share(service, origin, like) for service in reached}


def _ranked(
    path: Sequence[str], shares: Mapping[str, float], ground: Ground, like: Anomaly | None
) -> tuple[str, ...]:
    """The end of the path, then what else the origin reaches by its share, then the rest by size."""
    rest = sorted(
        (service for service in {*shares, *ground.worse} if service not in path[-1:]),
        key=lambda service: (
            -(shares.get(service, 0.0) + (0.5 if service in path else 0.0)),
            -_size(ground, service, like),
            service,
        ),
    )
    return (*path[-1:], *rest)


def _outermost(ground: Ground) -> str | None:
    worse = {service for service, found in ground.worse.items() if found}
    called = {callee for caller in worse for callee in ground.callees(caller)}
    return min(
        worse - called or worse,
        key=lambda service: (-max(each.size for each in ground.worse[service]), service),
        default=None,
    )


def _requests(every: Sequence[Series], onset: float) -> Mapping[str, float]:
    """Requests of each service after the onset (in whatever unit all of them are counted)."""
    found: dict[str, float] = {}
    for series in sorted(every, key=lambda each: each.name):
        if series.service and measure_of(series) == "traffic" and series.service not in found:
            values = [value for at, value in series.points if onset <= at <= onset + SPAN]
            if values:
                found[series.service] = max(median(values), 0.0)
    return found
