"""The scene: everything about an incident that several questions ask for, worked out once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from app.investigations.evidence import Observations
from app.investigations.ranking.anomalies import Anomaly, anomalies, by_service
from app.investigations.ranking.measures import ADVERSE, failing_share, measure_of
from app.investigations.ranking.ordering import in_order, names, series_key
from app.investigations.ranking.walk import Ground, Walk, walk
from app.signals.changes import shift
from app.signals.models import ClusterEvent, Series, Span
from app.signals.onset import LOOK_BACK, errors_by_minute, onset, step_of
from app.signals.spans import calls, deepest_failing
from app.signals.templates import Template, templates

MOST_SEARCHED = 5
USUAL_DELAY = 5 * 60.0
"""How late an alert is when nothing else tells when the incident began."""
AROUND = 15 * 60.0
TROUBLED = ("warn", "error", "fatal")


@dataclass(frozen=True)
class Scene:
    """The observations, put in order and without times that are none."""

    seen: Observations

    @classmethod
    def of(cls, observations: Observations) -> Scene:
        return cls(in_order(observations))

    @cached_property
    def symptom(self) -> Series | None:
        """The series that pages, worse upwards."""
        series = self.seen.symptom
        if series is None:
            return None
        return failing_share(series) if measure_of(series) == "availability" else series

    @cached_property
    def onset(self) -> float | None:
        """By the symptom; else by the service's other series, by its log, by its traces."""
        alerted_at = self.seen.alerted_at
        if self.symptom is not None:
            upward = measure_of(self.symptom) in ADVERSE
            if (found := onset(self.symptom, alerted_at, upward=upward)) is not None:
                return found
        for service in dict.fromkeys((self.seen.service, None)):
            if (found := self._onset_by_others(service)) is not None:
                return found
        starts = [span.start for span in self.seen.spans if span.failed]
        return min((at for at in starts if abs(at - alerted_at) <= 2 * AROUND), default=None)

    @property
    def since(self) -> float:
        """The onset; where there is none to be seen, the time an alert usually needs before its own."""
        return self.seen.alerted_at - USUAL_DELAY if self.onset is None else self.onset

    def _onset_by_others(self, service: str | None) -> float | None:
        series = [
            failing_share(each) if measure_of(each) == "availability" else each
            for each in self.seen.series
            if measure_of(each) in ADVERSE and service in (None, each.service)
        ]
        # The search is quadratic in points, so it is made for the few that moved most.
        moved = [(shift(each, since=self.seen.alerted_at - LOOK_BACK), each) for each in series]
        largest = sorted(
            ((found.size, each) for found, each in moved if found is not None),
            key=lambda pair: (-pair[0], series_key(pair[1])),
        )[:MOST_SEARCHED]
        starts = [onset(each, self.seen.alerted_at, upward=True) for _, each in largest]
        found = sorted(at for at in starts if at is not None)
        if found:
            return found[len(found) // 2]
        return onset(errors_by_minute(self.seen.logs, service), self.seen.alerted_at, upward=True)

    @cached_property
    def anomalies(self) -> tuple[Anomaly, ...]:
        return anomalies(self.seen.series, self.since)

    @cached_property
    def by_service(self) -> Mapping[str, tuple[Anomaly, ...]]:
        return by_service(self.anomalies)

    @cached_property
    def began(self) -> float:
        """When the first thing connected to the symptom went wrong: the onset, or a leading anomaly of a
        service the symptom's service calls, is called by, or is."""
        kin = self.kin
        leading = [each.at for each in self.anomalies if each.service in kin and each.adverse]
        return min([self.since, *leading])

    @cached_property
    def kin(self) -> frozenset[str]:
        """The symptom's service, everything it calls, and its direct callers."""
        if self.seen.service is None:
            return self.services
        found, waiting = {self.seen.service}, [self.seen.service]
        while waiting:
            for callee in self.depends_on.get(waiting.pop(), ()):
                if callee not in found:
                    found.add(callee)
                    waiting.append(callee)
        return frozenset(found | set(self.callers(self.seen.service)))

    @cached_property
    def depends_on(self) -> Mapping[str, tuple[str, ...]]:
        """What the catalog says together with what the traces show."""
        shown = calls(self.seen.spans)
        return {
            service: tuple(sorted({*self.seen.depends_on.get(service, ()), *shown.get(service, ())}))
            for service in sorted({*self.seen.depends_on, *shown})
        }

    def callers(self, service: str | None) -> tuple[str, ...]:
        return tuple(sorted(caller for caller, callees in self.depends_on.items() if service in callees))

    @cached_property
    def services(self) -> frozenset[str]:
        """All names known to be services of ours."""
        seen = self.seen
        return names(
            [seen.service],
            (each.service for each in seen.series),
            (each.service for each in seen.logs),
            (each.service for each in seen.spans),
            (each.service for each in seen.changes),
            self.depends_on,
            (callee for callees in self.depends_on.values() for callee in callees),
        )

    @cached_property
    def heard(self) -> frozenset[str]:
        """Services of which anything was seen, so that silence means health."""
        seen = self.seen
        return names(
            (each.service for each in seen.series),
            (each.service for each in seen.logs),
            (each.service for each in seen.spans),
        )

    @cached_property
    def troubled(self) -> frozenset[str]:
        """Services that show something wrong: an anomaly for the worse, new errors, failing spans."""
        return frozenset(
            {
                each.service
                for each in self.anomalies
                if each.service and (each.adverse or each.measure == "other")
            }
            | {each.service for each in self.templates if each.service and each.level in TROUBLED}
            | {span.service for span in self.seen.spans if span.failed}
        )

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """Log templates that are new or rising since the onset."""
        return tuple(each for each in templates(self.seen.logs, self.began) if each.is_new or each.rising)

    def well_callees(self, service: str | None) -> tuple[str, ...]:
        """The services that one calls and that were looked at, when all of them are well; else none."""
        seen = tuple(each for each in self.depends_on.get(service or "", ()) if each in self.heard)
        return () if any(each in self.troubled for each in seen) else seen

    @cached_property
    def failing(self) -> tuple[Span, ...]:
        """Where failing requests began to fail."""
        return deepest_failing(self.seen.spans)

    @cached_property
    def events(self) -> tuple[ClusterEvent, ...]:
        """Warnings of the cluster around the onset."""
        return tuple(
            event for event in self.seen.events if event.warning and abs(event.at - self.since) <= AROUND
        )

    @cached_property
    def walk(self) -> Walk:
        ground = Ground(self.by_service, self.seen.series, self.depends_on, self.since)
        return walk(self.seen.service, ground, self._symptom_anomaly)

    @cached_property
    def step(self) -> float:
        """The coarsest sampling among the series of the service: times are known no better."""
        own = [each for each in self.seen.series if self.seen.service in (None, each.service)]
        return max((step_of(each.points) for each in own), default=60.0) or 60.0

    @cached_property
    def _symptom_anomaly(self) -> Anomaly | None:
        if self.seen.symptom is None:
            return None
        found = anomalies((self.seen.symptom,), self.since)
        return found[0] if found else None
