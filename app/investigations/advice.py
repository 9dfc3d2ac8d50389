"""What to look at next and what a human may weigh, by the kind of cause: plain sentences with real names."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from app.investigations.brief import MOST_STEPS
from app.investigations.by_labels import narrow
from app.investigations.evidence import Cause, CauseKind
from app.investigations.gathered import Gathered
from app.investigations.not_configured import NOT_CONFIGURED
from app.investigations.times import clock_of
from app.signals.models import Change

NO_SYSTEMS = frozenset({"catalog", "knowledge", NOT_CONFIGURED})
"""Gaps that are not about a system that was asked, so that nobody can look at it by hand."""

Advice = Callable[[Cause, str, str], tuple[str, ...]]
"""Of a cause, the name of its service and the time of the onset (“02:11 UTC”)."""


def next_steps(gathered: Gathered, service: str | None) -> tuple[str, ...]:
    """At most four, the most useful first: the runbook, the likely cause, who owns it, what was not seen.
    Where the alert names no service none is assumed: a cause's own counts once it stands out."""
    said = dict.fromkeys(_steps(gathered, service))
    return tuple(said)[:MOST_STEPS]


def options(gathered: Gathered, service: str | None) -> tuple[str, ...]:
    """Remedies that fit the first cause, safest first; none while no cause stands out."""
    if gathered.ranking.verdict == "unknown" or not gathered.ranking.causes:
        return ()
    cause = gathered.ranking.causes[0]
    where = cause.service or service
    if where is None:
        return ()
    if cause.kind == "change":
        return _take_back(change_of(cause, gathered), where)
    return tuple(f"If the cause is confirmed: {each.format(service=where)}" for each in REMEDIES[cause.kind])


def change_of(cause: Cause, gathered: Gathered) -> Change | None:
    return next((each for each in gathered.changes if each.id == cause.change_id), None)


def _steps(gathered: Gathered, service: str | None) -> Iterator[str]:
    ranking = gathered.ranking
    is_open = ranking.verdict == "unknown"
    since = clock_of(onset_of(gathered))
    if gathered.runbooks:
        yield f"Review the runbook “{_without_joints(gathered.runbooks[0].title)}”."
    if service is None:
        yield _step_to(gathered, since)
    for cause in ranking.causes[: (2 if service else 0) if is_open else 1]:
        where = cause.service or service
        if change := change_of(cause, gathered):
            name = _name_of(change)
            yield f"Review the {change.kind} {name} of {clock_of(change.at)} against the symptom."
        yield from (each.format(service=where, since=since) for each in STEPS[cause.kind] if where)
        if service and where != service and not is_open:
            yield f"Page whoever is on call for {where}, and say that {service} suffers from it."
    if down := next((each.source for each in gathered.gaps if each.source not in NO_SYSTEMS), None):
        yield f"Check {down} by hand: it could not be looked at."
    if not ranking.causes and service:
        yield f"Check errors, latency and traffic of {service} since {since} on its dashboard."
        yield f"Compare what {service} depends on before and after {since}."


def _step_to(gathered: Gathered, since: str) -> str:
    """Where to look when no service is named: where the alert's labels lead."""
    told = [f"{name} {_without_joints(value)}" for name, value in narrow(gathered.alert.labels).items()]
    if not told:
        return "Check which service the alert is about: it names none."
    return f"Inspect what runs on {', '.join(told[:3])}, its load and its limits since {since}."


def _name_of(change: Change) -> str:
    """“checkout 1.15.0 (0a7c3fba)” where the title begins with a version, else the short id."""
    head = _without_joints(change.title.partition(":")[0])
    return head if change.kind == "deploy" and any(each.isdigit() for each in head) else change.short_id


def onset_of(gathered: Gathered) -> float:
    """Seconds since the epoch: the estimate, else the alert's own time."""
    onset = gathered.ranking.onset
    return gathered.alert.started_at.timestamp() if onset is None else onset


def _without_joints(title: str) -> str:
    """A title as one piece: “Pool: raise it” must not read as an order within a step."""
    return " ".join(re.sub(r"[:;,.!?>\u2013\u2014-]+(?=\s|$)", " ", title).split())


def _take_back(change: Change | None, service: str) -> tuple[str, ...]:
    if change is None:
        remedy = f"roll {service} back to what ran before."
    elif change.kind == "flag":
        remedy = f"switch the flag {change.short_id} back."
    elif change.kind == "config":
        remedy = f"revert the configuration change {change.short_id}."
    else:
        remedy = f"roll {service} back to what ran before {change.short_id}."
    return (f"If the cause is confirmed: {remedy}",)


STEPS: Mapping[CauseKind, tuple[str, ...]] = {
    "change": ("Compare errors and latency of {service} by version before and after {since}.",),
    "dependency": ("Inspect errors, latency and limits of {service} since {since}.",),
    "saturation": (
        "Check the limits of {service} (pool, threads, memory, connections) against their use since {since}.",
        "Compare what holds connections, threads and memory of {service} with the hour before {since}.",
    ),
    "traffic": (
        "Compare the traffic to {service} since {since} with the same hour of last week.",
        "Look which callers or routes of {service} grew.",
    ),
    "certificate": ("Verify which certificate {service} serves, and until when it is valid.",),
    "platform": ("Inspect pods, nodes and cluster events of {service} since {since}.",),
    "service": ("Inspect the errors of {service} that are new since {since}.",),
}

REMEDIES: Mapping[CauseKind, tuple[str, ...]] = {
    "change": (),
    "dependency": ("turn off what needs {service} where a switch for it exists, until it is well.",),
    "saturation": (
        "restart {service} one instance after the other: frees what is held, and returns if the cause stays.",
        "scale {service} out, if what it calls can take more.",
        "raise the limit of {service} that is reached, after checking what stands behind it.",
    ),
    "traffic": (
        "scale {service} out, if what it calls can take more.",
        "limit the rate of the callers that grew (configuration).",
    ),
    "certificate": ("renew the certificate of {service} and have every endpoint load it.",),
    "platform": (
        "restart the affected instances of {service} elsewhere.",
        "scale {service} out to healthy nodes.",
    ),
    "service": ("restart one instance of {service} and compare it with the others.",),
}
"""In the order rollback, restart, scale, configuration; for a human to weigh."""
