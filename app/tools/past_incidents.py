"""The tool that tells whether this has happened before: our own history and PagerDuty's, and the pattern."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar, runtime_checkable

from pydantic import BaseModel, Field

from app.context.models import Source
from app.errors import AgentError
from app.sources.pagerduty import PagerDutyReader, PastIncident
from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope
from app.tools.recurrence import pattern
from app.tools.shaping import fitted, plural, shortened

T = TypeVar("T")
Case = tuple[datetime, str, str | None, str | None]
"""When, title, cause, link."""

SAME_WITHIN = timedelta(minutes=10)
"""Two records of one service this near are one incident, told by two systems."""
DESCRIPTION = (
    "Whether something like this has happened before: earlier incidents of a service with what their cause "
    "was, as people told it, and how they recur (how often, weekday, hour, interval). Also, for an open "
    "PagerDuty incident, what else is open now."
)


class PastIncidents(BaseModel):
    service: str | None = Field(None, max_length=100, description="Default: the service talked about")
    title: str = Field("", max_length=500, description="The alert's title, to find those like it")
    incident_id: str | None = Field(None, max_length=40, description="PagerDuty's id, when it is known")
    days: int = Field(90, ge=1, le=365, description="How far back")


@dataclass(frozen=True)
class PastCase:
    """An earlier incident; `cause` as people told it, else as it was diagnosed, None when nobody knows."""

    when: datetime
    title: str
    cause: str | None = None
    link: str | None = None
    told_by: str = "our own history"


@runtime_checkable
class History(Protocol):
    """Our own investigations."""

    async def past(
        self, service: str | None, title: str
    ) -> Sequence[tuple[datetime, str, str | None, str | None]]:
        """(when, title, cause, link) of earlier incidents of a service like this one."""
        ...


def tool(parts: object) -> Tool[PastIncidents] | None:
    history, pagerduty = getattr(parts, "history", None), getattr(parts, "pagerduty", None)
    own = history if isinstance(history, History) else None
    theirs = pagerduty if isinstance(pagerduty, PagerDutyReader) else None
    if own is None and theirs is None:
        return None

    async def run(asked: PastIncidents, scope: ToolScope) -> ToolResult:
        service = asked.service or scope.service
        if service is None and asked.incident_id is None:
            raise ToolFailed("Name a service: this conversation is not about one yet.")
        looked = await look(own, theirs, asked, service, scope.clock())
        return _result(looked, service or asked.incident_id or "", scope)

    return Tool("past_incidents", DESCRIPTION, PastIncidents, run, deadline_seconds=15)


@dataclass(frozen=True)
class Looked:
    """Earlier cases newest first, what else is open, and a sentence for each history that did not answer."""

    cases: tuple[PastCase, ...]
    related: tuple[PastIncident, ...] = ()
    gaps: tuple[str, ...] = ()


async def look(
    own: History | None,
    theirs: PagerDutyReader | None,
    asked: PastIncidents,
    service: str | None,
    now: datetime,
) -> Looked:
    """Ask both histories at once.

    Raises:
        ToolFailed: none answered.
    """
    (ours, no_ours), (known, no_known), (related, _) = await asyncio.gather(
        _or_gap(_own(own, service, asked.title) if own else None),
        _or_gap(_theirs(theirs, asked, service, now) if theirs else None),
        _or_gap(theirs.related(asked.incident_id) if theirs and asked.incident_id else None),
    )
    gaps = tuple(each for each in (no_ours, no_known) if each)
    if len(gaps) == sum(each is not None for each in (own, theirs)):
        raise ToolFailed(" ".join(gaps))
    since = now - timedelta(days=asked.days)
    return Looked(_once([each for each in (*ours, *known) if since <= each.when < now]), related, gaps)


async def _or_gap(asking: Awaitable[tuple[T, ...]] | None) -> tuple[tuple[T, ...], str | None]:
    """What a history answers, and why it did not."""
    try:
        return (await asking if asking is not None else ()), None
    except AgentError as error:
        return (), error.sentence


async def _own(own: History, service: str | None, title: str) -> tuple[PastCase, ...]:
    return tuple(PastCase(*row) for row in await own.past(service, title))


async def _theirs(
    theirs: PagerDutyReader, asked: PastIncidents, service: str | None, now: datetime
) -> tuple[PastCase, ...]:
    """Those that PagerDuty finds like this one; without its id, those of the service."""
    if asked.incident_id:
        incidents = await theirs.past(asked.incident_id)
    else:
        start = (now - timedelta(days=asked.days)).timestamp()
        listed = await theirs.of_service(service or "", start, now.timestamp())
        incidents = tuple(each for each in listed if each.status == "resolved")[-20:]
    causes = await theirs.resolutions(incidents[-10:])
    padded = [*[None] * (len(incidents) - len(causes)), *causes]
    return tuple(
        PastCase(datetime.fromtimestamp(each.at, UTC), each.title, cause, each.link, "PagerDuty")
        for each, cause in zip(incidents, padded, strict=True)
    )


def _once(cases: Sequence[PastCase]) -> tuple[PastCase, ...]:
    """Newest first; of two records of one incident our own stays, with PagerDuty's words when it has none."""
    kept: list[PastCase] = []
    for case in sorted(cases, key=lambda each: (each.told_by == "PagerDuty", each.when)):
        same = next((each for each in kept if abs(each.when - case.when) <= SAME_WITHIN), None)
        if same is None:
            kept.append(case)
        elif same.cause is None and case.cause:
            kept[kept.index(same)] = PastCase(same.when, same.title, case.cause, same.link, same.told_by)
    return tuple(sorted(kept, key=lambda each: each.when, reverse=True))


def _result(looked: Looked, about: str, scope: ToolScope) -> ToolResult:
    cases = looked.cases
    head = f"{plural(len(cases), 'earlier incident')} of {about}."
    head += f" {pattern([each.when for each in cases], scope.clock())}"
    at_once = [f"Open at the same time: {_told(each)}" for each in looked.related]
    head = "\n".join([*looked.gaps, head, *at_once])
    text, _ = fitted(head, [_line(each) for each in cases], scope.limit_bytes, "older ones")
    sources = tuple(
        Source(kind="past_incident", title=shortened(each.title, 100), path=each.link, url=each.link)
        for each in cases[:10]
        if each.link
    )
    return ToolResult(text, sources, f"Looked at the past of {about}: {plural(len(cases), 'incident')}")


def _told(incident: PastIncident) -> str:
    return f"{shortened(incident.title, 150)} ({incident.service or 'another service'})"


def _line(case: PastCase) -> str:
    cause = shortened(case.cause, 250) if case.cause else "nobody wrote down what it was"
    return f"- {case.when:%Y-%m-%d %H:%M} {shortened(case.title, 150)}: {cause} [{case.told_by}]"
