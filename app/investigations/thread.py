"""The root of an investigation's thread, as things stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.investigations.checks import NOT_ESTABLISHED
from app.investigations.models import Incident, Investigation
from app.investigations.surface import Headline, HeadlineState, Member, Storm

OPEN = NOT_ESTABLISHED.rstrip(".")
STATES: dict[str, HeadlineState] = {
    "queued": "investigating",
    "looking": "investigating",
    "looked": "evidence",
    "diagnosing": "evidence",
    "failed": "failed",
    "cancelled": "failed",
    "expired": "evidence_only",
    "joined": "investigating",
}


def headline(
    investigation: Investigation, *, state: HeadlineState | None = None, said: str = "", on_call: str = ""
) -> Headline:
    """The root of the thread as things stand; what is over says so whatever its diagnosis came to.

    Whoever writes it, stage or update, it reads alike: who is on call is what the look has stored.
    """
    alert = investigation.alert
    over = investigation.resolved_at is not None
    return Headline(
        title=investigation.title,
        state=_over(investigation) if over else state or _state(investigation),
        service=investigation.service_name,
        severity=investigation.severity,
        started_at=alert.started_at.timestamp(),
        source=alert.source,
        link=alert.links[0] if alert.links else None,
        said=said or _said(investigation),
        on_call=on_call or str((investigation.observations or {}).get("on_call", "")),
        incidents=investigation.shown,
        over=investigation.over,
        storm=_storm(investigation) if investigation.storm_size else None,
    )


def concluded(model: str | None, failure: str | None) -> HeadlineState:
    """What a brief that is the last one means: a diagnosis is only what a model concluded. It stands also
    when a deeper look failed."""
    if model:
        return "diagnosed"
    return "failed" if failure else "evidence_only"


def _over(investigation: Investigation) -> HeadlineState:
    return "closed" if investigation.gone_quiet else "resolved"


def _state(investigation: Investigation) -> HeadlineState:
    if investigation.status != "done":
        return "diagnosed" if investigation.earlier_brief else STATES[investigation.status]
    brief = investigation.brief or {}
    ending: Mapping[str, Any] = brief.get("ending") or {}
    return concluded(brief.get("model"), ending.get("failure"))


def _said(investigation: Investigation) -> str:
    """What the newest brief says: the cause once there is a diagnosis, until then what is broken."""
    if (brief := investigation.brief) is not None:
        sure = f"{brief['confidence_level']} confidence, {brief['confidence']:.0%}"
        if (cause := str(brief["likely_cause"]["text"])).startswith(OPEN):
            return f"Likely cause: {cause}"
        by = "" if brief.get("model") else " by the evidence alone"
        return f"Likely cause{by} ({sure}): {cause}"
    return str((investigation.evidence_brief or {}).get("headline", ""))


def _storm(investigation: Investigation) -> Storm:
    return Storm(
        tuple(map(_member, (*investigation.incidents, *investigation.members))),
        {each.because or "": each.incidents for each in investigation.reasons},
    )


def _member(incident: Incident) -> Member:
    links = incident.alert.links
    return Member(
        incident.title,
        incident.service_name,
        incident.severity,
        links[0] if links else None,
        incident.because,
        incident.status,
    )
