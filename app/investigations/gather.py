"""Evidence first: every configured source is asked at once, each with its own deadline.

None can delay another: what has not answered in time is a gap, said so in the brief. What comes back is
frozen into `Observations`; everything after that is computed.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Protocol, TypeVar

import structlog

from app.computing import Beside
from app.context.catalog import Catalog
from app.context.models import Service
from app.context.runbooks import FoundRunbook, Runbooks
from app.errors import AgentError
from app.giving_way import give_way
from app.investigations.alert import Alert
from app.investigations.by_labels import narrow, questions_by_labels
from app.investigations.evidence import Gap, Observations
from app.investigations.models import Investigation
from app.investigations.not_configured import not_configured
from app.investigations.own_query import NAME, of_alert, own_query
from app.investigations.patience import in_time
from app.investigations.questions import (
    Questions,
    Signal,
    Signals,
    packaged_signals,
    questions,
    symptom_names,
)
from app.signals.changes import shift
from app.signals.models import Change, ClusterEvent, LogLine, Series, Span
from app.sources.changed import Changed
from app.sources.failures import QueryRejected
from app.tools.masking import mask

log = structlog.get_logger(__name__)

SOURCE_SECONDS = 3.0
"""A source that takes longer is a gap: the evidence brief is to come within five seconds of the page."""
METRICS_BEFORE = 90 * 60
STEP = 30
PROBE_BEFORE = 30 * 60
HEAD_START = 0.1
"""Seconds the probe is ahead of the long queries, so that it is the first in a source's queue."""
LOGS_BEFORE = 15 * 60
BASELINE_BEFORE = 45 * 60
MOST_LINES = 500
LONGEST_TEXT = 2_000
"""Characters of a line, a message or a title; masking a thousand such lines takes half a second."""
TRACES_BEFORE = 15 * 60
MOST_TRACES = 5
CHANGES_BEFORE = 24 * 3600
MOST_SERVICES = 12
LEVEL = re.compile(r"\b(debug|info|warn(?:ing)?|error|fatal|critical|panic)\b", re.IGNORECASE)

T = TypeVar("T")


class Metrics(Protocol):
    async def query_range(
        self, promql: str, start: float, end: float, step: float = 30
    ) -> tuple[Series, ...]: ...

    def link(self, promql: str, start: float, end: float) -> str: ...


class Logs(Protocol):
    async def query_range(
        self, logql: str, start: float, end: float, limit: int = 500
    ) -> tuple[LogLine, ...]: ...

    def link(self, logql: str, start: float, end: float) -> str: ...


class Traces(Protocol):
    async def search(
        self,
        *,
        start: float,
        end: float,
        service: str | None = None,
        traceql: str | None = None,
        error_only: bool = False,
        limit: int = 20,
    ) -> tuple[Span, ...]: ...

    def link(self, trace_id: str) -> str: ...


class Changes(Protocol):
    async def between(self, start: float, end: float, around: Sequence[str]) -> Changed:
        """What was changed anywhere, or of the services `around`; of these, what came with it too."""
        ...


class Cluster(Protocol):
    async def not_healthy(self, service: str) -> tuple[ClusterEvent, ...]: ...

    async def not_healthy_at(self, places: Mapping[str, str]) -> tuple[ClusterEvent, ...]:
        """Of the pods, deployments and nodes that labels of an alert name (`pod`, `namespace`, `node` …)."""
        ...


@dataclass(frozen=True)
class PastTime:
    """An earlier incident like this one; `cause` as people told it, else as it was diagnosed."""

    at: datetime
    title: str
    cause: str | None = None
    link: str | None = None


@dataclass(frozen=True)
class Before:
    """What is on record; `gaps` are the records that could not be looked at."""

    times: tuple[PastTime, ...] = ()
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True)
class Sources:
    """What is configured; None is not. `commits` and `replica_sets` stand in where nothing tells `changes`.
    `past` and `on_call` take an investigation and answer with what people read."""

    metrics: Metrics | None = None
    logs: Logs | None = None
    traces: Traces | None = None
    changes: Changes | None = None
    commits: Changes | None = None
    replica_sets: Changes | None = None
    cluster: Cluster | None = None
    past: Callable[[Investigation], Awaitable[Before]] | None = None
    on_call: Callable[[Investigation], Awaitable[str]] | None = None
    runbooks: Callable[[], Awaitable[Runbooks]] | None = None
    tickets: Callable[[Investigation], Awaitable[tuple[str, ...]]] | None = None
    clock_notices: Callable[[], tuple[Gap, ...]] = tuple


