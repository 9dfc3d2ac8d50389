"""From an alert to a durable investigation: one transaction, done before its sender is answered.

What fires again joins, what is over closes, what another source says too joins its investigation, and what
comes in a storm is shown in a thread with the rest. Nothing that was accepted is lost, and whatever is
delivered again changes nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal
from uuid import UUID, uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app import jobs
from app.context.names import slug
from app.giving_way import RightOfWay
from app.instruments import INTAKE_DEDUPLICATED, INTAKE_QUEUED
from app.investigations import afterwards, incidents, queueing, storm
from app.investigations.alert import Alert, Severity
from app.investigations.fingerprint import symptoms
from app.investigations.incidents import Bounds, Delivery, Firing, Joining, Opening
from app.investigations.masked import clean, masked, storable
from app.investigations.models import PRIORITIES, Rejected
from app.investigations.services import Services
from app.storage.engine import as_json, begin
from app.storage.together import Together

log = structlog.get_logger(__name__)

Leaders = Mapping[UUID, storm.Marks]

AT_ONCE = 4
"""Transactions of a process that store alerts: who waits here takes no connection from the rest of it."""
MOST_TOGETHER = 16
LANES = 3
"""Statements that store alerts which fire, up to so many each."""
GATHER_SECONDS = 1.0
LONGEST_GATHER_SECONDS = 10.0
"""Those who join a storm within the former, for each thread of the storm, and the latter at most, are told in
one edit of its thread: Slack takes one edit a second, of all."""
TOGETHER_SECONDS = 600
"""Two sources that tell of one service and symptom within this time tell of one thing, whatever is over."""
OPEN_TOGETHER_SECONDS = 6 * 3600
"""So long as the first one burns, the other may begin this much later. What is open for longer was as a rule
forgotten by its source (a resolve that never came), and what was seen then says little of now: a page must
not vanish in such a thread."""
DEEPEST_PAYLOAD = 100
TRIES = 3
"""So often an alert is placed anew because others changed the storm meanwhile; then they have to wait."""
SOURCE_NAMES = {
    "pagerduty": "PagerDuty",
    "alertmanager": "Alertmanager",
    "grafana": "Grafana",
    "datadog": "Datadog",
    "newrelic": "New Relic",
    "gcp": "Google Cloud Monitoring",
}


@dataclass(frozen=True)
class Accepted:
    """What is answered to a webhook: `queued` began an investigation, `joined` belongs to one that is there,
    `ignored` is about nothing that is known here."""

    status: Literal["queued", "joined", "ignored"]
    investigation_id: UUID | None = None
    reason: str | None = None


@dataclass(frozen=True)
class StormLimits:
    """More than `incidents` new ones within `window_seconds` are a storm."""

    incidents: int = 10
    window_seconds: float = 120

    def __str__(self) -> str:
        return f"a storm of more than {self.incidents} incidents in {self.window_seconds:g} s"


def marks_of(leaders: list[dict[str, Any]]) -> Leaders:
    return {UUID(leader["id"]): storm.Marks.load(leader["marks"]) for leader in leaders}


@dataclass
class _View:
    """The leaders of a storm as this process saw them last, and what the database calls them and their marks:
    others join meanwhile, so what marks them is a moment old."""

    name: str | None = None
    marked: str | None = None
    leaders: Leaders = field(default_factory=dict)

    def learn(self, name: str | None, marked: str, leaders: list[dict[str, Any]]) -> None:
        self.name, self.marked, self.leaders = name, marked, marks_of(leaders)

    def joined(self, leader: UUID, mine: storm.Marks, *, marked: str, now_marked: str) -> None:
        """One has joined a leader, which is marked by it from now on. When others have marked one meanwhile,
        they are to be seen anew."""
        if marked != self.marked:
            self.name = None
        elif now_marked != marked:
            its = self.leaders[leader].with_those_of(mine)
            self.marked, self.leaders = now_marked, {**self.leaders, leader: its}


@dataclass(frozen=True)
class Intake:
    """`critical` are the services of SERVICE_REGISTRY that make a P1 of an alert that names no severity."""

    engine: AsyncEngine
    services: Services
    critical: frozenset[str] = frozenset()
    limits: StormLimits = field(default_factory=StormLimits)
    way: RightOfWay = field(default_factory=RightOfWay)
    _room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE), init=False)
    _view: _View = field(default_factory=_View, init=False)

    @cached_property
    def _fire(self) -> Together[Firing, dict[str, Any]]:
        return Together(partial(incidents.fire, self.engine), most=MOST_TOGETHER, lanes=LANES)

    async def open(self) -> None:
        """Make ready what stores alerts: else the first of a storm wait for it."""
        await asyncio.gather(*(incidents.make_ready(self.engine) for _ in range(LANES)))

    async def accept(self, alert: Alert) -> Accepted:
        """Store what the alert says. Its sender is answered after this returned, not at all when it raised.

        Raises:
            DatabaseUnavailable: nothing is stored, or not surely kept; its sender sends it again.
        """
        with self.way.first():
            delivery = self.delivery(alert)
            accepted = await self._fired_at_once(delivery) if alert.status == "firing" else None
            if accepted is None:
                async with self._room:
                    accepted = await self._taken(delivery)
        if alert.status == "firing" and accepted.status != "ignored":
            (INTAKE_QUEUED if accepted.status == "queued" else INTAKE_DEDUPLICATED).add()
        log.info(
            "alert_taken",
            source=alert.source,
            said=alert.status,
            became=accepted.status,
            investigation_id=str(accepted.investigation_id) if accepted.investigation_id else None,
        )
        return accepted

    async def end_quiet(self) -> int:
        """End what its sources have told nothing of for a day; how many incidents that were."""
        ended = 0
        for incident_id in await incidents.quiet(self.engine):
            async with begin(self.engine) as connection:
                if investigation_id := await incidents.end_quiet(connection, incident_id):
                    ended += 1
                    await self._tell_thread(connection, investigation_id)
        return ended

    async def reject(self, source: str, reason: str, payload: Any) -> None:
        """Keep an authentic payload that was not understood, for an hour.

        Raises:
            DatabaseUnavailable: nothing is stored.
        """
        async with begin(self.engine) as connection:
            await incidents.keep_rejected(connection, source, storable(reason), plain(payload))

    async def replay(self, rejected_id: int) -> Rejected | None:
        """A payload that was kept; None when there is none of that number, or no longer."""
        async with begin(self.engine) as connection:
            return await incidents.rejected(connection, rejected_id)

    def delivery(self, alert: Alert) -> Delivery:
        """The alert as it is stored. A service that is not in the catalog keeps the name it came with."""
        alert = masked(alert)
        known = self.services.resolve(alert.service) if alert.service else None
        service = known.name if known else alert.service
        return Delivery(
            alert,
            service,
            alert.severity or self._severity_of(service),
            symptom=" ".join(sorted(symptoms(alert))),
        )

    def _severity_of(self, service: str | None) -> Severity:
        critical = {slug(name) for name in self.critical}
        return "P1" if service and slug(service) in critical else "P3"

    async def _taken(self, delivery: Delivery) -> Accepted:
        async with begin(self.engine) as connection:
            match delivery.alert.status:
                case "resolved":
                    return await self._resolved(connection, delivery)
                case "acknowledged":
                    return await self._acknowledged(connection, delivery)
                case _:
                    return await self._fired(connection, delivery)

    # -- what is over, or taken care of ------------------------------------------------------------------

    async def _resolved(self, connection: AsyncConnection, delivery: Delivery) -> Accepted:
        investigation_id = await incidents.resolve(connection, delivery)
        if investigation_id is None:
            return await self._heard_before(connection, delivery)
        if delivery.alert.note:
            await afterwards.add_outcome(
                connection, investigation_id, cause=delivery.alert.note, source="resolution_note"
            )
        await self._tell_thread(connection, investigation_id)
        return Accepted("joined", investigation_id, "resolved")

    async def _acknowledged(self, connection: AsyncConnection, delivery: Delivery) -> Accepted:
        investigation_id = await incidents.acknowledge(connection, delivery)
        if investigation_id is None:
            return await self._heard_before(connection, delivery)
        await self._tell_thread(connection, investigation_id)
        return Accepted("joined", investigation_id, "acknowledged")

    async def _heard_before(self, connection: AsyncConnection, delivery: Delivery) -> Accepted:
        known = await incidents.known(connection, delivery)
        if known is None:
            return Accepted("ignored", reason="no incident of that key is known")
        return Accepted("joined", known["investigation_id"], "nothing new about this incident")

    async def _tell_thread(self, connection: AsyncConnection, investigation_id: UUID) -> None:
        leader = await incidents.leader_of(connection, investigation_id)
        await jobs.defer_once(connection, queueing.update(leader, PRIORITIES["P1"]))

    # -- what fires --------------------------------------------------------------------------------------

    async def _fired_at_once(self, delivery: Delivery) -> Accepted | None:
        """In one statement, with others that come now, what takes no more, which is nearly all of a storm;
        None when it does.

        Where it would join is thought out beforehand, with the leaders that were seen last. When there are
        others by now, nothing is stored, they are told, and it is thought out anew.
        """
        marks = storm.Marks.of(delivery.service, delivery.alert.labels)
        for _ in range(TRIES):
            opening = self._opening(delivery, marks)
            joining = self._joining(delivery, marks, self._view.leaders) if self._view.name else None
            now = await self._fire(Firing(delivery, opening, self._bounds, self._view.name, joining))
            match now:
                case {"undone": {"leaders": leaders} as undone} if "forgotten" not in undone:
                    self._view.learn(now["view"], now["marked"], leaders)
                case {"undone": _}:
                    return None
                case {"joined": _}:
                    assert joining is not None
                    told = {name: now[name] for name in ("marked", "now_marked")}
                    self._view.joined(joining.leader_id, marks, **told)
                    return self._in_storm(opening.investigation_id, joining)
                case _:
                    return self._known_or_opened(now, opening)
        return None

    async def _fired(self, connection: AsyncConnection, delivery: Delivery) -> Accepted:
        marks = storm.Marks.of(delivery.service, delivery.alert.labels)
        opening = self._opening(delivery, marks)
        now = await incidents.fires(connection, delivery, opening, self._bounds)
        if forgotten := now.get("forgotten"):
            await incidents.settle(connection, UUID(forgotten))
            await self._tell_thread(connection, UUID(forgotten))
        match now:
            case {"again": again}:
                await self._changed_again(connection, delivery, again)
            case {"twin": twin}:
                return await self._join_twin(connection, delivery, twin)
            case {"leaders": leaders}:
                return await self._place_in_storm(connection, delivery, marks, leaders)
        return self._known_or_opened(now, opening)

    def _known_or_opened(self, now: dict[str, Any], opening: Opening) -> Accepted:
        match now:
            case {"again": again}:
                return Accepted("joined", UUID(again["investigation_id"]), "this incident is open already")
            case {"told_before": told}:
                return Accepted("joined", UUID(told["investigation_id"]), "a repeat of an alert that is over")
        return Accepted("queued", opening.investigation_id)

    @property
    def _bounds(self) -> Bounds:
        return Bounds(
            TOGETHER_SECONDS, OPEN_TOGETHER_SECONDS, self.limits.window_seconds, self.limits.incidents
        )

    def _opening(self, delivery: Delivery, marks: storm.Marks) -> Opening:
        investigation_id = uuid4()
        look = queueing.look(investigation_id, PRIORITIES[delivery.severity])
        return Opening(investigation_id, as_json(marks), look)

    async def _changed_again(
        self, connection: AsyncConnection, delivery: Delivery, again: dict[str, Any]
    ) -> None:
        investigation_id = UUID(again["investigation_id"])
        if again["raised"]:
            await self._raise(connection, investigation_id, delivery.severity)
        if again["raised"] or again["reopened"]:
            await self._tell_thread(connection, investigation_id)

    async def _join_twin(
        self, connection: AsyncConnection, delivery: Delivery, twin: dict[str, Any]
    ) -> Accepted:
        """Another source tells of the same thing: one investigation, which says so."""
        investigation_id = UUID(twin["investigation_id"])
        name = SOURCE_NAMES.get(twin["source"], twin["source"])
        because = f"same service and symptom as {name} incident {twin['incident_key']}"
        await incidents.join(connection, delivery, investigation_id, because)
        await self._raise(connection, investigation_id, delivery.severity)
        await self._tell_thread(connection, investigation_id)
        return Accepted("joined", investigation_id, f"joined: {because}")

    async def _place_in_storm(
        self,
        connection: AsyncConnection,
        delivery: Delivery,
        mine: storm.Marks,
        leaders: list[dict[str, Any]],
    ) -> Accepted:
        joining = self._joining(delivery, mine, marks_of(leaders))
        if joining is None:
            # The first that nothing connects: what else comes without a connection is shown with it.
            opening = self._opening(delivery, mine.gathering_the_rest())
            await incidents.open_investigation(connection, delivery, opening)
            return Accepted("queued", opening.investigation_id)
        opening = self._opening(delivery, mine)
        await incidents.join_storm(connection, delivery, opening, joining)
        return self._in_storm(opening.investigation_id, joining)

    def _joining(self, delivery: Delivery, mine: storm.Marks, leaders: Leaders) -> Joining | None:
        placed = storm.place(mine, leaders, self._depends_on)
        if placed.group is None:
            return None
        update = queueing.update(placed.group, PRIORITIES[delivery.severity])
        wait = min(GATHER_SECONDS * len(leaders), LONGEST_GATHER_SECONDS)
        return Joining(placed.group, placed.because, replace(update, wait=wait))

    def _in_storm(self, investigation_id: UUID, joining: Joining) -> Accepted:
        because = storm.sentence(joining.because, storm=str(self.limits))
        return Accepted("joined", investigation_id, because)

    async def _raise(self, connection: AsyncConnection, investigation_id: UUID, severity: Severity) -> None:
        await incidents.raise_severity(connection, investigation_id, severity, PRIORITIES[severity])

    def _depends_on(self, service: str) -> tuple[str, ...]:
        known = self.services.resolve(service)
        return known.depends_on if known else ()


def plain(payload: Any, depth: int = 0) -> Any:
    """JSON as it may be kept: secrets masked, without infinities, and no deeper than it is read back."""
    if depth > DEEPEST_PAYLOAD:
        return "(deeper than is kept)"
    if isinstance(payload, dict):
        return {clean(str(key)): plain(value, depth + 1) for key, value in payload.items()}
    if isinstance(payload, list | tuple):
        return [plain(value, depth + 1) for value in payload]
    if isinstance(payload, str):
        return clean(payload)
    if isinstance(payload, float) and not math.isfinite(payload):
        return None
    return payload
