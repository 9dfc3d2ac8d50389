"""Calling people about an investigation: which incident it is about, in words, and what is kept of it.

Pure functions. In a storm people are called once for all that burns in its thread: about the gravest, and the
call names the other P1s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from app.escalation.escalation import REASONS
from app.escalation.models import PAGERDUTY, Escalated, Why
from app.escalation.models import Incident as CalledAbout
from app.investigations.brief import Brief
from app.investigations.cleaning import of_service, one_line
from app.investigations.models import Incident, Investigation

TOLD = "told"
"""Beside the intents in `escalations`: what the thread is told of them, by round and reason."""
LATER = "later"
"""Beside them too: calls about P1s that joined a storm later, by their times, each with its reason and, once
it is over, what the thread is told of it."""
MOST_NAMED = 3
LONGEST_NAMED = 80


def called_about(investigation: Investigation, link: str | None, brief: Brief | None = None) -> CalledAbout:
    """`link` opens the investigation's thread; `brief` is what is known, for whoever is called; that of the
    evidence without one."""
    shown = (*investigation.incidents, *investigation.members)
    return about(
        burning(shown) or [(investigation.paged,)],
        link,
        found=found(investigation, brief),
        in_storm=bool(investigation.storm_size),
    )


def called_about_its_own(investigation: Investigation, link: str | None) -> CalledAbout:
    """Its own incident, whatever burns besides: the one that a person in its thread acknowledges."""
    return about([(investigation.paged,)], link, found=found(investigation), in_storm=False)


def burning(incidents: Iterable[Incident]) -> list[tuple[Incident, ...]]:
    """What burns, the gravest first: incidents that several sources tell of are one thing, and together.

    Of each thing PagerDuty's own incident is first, for whoever has it is paged already, then the gravest; of
    equally grave things that PagerDuty knows of, then the oldest.
    """
    open_ = sorted((each for each in incidents if each.status != "resolved"), key=_thing)
    things = [tuple(sorted(each, key=_first_called)) for _, each in groupby(open_, key=_thing)]
    return sorted(things, key=lambda thing: (_severity(thing), _first_called(thing[0])))


def about(
    things: Sequence[tuple[Incident, ...]], link: str | None, *, found: str, in_storm: bool
) -> CalledAbout:
    """A call about the first of the `things`, which names the other P1s."""
    gravest = things[0][0]
    besides = [thing[0] for thing in things[1:] if _severity(thing) == "P1"]
    return CalledAbout(
        source=gravest.source,
        incident_key=gravest.incident_key,
        title=gravest.title,
        severity=_severity(things[0]),
        service=gravest.service_name,
        link=link,
        found="\n".join(filter(None, (_besides(besides), found))),
        named=named(gravest) if in_storm else "",
    )


def found(investigation: Investigation, brief: Brief | None = None) -> str:
    """What is known of it, for whoever is called."""
    kept = investigation.brief or investigation.evidence_brief
    known = brief or (Brief.model_validate(kept) if kept else None)
    if known is None:
        return ""
    sure = f"{known.confidence_level} confidence, {known.confidence:.0%}"
    return f"{known.headline}\nLikely cause ({sure}): {known.likely_cause.text}"


def named(incident: Incident) -> str:
    full = of_service(one_line(incident.title), incident.service_name)
    return full if len(full) <= LONGEST_NAMED else f"{full[: LONGEST_NAMED - 1]}…"


def said(called: Escalated, why: Why, explanation: str = "") -> str:
    """What came of calling people, for the thread."""
    whom = f" (about {called.about})" if called.about else ""
    return " ".join(filter(None, (f"📟 I {called.said}{whom}.", REASONS[why], explanation)))


def told(investigation: Investigation) -> tuple[str, ...]:
    """What its thread is told of calling people, oldest first."""
    calls = investigation.escalations
    later = (each.get("said") for _, each in sorted(calls.get(LATER, {}).items()))
    return (*calls.get(TOLD, {}).values(), *filter(None, later))


def called_before(investigation: Investigation) -> Why | None:
    """Why an attempt before this one has called people, or was about to, which came no further: nobody is
    called about another reason then, and the thread is told of that one."""
    calls = investigation.escalations
    known = {key.partition("/")[2] for key in calls.get(TOLD, {})} | {"asked"}
    return next((why for why in REASONS if why not in known and f"{investigation.id}/{why}" in calls), None)


def standing(investigation: Investigation) -> Why | None:
    """Why its diagnosis calls people, once it is over: what joins then is not understood either."""
    if investigation.finished_at is None:
        return None
    ending: Mapping[str, Any] = (investigation.brief or {}).get("ending") or {}
    why: Why | None = ending.get("why")
    if why is None and investigation.status == "failed":
        why = "failure"
    if why is None and f"{investigation.round}/unseen" in investigation.escalations.get(TOLD, {}):
        why = "unseen"
    return why


def _besides(p1s: Sequence[Incident]) -> str:
    if not p1s:
        return ""
    more = f"; and {len(p1s) - MOST_NAMED} more" if len(p1s) > MOST_NAMED else ""
    return f"P1 as well, in the same thread: {'; '.join(map(named, p1s[:MOST_NAMED]))}{more}."


def _thing(incident: Incident) -> str:
    return str(incident.investigation_id or incident.id)


def _severity(thing: Sequence[Incident]) -> str:
    return min(each.severity for each in thing)


def _first_called(incident: Incident) -> tuple[bool, str, int]:
    return incident.source != PAGERDUTY, incident.severity, incident.id
