"""Whom people are called about: an investigation, as escalation knows incidents."""

from __future__ import annotations

from app.escalation.models import Incident
from app.investigations.models import Investigation


def called_about(investigation: Investigation, link: str | None) -> Incident:
    """`link` opens the investigation's thread."""
    paged = investigation.paged
    return Incident(
        source=paged.source,
        incident_key=paged.incident_key,
        title=investigation.title,
        severity=investigation.severity,
        service=investigation.service_name,
        link=link,
    )
