"""`/alerts`: what waits or runs, what there was lately, and one investigation with its incidents.

It reads the database and nothing else. What it tells is masked and bounded, whoever wrote it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Path, Query
from pydantic import ConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine

from app.frozen import Frozen
from app.investigations import overview, repository
from app.investigations.alert import Severity
from app.investigations.brief import Brief, Confidence
from app.investigations.models import (
    Incident,
    IncidentStatus,
    Investigation,
    InvestigationStatus,
    NoSuchInvestigation,
)
from app.operations.models import Words
from app.storage.engine import begin
from app.web.refusing import Refusal

MOST_LISTED = 200


class _Told(Frozen):
    model_config = ConfigDict(from_attributes=True)


class Listed(_Told):
    """An investigation with a thread of its own; `incidents` counts those of a storm in it."""

    id: UUID
    title: Words
    service_name: Words | None
    severity: Severity
    status: InvestigationStatus
    incidents: int
    created_at: datetime
    looked_at: datetime | None
    resolved_at: datetime | None
    finished_at: datetime | None


class Alerts(_Told):
    """`waiting` are those that wait or run, in the order of the queue, `waiting_in_all` counts them; `recent`
    the newest, whatever became of them."""

    waiting_in_all: int
    waiting: tuple[Listed, ...]
    recent: tuple[Listed, ...]


class ListedIncident(_Told):
    """What one source tells. `because` says why it is in the thread; empty for what opened it."""

    source: Words
    incident_key: Words
    title: Words
    service_name: Words | None
    severity: Severity
    status: IncidentStatus
    started_at: datetime
    acknowledged_at: datetime | None
    resolved_at: datetime | None
    because: Words


class Concluded(_Told):
    """The newest brief in short; `model` is null where the evidence alone wrote it."""

    headline: Words
    likely_cause: Words
    confidence_level: Confidence
    confidence: float
    model: Words | None

    @classmethod
    def of(cls, brief: dict[str, Any]) -> Concluded:
        told = Brief.model_validate(brief)
        values = told.model_dump(include={"headline", "confidence_level", "confidence", "model"})
        return cls(**values, likely_cause=told.likely_cause.text)


class Detail(_Told):
    """One investigation. In a storm, `incidents` are at most a hundred, what burns first, P1 first; of
    `incidents_in_all`, `over` are over. `thread_of` is the investigation in whose thread it is shown."""

    id: UUID
    title: Words
    service_name: Words | None
    severity: Severity
    status: InvestigationStatus
    thread_of: UUID | None
    grouped_because: Words | None
    thread: Words | None
    incidents_in_all: int
    over: int
    incidents: tuple[ListedIncident, ...]
    brief: Concluded | None
    error_code: str | None
    trace_id: str
    created_at: datetime
    onset_at: datetime | None
    looked_at: datetime | None
    resolved_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class AlertReader:
    """`link` is the address of a thread by its channel and ts, None if unknown."""

    engine: AsyncEngine
    link: Callable[[str, str], str | None] = lambda channel, ts: None

    async def alerts(self, limit: int) -> Alerts:
        async with begin(self.engine) as connection:
            waiting = await overview.listed(connection, waiting=True, limit=limit)
            recent = await overview.listed(connection, limit=limit)
            in_all = await overview.waiting(connection)
        return Alerts(
            waiting_in_all=in_all,
            waiting=tuple(map(Listed.model_validate, waiting)),
            recent=tuple(map(Listed.model_validate, recent)),
        )

    async def alert(self, investigation_id: UUID) -> Detail:
        async with begin(self.engine) as connection:
            found = await repository.load(connection, investigation_id)
        if found is None:
            raise NoSuchInvestigation(f"There is no investigation {investigation_id}; /alerts lists them.")
        return self._detail(found)

    def _detail(self, found: Investigation) -> Detail:
        place, brief = found.place, found.brief or found.evidence_brief
        own = found.model_dump(include={*Detail.model_fields} - {"incidents", "brief"})
        return Detail(
            **own,
            thread_of=found.storm_id,
            thread=self.link(place.channel_id, place.thread_ts) if place else None,
            incidents_in_all=found.shown,
            over=found.over,
            incidents=tuple(map(_incident, (*found.incidents, *found.members))),
            brief=Concluded.of(brief) if brief else None,
        )


def _incident(incident: Incident) -> ListedIncident:
    return ListedIncident.model_validate(incident)


def alert_routes(reader: AlertReader) -> APIRouter:
    routes = APIRouter(tags=["alerts"])
    refusals: dict[int | str, dict[str, Any]] = {status: {"model": Refusal} for status in (422, 503)}

    @routes.get("/alerts", responses=refusals)
    async def alerts(
        limit: Annotated[int, Query(ge=1, le=MOST_LISTED, description="Of each list")] = 50,
    ) -> Alerts:
        """What waits or runs, and what there was lately."""
        return await reader.alerts(limit)

    @routes.get("/alerts/{investigation_id}", responses={**refusals, 404: {"model": Refusal}})
    async def alert(
        investigation_id: Annotated[UUID, Path(description="As a webhook was answered, or /alerts lists it")],
    ) -> Detail:
        """One investigation: its incidents, how far it has come, and what its newest brief says."""
        return await reader.alert(investigation_id)

    return routes