@dataclass(frozen=True)
class Asked:
    """A question as it was put, so that people can put it themselves."""

    source: str
    query: str
    start: float
    end: float
    link: str | None = None


@dataclass(frozen=True)
class Seen:
    """What the sources said, and how they were asked. `asked` is by observation: `series:<name>`, `logs`."""

    observations: Observations
    gaps: tuple[Gap, ...]
    asked: dict[str, Asked] = field(default_factory=dict)
    trace_links: dict[str, str] = field(default_factory=dict)
    service: Service | None = None
    past: tuple[PastTime, ...] | None = None
    runbooks: tuple[FoundRunbook, ...] = ()
    on_call: str = ""
    tickets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Gatherer:
    """`signals` are what to ask of metrics and logs, `seconds` is the deadline of each source."""

    sources: Sources
    catalog: Callable[[], Catalog]
    signals: Callable[[], Awaitable[Signals]]
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    seconds: float = SOURCE_SECONDS
    beside: Beside = field(default_factory=Beside)

    async def gather(self, investigation: Investigation) -> Seen:
        """Ask everything about an investigation's first incident. Never raises for what a source does."""
        gaps: list[Gap] = []
        try:
            signals = await self.signals()
        except AgentError as error:
            gaps.append(Gap("knowledge", f"{mask(error.sentence)} The usual questions were asked."))
            signals = packaged_signals()
        return await _Look(self, investigation, signals, gaps).seen()


