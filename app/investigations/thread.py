"""An investigation's thread as its stages write to it: the ledger of what is shown, and the headline."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.investigations import repository
from app.investigations.models import Incident, Investigation
from app.investigations.surface import Headline, HeadlineState, Member
from app.storage.engine import begin


class ThreadLedger:
    """What is shown in the thread, kept with the investigation."""

    def __init__(self, engine: AsyncEngine, investigation_id: UUID) -> None:
        self._engine = engine
        self._id = investigation_id

    async def load(self) -> dict[str, Any] | None:
        async with begin(self._engine) as connection:
            return await repository.load_thread_state(connection, self._id)

    async def save(self, state: dict[str, Any]) -> None:
        async with begin(self._engine) as connection:
            await repository.save_thread_state(connection, self._id, state)


STATES: dict[str, HeadlineState] = {
    "queued": "investigating",
    "looking": "investigating",
    "looked": "evidence",
    "diagnosing": "evidence",
    "done": "diagnosed",
    "failed": "failed",
    "cancelled": "failed",
    "expired": "evidence",
    "joined": "investigating",
}


def headline(
    investigation: Investigation, *, state: HeadlineState | None = None, said: str = "", on_call: str = ""
) -> Headline:
    """The root of the thread as things stand; what is over says so whatever its diagnosis came to."""
    alert = investigation.alert
    told = investigation.brief or investigation.evidence_brief or {}
    over = investigation.resolved_at is not None
    return Headline(
        title=investigation.title,
        state="resolved" if over else state or STATES[investigation.status],
        service=investigation.service_name,
        severity=investigation.severity,
        started_at=alert.started_at.timestamp(),
        source=alert.source,
        link=alert.links[0] if alert.links else None,
        said=said or str(told.get("headline", "")),
        on_call=on_call,
        members=tuple(map(_member, (*investigation.incidents, *investigation.members)))
        if investigation.storm_size
        else (),
        grouped_because=investigation.grouped_because or "",
    )


def _member(incident: Incident) -> Member:
    links = incident.alert.links
    return Member(incident.title, incident.service_name, incident.severity, links[0] if links else None)
