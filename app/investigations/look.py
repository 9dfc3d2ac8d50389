"""The look: a thread at once, and within seconds what the evidence says, without asking a model.

It waits for nothing but a worker, so a P1 is never dark. Each step is stored before the next one is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.reply import NotReached, NotShown
from app.conversations.turn import MOST_ATTEMPTS, passes
from app.errors import AgentError
from app.giving_way import RightOfWay, without_waiting
from app.instruments import ALERT_DURATION
from app.investigations import queueing, repository
from app.investigations.assembling import Looked, lately, loaded, worked_out
from app.investigations.brief import Brief
from app.investigations.chart import ChartFailed, alt_text, drawing, render
from app.investigations.gather import Gatherer
from app.investigations.ledger import InvestigationLedger
from app.investigations.models import Investigation
from app.investigations.opening import opened
from app.investigations.processing import processing
from app.investigations.surface import (
    LOOKING,
    Footer,
    HeadlineState,
    IncidentSurface,
    IncidentThread,
    Told,
)
from app.investigations.thread import headline
from app.storage.engine import autocommit, begin
from app.storage.errors import DatabaseUnavailable, StaleAttempt

log = structlog.get_logger(__name__)

WAITS_FOR = "A diagnosis follows."
BLIND = "I could not look at the evidence; something on my side broke."


class LookEndsProcesses(AgentError):
    """A look that was begun again and again and never came to an end, not even to an error."""

    code = "look_ends_processes"


@dataclass(frozen=True)
class Looker:
    """Carries out looks; `run` is the handler of the queue's `look`."""

    engine: AsyncEngine
    surface: IncidentSurface
    channel: str
    gatherer: Gatherer
    hosts: Callable[[], frozenset[str]] = frozenset
    waits_for: str = ""
    """What the evidence brief says will follow it: nothing when no model is configured."""
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    way: RightOfWay = field(default_factory=RightOfWay)

    async def run(self, investigation_id: str) -> None:
        async with autocommit(self.engine) as connection:
            investigation = await repository.begin_look(connection, UUID(investigation_id))
        if investigation is None:
            return
        with processing(investigation, "look"), self.way.behind(investigation.severity):
            ledger = InvestigationLedger(self.engine, investigation.id, investigation.attempt)
            thread = self.surface.thread(investigation.id, self.channel, ledger)
            await _Look(self, investigation, thread).carry_out()

    async def show(self, investigation: Investigation, thread: IncidentThread) -> None:
        """What an earlier look found, in a thread that could not be reached then.

        Raises:
            NotReached: it still cannot be.
        """
        if investigation.observations is not None:
            await _Look(self, investigation, thread).show(Looked.restored(investigation.observations))

    async def show_files(self, investigation: Investigation, thread: IncidentThread) -> None:
        """What stands behind the words of an earlier look: all of its evidence, and the chart."""
        if investigation.observations is not None:
            await _Look(self, investigation, thread).show_files(Looked.restored(investigation.observations))