@dataclass
class _Look:
    gatherer: Gatherer
    investigation: Investigation
    signals: Signals
    gaps: list[Gap] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)
    asked: dict[str, Asked] = field(default_factory=dict)
    trace_links: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        catalog = self.gatherer.catalog()
        self.name = self.investigation.service_name
        self.service = catalog.get(self.name)
        self.around = _around(self.name, catalog)
        self.depends_on = {each: catalog.depends_on(each) for each in self.around}
        self.now = self.gatherer.clock().timestamp()
        self.alerted_at = min(self.alert.started_at.timestamp(), self.now)
        self.questions: Questions = questions(self.signals, self.around)
        # What is in no catalog may be measured under another name; the alert's labels tell where it is.
        self.by_labels = (
            questions_by_labels(self.signals, self.alert.labels)
            if self.service is None
            else Questions((), None)
        )
        self.own_query = own_query(self.alert)
        self.own: tuple[Series, ...] = ()

    @property
    def alert(self) -> Alert:
        return self.investigation.alert

    async def seen(self) -> Seen:
        self._say_what_is_unknown()
        self.gaps += not_configured(self.gatherer.sources)
        (series, logs, spans, changes, events), (past, on_call, runbooks, tickets) = await asyncio.gather(
            asyncio.gather(self._series(), self._logs(), self._spans(), self._changes(), self._events()),
            asyncio.gather(self._past(), self._on_call(), self._runbooks(), self._tickets()),
        )
        observations = Observations(
            service=self.name,
            alerted_at=self.alerted_at,
            title=" ".join([self.alert.name or "", self.alert.title]).strip(),
            symptom=(shown := self._symptom(series)),
            series=series if shown is None or shown in series else (*self.own, *series),
            logs=logs,
            spans=spans,
            changes=changes,
            events=events,
            depends_on=self.depends_on,
            sources_asked=frozenset(self.answered),
        )
        return Seen(
            observations,
            tuple(dict.fromkeys((*self.gaps, *self.gatherer.sources.clock_notices()))),
            self.asked,
            self.trace_links,
            self.service,
            past,
            runbooks,
            on_call,
            tickets,
        )

    def _say_what_is_unknown(self) -> None:
        if self.name is None:
            self.gaps.append(Gap("catalog", f"the alert names no service; {self._looked_by()}"))
        elif self.service is None:
            missing = f"{mask(self.name)} is not in the catalog, so its dependencies are not known"
            by = listed(["name", *self._by()])
            self.gaps.append(Gap("catalog", f"{missing}; looked at by {by} alone"))

    def _looked_by(self) -> str:
        """What stands in for a service, in words."""
        if told := self._by():
            return f"looked at by {listed(told)} alone"
        return "it has no label to look by either, so metrics, logs, traces and the cluster were not asked"

    def _by(self) -> list[str]:
        return [*self.by_labels.by, *(["the query it fires on"] if self.own_query else [])]

    def _symptom(self, series: tuple[Series, ...]) -> Series | None:
        """What the alert fires on where no service is named, or where nothing else of the service moved."""
        usual = symptom(series, self.name, symptom_names(self.signals, self.alert))
        if not self.own or (self.name is not None and usual is not None and shift(usual)):
            return usual
        own = self.own[0]
        return own if self.name is None or usual is None or shift(own) else usual

    # -- one source each -----------------------------------------------------------------------------------

    async def _series(self) -> tuple[Series, ...]:
        metrics = self.gatherer.sources.metrics
        if metrics is None:
            return ()
        start, end = self.alerted_at - METRICS_BEFORE, self.now
        probe = asyncio.ensure_future(self._of_probe(metrics, end))
        await asyncio.wait({probe}, timeout=HEAD_START)
        own = asyncio.ensure_future(self._of_own_query(metrics, start, end))
        by_name, by_labels = await asyncio.gather(
            self._of_signals(metrics, self.questions, start, end),
            self._of_signals(metrics, self.by_labels, start, end),
        )
        # What its labels select stands in where nothing is known by its name.
        found = {
            **by_labels,
            **{name: each for name, each in by_name.items() if each[0] or name not in by_labels},
        }
        self.asked |= {f"series:{name}": asked for name, (_, asked) in found.items()}
        self.own, series = await own, tuple(series for several, _ in found.values() for series in several)
        return (*self._standing_in(await probe, series), *series)

    async def _of_signals(
        self, metrics: Metrics, asked: Questions, start: float, end: float
    ) -> dict[str, tuple[tuple[Series, ...], Asked]]:
        """What is measured, by signal, as far as it was answered."""
        label = asked.by[0] if asked.by else self.signals.label

        async def one(signal: Signal, query: str) -> tuple[tuple[Series, ...], Asked]:
            found = await metrics.query_range(query, start, end, STEP)
            series = tuple(named(each, signal, label, by_service=not asked.by) for each in found)
            if asked.by:
                series = tuple(replace(each, service=self.name) for each in series)
            return series, Asked("prometheus", query, start, end, metrics.link(query, start, end))

        answers = await asyncio.gather(
            *(self._of("prometheus", one(signal, query), None) for signal, query in asked.metrics)
        )
        return {
            signal.name: answer
            for (signal, _), answer in zip(asked.metrics, answers, strict=True)
            if answer is not None
        }

    async def _of_probe(self, metrics: Metrics, end: float) -> tuple[tuple[Series, Asked], ...]:
        """How the service itself does, over a short time: what even a slow source answers."""
        if self.questions.probe is None:
            return ()
        signal, query = self.questions.probe
        start = self.alerted_at - PROBE_BEFORE
        asked = Asked("prometheus", query, start, end, metrics.link(query, start, end))
        found = await self._of("prometheus", metrics.query_range(query, start, end, STEP), ())
        return tuple((named(each, signal, self.signals.label), asked) for each in found)

    def _standing_in(
        self, probed: tuple[tuple[Series, Asked], ...], series: tuple[Series, ...]
    ) -> Iterator[Series]:
        """What the probe saw and the long queries, which say more, did not."""
        known = {(each.service, each.name) for each in series}
        for each, asked in probed:
            if (each.service, each.name) not in known:
                self.asked.setdefault(f"series:{each.name.split(' ')[0]}", asked)
                yield each

    async def _of_own_query(self, metrics: Metrics, start: float, end: float) -> tuple[Series, ...]:
        query = self.own_query
        if query is None:
            return ()

        async def asked() -> tuple[Series, ...]:
            try:
                return await metrics.query_range(query, start, end, STEP)
            except QueryRejected as error:
                self.gaps.append(Gap("the alert's own query", mask(error.sentence)))
                return ()

        found = of_alert(await self._of("prometheus", asked(), ()), self.alert.labels)
        link = metrics.link(query, start, end)
        self.asked[f"series:{NAME}"] = Asked("prometheus", mask(query), start, end, link)
        return tuple(replace(each, name=safe(each.name)) for each in found)

    async def _logs(self) -> tuple[LogLine, ...]:
        """The newest lines, and as many from before them to know what is new."""
        logs = self.gatherer.sources.logs
        queries = [each.logs for each in (self.questions, self.by_labels) if each.logs is not None]
        if logs is None or not queries:
            return ()
        answers = await asyncio.gather(*(self._of_logs(logs, query) for query in queries))
        query, found = next(
            (each for each in zip(queries, answers, strict=True) if each[1]), (queries[0], ())
        )
        parted = self.alerted_at - LOGS_BEFORE
        self.asked["logs"] = Asked("loki", query, parted, self.now, logs.link(query, parted, self.now))
        if query == self.by_labels.logs:
            found = tuple(replace(each, service=each.service or self.name) for each in found)
        return await self.gatherer.beside(safe_lines, found)

    async def _of_logs(self, logs: Logs, query: str) -> tuple[LogLine, ...]:
        parted, start = self.alerted_at - LOGS_BEFORE, self.alerted_at - BASELINE_BEFORE
        before, after = await asyncio.gather(
            self._of("loki", logs.query_range(query, start, parted, MOST_LINES), ()),
            self._of("loki", logs.query_range(query, parted, self.now, MOST_LINES), ()),
        )
        return (*before, *after)

    async def _spans(self) -> tuple[Span, ...]:
        traces = self.gatherer.sources.traces
        # A named service has its traces under its name.
        asked = [each for each in [(self.name, None if self.name else self.by_labels.traces)] if any(each)]
        if traces is None or not asked:
            return ()
        answers = await asyncio.gather(
            *(
                self._of(
                    "traces",
                    traces.search(
                        start=self.alerted_at - TRACES_BEFORE,
                        end=self.now,
                        service=service,
                        traceql=traceql,
                        error_only=True,
                        limit=MOST_TRACES,
                    ),
                    (),
                )
                for service, traceql in asked
            )
        )
        spans: tuple[Span, ...] = next(filter(None, answers), ())
        self.trace_links |= {span.trace_id: traces.link(span.trace_id) for span in spans}
        return tuple(
            replace(each, name=safe(each.name), error=safe(each.error) if each.error else each.error)
            for each in spans
        )

    async def _changes(self) -> tuple[Change, ...]:
        sources, start = self.gatherer.sources, self.alerted_at - CHANGES_BEFORE
        stand_in = (("github", sources.commits), ("kubernetes", sources.replica_sets)) if self.around else ()
        asked = [(name, each) for name, each in (("argocd", sources.changes), *stand_in) if each is not None]
        answers = await asyncio.gather(
            *(self._of(name, each.between(start, self.now, self.around), None) for name, each in asked)
        )
        found = [each for each in answers if each is not None]
        self.answered |= {"deploys"} if found else set()
        self.gaps += [Gap(name, mask(why)) for each in found for name, why in each.missing]
        return tuple(safe_change(change) for each in found for change in each.changes)

    async def _events(self) -> tuple[ClusterEvent, ...]:
        cluster = self.gatherer.sources.cluster
        if cluster is None:
            return ()
        places = narrow(self.alert.labels) if self.service is None else {}
        asked: list[tuple[str | None, Awaitable[tuple[ClusterEvent, ...]]]] = [
            (each, cluster.not_healthy(each)) for each in self.around
        ]
        if places:
            asked.append((self.name, cluster.not_healthy_at(places)))
        answers = await asyncio.gather(*(self._of("kubernetes", answer, ()) for _, answer in asked))
        found = (
            replace(event, service=event.service or name, message=safe(event.message))
            for (name, _), events in zip(asked, answers, strict=True)
            for event in events
        )
        return tuple(dict.fromkeys(found))

    async def _past(self) -> tuple[PastTime, ...] | None:
        past = self.gatherer.sources.past
        found = None if past is None else await self._of("past incidents", past(self.investigation), None)
        if found is None:
            return None
        self.gaps += [Gap(each.source, mask(each.reason)) for each in found.gaps]
        if found.gaps and not found.times:
            # Nothing on the record that was read says nothing about the one that was not.
            return None
        return tuple(
            replace(each, title=safe(each.title), cause=safe(each.cause) if each.cause else each.cause)
            for each in found.times
        )

    async def _runbooks(self) -> tuple[FoundRunbook, ...]:
        index = self.gatherer.sources.runbooks
        if index is None:
            return ()
        text = " ".join([self.alert.title, *self.alert.annotations.values()])

        async def fitting() -> tuple[FoundRunbook, ...]:
            found = (await index()).find(self.alert.name, text, service=self.name)
            return tuple(each for each in found if each.exact or each.fit >= 0.5)

        return await self._of("runbooks", fitting(), ())

    async def _on_call(self) -> str:
        on_call = self.gatherer.sources.on_call
        return "" if on_call is None else await self._of("on call", on_call(self.investigation), "")

    async def _tickets(self) -> tuple[str, ...]:
        tickets = self.gatherer.sources.tickets
        found = () if tickets is None else await self._of("tickets", tickets(self.investigation), ())
        return tuple(map(safe, found))

    async def _of(self, source: str, answer: Awaitable[T], otherwise: T) -> T:
        """What a source answers, or a gap; an answer of its own, even an empty one, is remembered as one."""
        await give_way()
        try:
            found = await in_time(answer, self.gatherer.seconds)
        except TimeoutError:
            self.gaps.append(Gap(source, f"did not answer within {self.gatherer.seconds:g} s"))
        except AgentError as error:
            self.gaps.append(Gap(source, mask(error.sentence)))
        except Exception as error:
            log.warning("source_broke", source=source, exc_info=error)
            self.gaps.append(Gap(source, "gave an answer that could not be read"))
        else:
            self.answered.add(source)
            return found
        return otherwise


