"""From what was seen to evidence people can check: one sentence each, with the question that showed it.

Only what tells something becomes a finding: what the ranking rests on first, then what moved most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from app.investigations.amounts import amount
from app.investigations.chart import title_of
from app.investigations.evidence import Finding, Ranking
from app.investigations.gather import Asked, PastTime, Seen
from app.investigations.times import clock_of, lasting, utc
from app.signals.changes import Shift, shift
from app.signals.models import Change, Series, Span
from app.signals.spans import deepest_failing
from app.signals.templates import Template, templates

MOST = {"metric": 6, "change": 6, "log": 5, "trace": 3, "cluster": 4}
"""Findings of each kind that are kept beside the symptom."""
NEAR_SECONDS = 30 * 60
"""A level that changed within this time of the onset belongs to the incident."""
LONGEST = 300
MARKS = re.compile(r"\b(?:trace_?id|span_?id|level|ts|time|timestamp)=\S+\s*", re.IGNORECASE)
MESSAGE = re.compile(r"""\bmsg=(["'])(.+?)(?<!\\)\1""")
TELLING_LEVELS = ("warn", "error", "fatal")


@dataclass(frozen=True)
class Found:
    """A finding without its label yet, what the ranking calls it, and how much it tells (more is more)."""

    finding: Finding
    seen: tuple[str, ...]
    weight: float


def findings(seen: Seen, ranking: Ranking) -> tuple[tuple[Finding, ...], Mapping[str, str]]:
    """All findings, labelled E1, E2 … in the order in which people read them, and the label of each thing
    the ranking names (`Reason.seen`)."""
    cited = [
        reason.seen
        for cause in ranking.causes
        for reason in (*cause.reasons_for, *cause.reasons_against)
        if reason.seen
    ]
    kept: list[Found] = []
    for kind in (_symptom, _changes, _logs, _metrics, _traces, _cluster, _past, _runbooks, _on_call):
        kept += _most_telling(kind(seen, ranking), cited)
    labels: dict[str, str] = {}
    told: list[Finding] = []
    for number, each in enumerate(kept, 1):
        label = f"E{number}"
        told.append(replace(each.finding, label=label))
        labels |= {name: label for name in each.seen if name not in labels}
    return tuple(told), labels


def _most_telling(found: Iterable[Found], cited: Sequence[str]) -> list[Found]:
    """What the best causes rest on, then by weight; in the order in which they came."""
    every = list(found)
    if not every:
        return []
    place = {name: number for number, name in enumerate(reversed(cited), 1)}

    def rank(at: int) -> tuple[int, float]:
        return max((place.get(name, 0) for name in every[at].seen), default=0), every[at].weight

    most = MOST.get(every[0].finding.kind, 4)
    best = sorted(range(len(every)), key=rank, reverse=True)[:most]
    return [every[at] for at in sorted(best)]


# -- metrics -------------------------------------------------------------------------------------------------


def _symptom(seen: Seen, ranking: Ranking) -> Iterator[Found]:
    if series := seen.observations.symptom:
        yield _of_series(series, _shift(series, ranking), seen, "symptom")


def _metrics(seen: Seen, ranking: Ranking) -> Iterator[Found]:
    for series in seen.observations.series:
        moved = _shift(series, ranking)
        if series is not seen.observations.symptom and moved is not None:
            yield _of_series(series, moved, seen, "metric")


def _shift(series: Series, ranking: Ranking) -> Shift | None:
    since = ranking.onset - NEAR_SECONDS if ranking.onset else None
    return shift(series, since=since)


def _of_series(series: Series, moved: Shift | None, seen: Seen, kind: str) -> Found:
    name = title_of(series)
    if moved is None:
        last = series.points[-1][1] if series.points else float("nan")
        said = f"{name} is at {amount(last, series.unit)} and has kept its level"
    else:
        verb = "rose" if moved.direction == "up" else "fell"
        before, after = amount(moved.before, series.unit), amount(moved.after, series.unit)
        said = f"{name} {verb} from {before} to {after} at {clock_of(moved.at)}"
        now = amount(series.points[-1][1], series.unit)
        said += f", now {now}" if now != after else ""
    asked = seen.asked.get(f"series:{series.name.split(' ')[0]}")
    finding = Finding(
        label="",
        kind="symptom" if kind == "symptom" else "metric",
        source="prometheus",
        statement=said,
        service=series.service,
        at=moved.at if moved else None,
    )
    finding = _as_asked(finding, asked)
    return Found(finding, (f"series:{series.service or ''}/{series.name}",), moved.size if moved else 0.0)


def _as_asked(finding: Finding, asked: Asked | None) -> Finding:
    if asked is None:
        return finding
    return replace(
        finding, query=asked.query, window_start=asked.start, window_end=asked.end, link=asked.link
    )


# -- changes -------------------------------------------------------------------------------------------------


def _changes(seen: Seen, ranking: Ranking) -> Iterator[Found]:
    near = {seen.observations.service, *seen.observations.depends_on, *ranking.services[:3]}
    for change in sorted(seen.observations.changes, key=lambda each: -each.at):
        if change.service is not None and change.service not in near:
            continue
        yield Found(
            Finding(
                label="",
                kind="change",
                source=change.source,
                statement=_changed(change, ranking.onset),
                service=change.service,
                at=change.at,
                link=change.link,
            ),
            (f"change:{change.id}", *(f"change:{commit}" for commit in change.commits)),
            change.at,
        )


def _changed(change: Change, onset: float | None) -> str:
    by = f" by {change.author}" if change.author else ""
    said = f"{change.kind.capitalize()}: {change.title} at {clock_of(change.at)}{by}"
    if onset is None:
        return _short(said)
    apart = lasting(abs(onset - change.at))
    return _short(f"{said}, {apart} {'before' if change.at <= onset else 'after'} the onset")


# -- logs, traces, cluster -----------------------------------------------------------------------------------


def _logs(seen: Seen, ranking: Ranking) -> Iterator[Found]:
    asked = seen.asked.get("logs")
    found = templates(seen.observations.logs, ranking.onset)
    fresh = [each for each in found if each.is_new or each.rising]
    for each in fresh or found:
        if each.level and each.level not in TELLING_LEVELS:
            continue
        finding = Finding(
            label="",
            kind="log",
            source="loki",
            statement=_logged(each),
            service=each.service,
            at=each.first_at if each.is_new else None,
        )
        finding = _as_asked(finding, asked)
        weight = each.after * (4 if each.is_new else 2 if each.rising else 1)
        yield Found(finding, (f"log:{each.service or ''}/{each.text}",), weight)


def _logged(each: Template) -> str:
    of = f" of {each.service}" if each.service else ""
    since = (
        f"new since {clock_of(each.first_at)}" if each.is_new else "rising" if each.rising else "as before"
    )
    times = each.after or each.count
    return _short(f"Log line{of}, {times} times, {since}: “{_told(each.example)}”")


def _told(line: str) -> str:
    """What a line says, without what only machines read of it."""
    message = MESSAGE.search(line)
    return message[2] if message else MARKS.sub("", line).strip()


def _traces(seen: Seen, ranking: Ranking) -> Iterator[Found]:
    by_trace: dict[str, list[Span]] = {}
    for span in seen.observations.spans:
        by_trace.setdefault(span.trace_id, []).append(span)
    told: set[tuple[str, str, str | None]] = set()
    for trace_id, spans in by_trace.items():
        for span in deepest_failing(spans)[:1]:
            if (alike := (span.service, span.name, span.error)) in told:
                continue
            told.add(alike)
            why = f": {span.error}" if span.error else ""
            after = amount(span.duration_ms / 1000, "seconds")
            said = f"A trace fails in {span.service} ({span.name}) after {after}{why}"
            finding = Finding(
                label="",
                kind="trace",
                source="traces",
                statement=_short(said),
                service=span.service,
                at=span.start,
                query=f"trace {trace_id}",
                link=seen.trace_links.get(trace_id),
            )
            names = tuple(f"span:{trace_id}/{each.span_id}" for each in spans)
            yield Found(finding, names, span.start)


def _cluster(seen: Seen, ranking: Ranking) -> Iterator[Found]:
    for event in seen.observations.events:
        times = f", {event.count} times" if event.count > 1 else ""
        said = f"{event.kind} {event.name}: {event.reason}{times} at {clock_of(event.at)}: {event.message}"
        finding = Finding(
            label="",
            kind="cluster",
            source="kubernetes",
            statement=_short(said),
            service=event.service,
            at=event.at,
            query=f"{event.kind} {event.name}",
        )
        yield Found(finding, (f"event:{event.kind}/{event.name}",), event.at)


# -- what is known besides -----------------------------------------------------------------------------------


def _past(seen: Seen, ranking: Ranking) -> Iterator[Found]:
    for each in (seen.past or ())[:3]:
        yield Found(_of_past(each), (), each.at.timestamp())


def _of_past(each: PastTime) -> Finding:
    cause = f"; it was: {each.cause}" if each.cause else ""
    return Finding(
        label="",
        kind="past_incident",
        source="past incidents",
        statement=_short(f"{utc(each.at):%Y-%m-%d %H:%M} UTC: {each.title}{cause}"),
        at=each.at.timestamp(),
        link=each.link,
    )


def _runbooks(seen: Seen, ranking: Ranking) -> Iterator[Found]:
    for each in seen.runbooks:
        how = "named like the alert" if each.exact else "by its words"
        finding = Finding(
            label="",
            kind="runbook",
            source="runbooks",
            statement=f"Runbook {each.runbook.title} ({how})",
            link=each.runbook.url,
        )
        yield Found(finding, (), each.score)


def _on_call(seen: Seen, ranking: Ranking) -> Iterator[Found]:
    if seen.on_call:
        finding = Finding(label="", kind="on_call", source="pagerduty", statement=f"On call: {seen.on_call}")
        yield Found(finding, (), 0)


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