@dataclass
class _Look:
    looker: Looker
    investigation: Investigation
    thread: IncidentThread

    async def carry_out(self) -> None:
        try:
            if self.investigation.tries > 2 * MOST_ATTEMPTS and self.investigation.observations is None:
                await self.give_up(LookEndsProcesses("No process has lived through this look."))
            else:
                await self.carry_out_or_give_up()
        except StaleAttempt:
            log.warning("look_taken_over", attempt=self.investigation.attempt)

    async def carry_out_or_give_up(self) -> None:
        try:
            # Neither waits for the other, and nothing else waits for a place that is away.
            opened, looked = await asyncio.gather(
                self.reached(self.open_thread()), self.looked(), return_exceptions=True
            )
            for outcome in (looked, opened):
                if isinstance(outcome, BaseException):
                    raise outcome
            assert isinstance(looked, Looked)
            if opened is True:
                await self.reached(self.show(looked))
            await self.hand_over()
        except StaleAttempt:
            raise
        except Exception as error:
            if self.investigation.tries < MOST_ATTEMPTS or passes(error):
                raise
            await self.give_up(error)

    async def reached(self, showing: Awaitable[None]) -> bool:
        """Whether the place was there to be shown something; else that is done when it is back."""
        try:
            await showing
        except NotReached as error:
            log.warning("look_not_shown_yet", reason=error.sentence)
            return False
        return True

    async def give_up(self, error: Exception) -> None:
        """What cannot be looked at goes on to the diagnosis as it is: it ends in a report, come what may."""
        log.error("look_given_up", exc_info=error)
        try:
            await self.reached(self.say_blind())
        except StaleAttempt:
            raise
        except Exception as unsaid:
            if passes(unsaid):
                raise
            log.error("giving_up_not_shown", reason=str(unsaid))
        await self.hand_over()

    async def say_blind(self) -> None:
        await self.open_thread()
        await self.thread.note(BLIND)

    async def open_thread(self) -> None:
        """The thread first: whoever is paged has a place to look at while the sources are asked."""
        with without_waiting():
            known = await opened(self.looker.engine, self.thread, self.investigation)
        self.investigation = self.investigation.model_copy(
            update={"place": known.place, "turn_id": known.turn_id}
        )

    async def looked(self) -> Looked:
        """What the sources say, asked once: an attempt before this one may have stored it."""
        if self.investigation.observations is not None:
            return Looked.restored(self.investigation.observations)
        gatherer = self.looker.gatherer
        # Pages are rare, and the process that computes ends when it is idle: it is to be there in time.
        seen, _ = await asyncio.gather(gatherer.gather(self.investigation), gatherer.beside(loaded))
        looked, brief = await gatherer.beside(worked_out, self.investigation, seen, self.looker.hosts())
        began = looked.gathered.ranking.onset
        onset = datetime.fromtimestamp(began, UTC) if began else None
        async with begin(self.looker.engine) as connection:
            await repository.save_evidence(connection, self.investigation, looked.gathered.findings)
            await repository.save(
                connection,
                self.investigation,
                observations=looked.stored(),
                evidence_brief=brief.model_dump(mode="json"),
                onset_at=onset,
            )
        self.investigation = self.investigation.model_copy(
            update={"evidence_brief": brief.model_dump(mode="json")}
        )
        return looked

    async def show(self, looked: Looked) -> None:
        """The words; the diagnosis waits for them and for nothing else."""
        ready = self.investigation.looked_at or self.looker.clock()
        seconds = (ready - self.investigation.created_at).total_seconds()
        state: HeadlineState | None = "evidence" if self.investigation.looked_at is None else None
        try:
            await self.thread.evidence_brief(self.told(looked, seconds))
            await self.thread.headline(headline(self.investigation, state=state, on_call=looked.on_call))
        except NotShown as error:
            log.error("evidence_not_shown", reason=error.sentence)
        if state is not None:
            ALERT_DURATION.record(seconds, stage="look")
        log.info("looked", verdict=looked.gathered.ranking.verdict, gaps=len(looked.gathered.gaps))

    def told(self, looked: Looked, seconds: float) -> Told:
        return Told(
            Brief.model_validate(self.investigation.evidence_brief),
            looked.gathered.findings,
            looked.gathered.ranking,
            Footer(seconds),
            buttons=LOOKING,
            waits_for="" if self.investigation.finished_at else self.looker.waits_for,
        )

    async def show_files(self, looked: Looked) -> None:
        await asyncio.gather(self.thread.all_evidence(self.told(looked, 0)), self.show_chart(looked))

    async def show_chart(self, looked: Looked) -> None:
        """A picture is a help; without it the brief says the same in words."""
        if looked.symptom is None:
            return
        onset = looked.gathered.ranking.onset
        try:
            drawn = drawing(lately(looked.symptom, onset), onset=onset, changes=looked.gathered.changes)
            await self.thread.chart(await render(drawn), alt_text(drawn))
        except (StaleAttempt, DatabaseUnavailable):
            raise
        except Exception as error:
            level = log.info if isinstance(error, ChartFailed) else log.warning
            level("chart_left_out", reason=str(error))

    async def hand_over(self) -> None:
        """The diagnosis begins; beside it the update of the thread shows what is not shown yet: files, and
        everything where the place was away."""
        async with begin(self.looker.engine) as connection:
            await queueing.defer_diagnose(connection, self.investigation)
            await queueing.update_after(connection, self.investigation.id, unshown=True)
