"""The thread of an incident that goes on: resolved, acknowledged, joined by others, waited too long."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import structlog
from pydantic_ai.messages import ModelMessage, ModelRequest, UserPromptPart
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.reply import NotReached, NotShown
from app.errors import AgentError
from app.escalation.models import PAGERDUTY
from app.giving_way import RightOfWay, give_way
from app.investigations import afterwards, incidents, newcomers, repository
from app.investigations.assembling import Looked
from app.investigations.brief import Brief
from app.investigations.calling import standing, told
from app.investigations.diagnose import Diagnoser, in_words
from app.investigations.digest import digest
from app.investigations.ledger import InvestigationLedger
from app.investigations.look import BLIND, Looker
from app.investigations.models import Incident, Investigation
from app.investigations.opening import opened_late
from app.investigations.surface import IncidentSurface, IncidentThread
from app.investigations.thread import headline
from app.investigations.times import clock_of
from app.investigations.wrapping import Wrapping, expired_words
from app.storage.engine import autocommit, begin
from app.storage.errors import StaleAttempt
from app.tools.masking import mask

log = structlog.get_logger(__name__)

QUIET = (
    "☑️ Closed here: its source has told nothing of it for long, and may never have told its end. "
    "If it fires again, it gets a thread of its own."
)


@dataclass(frozen=True)
class Updater:
    """Rewrites threads to what is stored; `run` is the handler of the queue's `update_incident`."""

    engine: AsyncEngine
    surface: IncidentSurface
    channel: str
    wrapping: Wrapping
    looker: Looker
    diagnoser: Diagnoser
    ttl_seconds: float
    resolution: Callable[[str], Awaitable[str | None]] | None = None
    """What a person wrote last on an incident of PagerDuty, by its id: as a rule what it was."""
    apart_seconds: float = newcomers.APART_SECONDS
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    way: RightOfWay = field(default_factory=RightOfWay)

    async def run(self, investigation_id: str, unshown: bool = False) -> None:
        """With `unshown`, everything that is stored is shown where it is not yet: files come behind the words
        of a stage, and its place may have been away.

        Raises:
            NotReached: the place is away; the queue tries again until it is back.
        """
        async with autocommit(self.engine) as connection:
            severity = await repository.severity_of(connection, UUID(investigation_id))
        if severity is None:
            return
        with self.way.behind(severity):
            await give_way()
            try:
                await self._update(await self._load(UUID(investigation_id)), unshown=unshown)
            except StaleAttempt:
                log.warning("update_taken_over", investigation_id=investigation_id)

    async def _update(self, investigation: Investigation | None, *, unshown: bool) -> None:
        if investigation is None or investigation.status in ("queued", "looking"):
            # Its look will show what is stored by then.
            return
        if investigation.status == "expired" and investigation.finished_at is None:
            # First, for it waits for no place; what is to be shown of it comes in an update behind it.
            await self._end(investigation)
        else:
            await self._show_and_call(investigation, unshown=unshown)
        await self._learn(investigation)

    async def _show_and_call(self, investigation: Investigation, *, unshown: bool) -> None:
        """P1s that joined since call people as the end of the diagnosis did; that nothing could be shown is
        a reason only as long as nothing can."""
        why, absent = standing(investigation), None
        reached = unshown or investigation.place is not None
        try:
            if reached:
                await self._show(investigation, everything=unshown)
        except NotReached as error:
            reached, absent = False, error
        if why is not None and not (reached and why == "unseen"):
            await self.wrapping.call_later(investigation, why, self.clock())
        if absent is not None:
            raise absent

    async def _show(self, investigation: Investigation, *, everything: bool) -> None:
        async with autocommit(self.engine) as connection:
            number = await repository.begin_update(connection, investigation.id)
        ledger = InvestigationLedger(self.engine, investigation.id, update=number)
        thread = self.surface.thread(investigation.id, self.channel, ledger)
        try:
            if everything:
                investigation = await opened_late(
                    self.engine, thread, investigation, remembered(investigation)
                )
                await self._show_stages(investigation, thread)
            else:
                await thread.open(headline(investigation))
            await thread.headline(headline(investigation))
            for key, sentence in (await self._notes(investigation)).items():
                await thread.note(sentence, key=key)
            # Under their words, as the stages note them.
            for sentence in (*stages(investigation), *told(investigation)):
                await thread.note(sentence, calls=sentence in told(investigation))
            if everything:
                await self.looker.show_files(investigation, thread)
        except NotShown as error:
            log.warning("thread_not_updated", reason=error.sentence)

    async def _show_stages(self, investigation: Investigation, thread: IncidentThread) -> None:
        """What its stages could not show. One that still runs shows the rest by itself."""
        await self.looker.show(investigation, thread)
        if investigation.finished_at is not None and not await self.diagnoser.show(investigation, thread):
            raise NotReached("The thread cannot be reached to show what was found.")

    async def _load(self, investigation_id: UUID) -> Investigation | None:
        await incidents.count_storm(self.engine, investigation_id)
        async with begin(self.engine) as connection:
            return await repository.load(connection, investigation_id)

    async def _notes(self, investigation: Investigation) -> dict[str, str]:
        if not investigation.storm_size:
            return notes(investigation)
        async with begin(self.engine) as connection:
            joined = await newcomers.notes(connection, investigation.id, apart_seconds=self.apart_seconds)
        return joined | notes(investigation)

    async def _learn(self, investigation: Investigation) -> None:
        """The note with which people closed an incident is its outcome; the webhook does not bring it."""
        closed = (each for each in investigation.incidents if each.source == PAGERDUTY and each.resolved_at)
        for incident in closed if self.resolution else ():
            assert self.resolution is not None
            try:
                cause = await self.resolution(incident.incident_key)
            except AgentError as error:
                log.info("resolution_note_unknown", reason=error.sentence)
                continue
            if cause:
                async with begin(self.engine) as connection:
                    await afterwards.add_note(connection, investigation.id, mask(cause))

    async def _end(self, investigation: Investigation) -> None:
        async with begin(self.engine) as connection:
            mine = await repository.begin_diagnose(connection, investigation.id, ttl_seconds=self.ttl_seconds)
        if mine is None or mine.status != "expired":
            return
        thread = self.surface.thread(
            mine.id, self.channel, InvestigationLedger(self.engine, mine.id, mine.attempt)
        )
        try:
            await self.wrapping.expired(mine, thread)
        except StaleAttempt:
            log.info("expiry_taken_over")