def _around(name: str | None, catalog: Catalog) -> tuple[str, ...]:
    """The service, those it needs (two calls deep), and those that need it; nearest first."""
    if name is None:
        return ()
    near = catalog.depends_on(name)
    further = (each for callee in near for each in catalog.depends_on(callee))
    return tuple(dict.fromkeys((name, *near, *catalog.dependents(name), *further)))[:MOST_SERVICES]


def listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def named(series: Series, signal: Signal, label: str, *, by_service: bool = True) -> Series:
    """A series under its signal's name; where a service has several, what tells them apart is in the name.
    `label` names the service, unless it is another label of an alert's."""
    apart = [
        value for key, value in sorted(series.labels.items()) if key not in (label, "__name__", "service")
    ]
    return replace(
        series,
        name=safe(" ".join([signal.name, *apart])),
        service=(series.labels.get(label) or series.service) if by_service else None,
        unit=signal.unit,
    )


def safe(text: str) -> str:
    """What others wrote, before it is stored, ranked or shown anywhere: without secrets, and bounded."""
    return mask(text[:LONGEST_TEXT])


def safe_lines(lines: tuple[LogLine, ...]) -> tuple[LogLine, ...]:
    return tuple(map(safe_line, lines))


def safe_line(line: LogLine) -> LogLine:
    return with_level(replace(line, text=safe(line.text)))


def safe_change(change: Change) -> Change:
    return replace(
        change,
        title=safe(change.title),
        author=safe(change.author) if change.author else change.author,
        files=tuple(map(safe, change.files)),
        diff=mask(change.diff) if change.diff else change.diff,
    )


def with_level(line: LogLine) -> LogLine:
    """A line whose source gives no level has the one it names first."""
    if line.level or not (found := LEVEL.search(line.text[:200])):
        return line
    level = found[1].lower()
    return replace(line, level={"warning": "warn", "critical": "fatal", "panic": "fatal"}.get(level, level))


def symptom(series: Sequence[Series], service: str | None, names: Sequence[str]) -> Series | None:
    """The series the alert is about: the first it complains of that moved, else the one of the service that
    moved most, else the first there is."""
    own = [each for each in series if each.service == service and each.points]
    told: list[Series] = [each for name in names for each in own if each.name.split(" ")[0] == name]
    moved: list[tuple[float, Series]] = [
        (found.size, each) for each in told if (found := shift(each)) is not None
    ]
    if moved:
        return moved[0][1]
    return next(iter(told), next(iter(own), None))
