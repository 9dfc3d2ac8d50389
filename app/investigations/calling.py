"""Calling people about an investigation: as escalation knows incidents, and as it is kept."""

from __future__ import annotations

from app.escalation.models import Incident
from app.investigations.brief import Brief
from app.investigations.models import Investigation


def called_about(investigation: Investigation, link: str | None, brief: Brief | None = None) -> Incident:
    """`link` opens the investigation's thread; `brief` is what is known, for whoever is called; that of the
    evidence without one."""
    paged, kept = investigation.paged, investigation.evidence_brief
    known = brief or (Brief.model_validate(kept) if kept else None)
    return Incident(
        source=paged.source,
        incident_key=paged.incident_key,
        title=investigation.title,
        severity=investigation.severity,
        service=investigation.service_name,
        link=link,
        found=_found(known) if known else "",
    )


def _found(brief: Brief) -> str:
    sure = f"{brief.confidence_level} confidence, {brief.confidence:.0%}"
    return f"{brief.headline}\nLikely cause ({sure}): {brief.likely_cause.text}"


def told(investigation: Investigation) -> tuple[str, ...]:
    """What its thread is told of calling people, oldest first."""
    return tuple(investigation.escalations.get(TOLD, {}).values())


def calls_unseen(investigation: Investigation) -> bool:
    """Whether an attempt before this one has called people about what could not be shown, and came no
    further."""
    calls = investigation.escalations
    begun = f"{investigation.id}/unseen" in calls
    return begun and not any(key.endswith("/unseen") for key in calls.get(TOLD, {}))


TOLD = "told"
"""Beside the intents in `escalations`: what the thread is told of them, by round and reason."""