def remembered(investigation: Investigation) -> list[tuple[ModelMessage, str]]:
    """What a follow-up has to know of a diagnosis that was made without its thread."""
    if investigation.observations is None or investigation.brief is None:
        return []
    asked = digest(Looked.restored(investigation.observations).gathered)
    return [
        (ModelRequest(parts=[UserPromptPart(asked)]), "question"),
        (in_words(Brief.model_validate(investigation.brief)), "model"),
    ]


def stages(investigation: Investigation) -> Iterator[str]:
    """What a stage had to say of itself, and perhaps could not."""
    if investigation.looked_at and investigation.observations is None:
        yield BLIND
    if investigation.status == "expired":
        yield expired_words(investigation)


def notes(investigation: Investigation) -> dict[str, str]:
    """What happened to the incidents since the page, a sentence each; the same key for the same thing."""
    happened = dict(note for each in investigation.incidents for note in _notes(each))
    if at := investigation.resolved_at:
        happened[f"resolved:{at.isoformat()}"] = (
            QUIET if investigation.gone_quiet else f"✅ Resolved at {clock_of(at.timestamp())}."
        )
    return happened


def _notes(incident: Incident) -> Iterator[tuple[str, str]]:
    if incident.joined_because:
        yield (
            f"joined:{incident.id}",
            f"🔗 {incident.source} tells of it too: {incident.title} ({incident.joined_because}).",
        )
    if at := incident.acknowledged_at:
        told = f"👤 Acknowledged in {incident.source} at {clock_of(at.timestamp())}."
        yield f"acknowledged:{incident.id}", told
