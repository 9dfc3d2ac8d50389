"""The look: a thread at once, and within seconds what the evidence says, without asking a model.

It waits for nothing but a worker, so a P1 is never dark. Each step is stored before the next one is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent.prompt import facts_of
from app.conversations.reply import NotReached, NotShown
from app.conversations.turn import MOST_ATTEMPTS, passes
from app.errors import AgentError
from app.investigations import queueing, repository
from app.investigations.brief import Brief, Past
from app.investigations.chart import ChartFailed, alt_text, drawing, render
from app.investigations.evidence import Finding, Gap, Ranking
from app.investigations.findings import findings
from app.investigations.first_brief import first_brief
from app.investigations.gather import Gatherer, PastTime, Seen
from app.investigations.gathered import Gathered, Runbook, restored, stored
from app.investigations.ledger import InvestigationLedger
from app.investigations.models import Investigation
from app.investigations.opening import opened
from app.investigations.ranking import rank
from app.investigations.surface import (
    LOOKING,
    Footer,
    HeadlineState,
    IncidentSurface,
    IncidentThread,
    Told,
)
from app.investigations.thread import headline
from app.signals.models import Series
from app.storage.engine import begin
from app.storage.errors import DatabaseUnavailable, StaleAttempt
from app.tools.masking import mask
from app.tools.recurrence import pattern

log = structlog.get_logger(__name__)

T = TypeVar("T")

TELLS_OF_CAUSES = frozenset({"prometheus", "loki", "traces", "argocd", "github", "kubernetes"})
"""A gap of one of these could have hidden the cause."""
WAITS_FOR = "A diagnosis follows."
BLIND = "I could not look at the evidence; something on my side broke."
HEAD_OF_RUNBOOK = 1_500
SHOWN_BEFORE = 35 * 60
FEWEST_POINTS = 10


class LookEndsProcesses(AgentError):
    """A look that was begun again and again and never came to an end, not even to an error."""

    code = "look_ends_processes"


@dataclass(frozen=True)
class Looked:
    """What a look leaves for the thread and for the diagnosis."""

    gathered: Gathered
    symptom: Series | None = None
    on_call: str = ""

    def stored(self) -> dict[str, Any]:
        symptom = self.symptom
        return {
            "gathered": stored(self.gathered),
            "on_call": self.on_call,
            "symptom": symptom
            and {
                "name": symptom.name,
                "service": symptom.service,
                "unit": symptom.unit,
                "points": [list(point) for point in symptom.points],
            },
        }

    @classmethod
    def restored(cls, written: Mapping[str, Any]) -> Looked:
        kept = written["symptom"]
        symptom = kept and Series(
            kept["name"],
            tuple((at, value) for at, value in kept["points"]),
            kept["service"],
            {},
            kept["unit"],
        )
        return cls(restored(written["gathered"]), symptom, written["on_call"])


@dataclass(frozen=True)
class Looker:
    """Carries out looks; `run` is the handler of the queue's `look`."""

    engine: AsyncEngine
    surface: IncidentSurface
    channel: str
    gatherer: Gatherer
    hosts: Callable[[], frozenset[str]] = frozenset
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    _thread: Executor = field(default_factory=lambda: ThreadPoolExecutor(1, "look"), init=False)
    """One, for several would take the interpreter from the event loop as many times as often."""

    async def computed(self, compute: Callable[[], T]) -> T:
        """What takes a good part of a second of computing, off the event loop and one at a time."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, compute)

    async def run(self, investigation_id: str) -> None:
        async with begin(self.engine) as connection:
            investigation = await repository.begin_look(connection, UUID(investigation_id))
        if investigation is None:
            return
        with structlog.contextvars.bound_contextvars(
            trace_id=investigation.trace_id, investigation_id=investigation_id
        ):
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
            await self.hand_over(shown=opened is True and await self.reached(self.show(looked)))
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
        shown = False
        try:
            shown = await self.reached(self.say_blind())
        except StaleAttempt:
            raise
        except Exception as unsaid:
            if passes(unsaid):
                raise
            log.error("giving_up_not_shown", reason=str(unsaid))
        await self.hand_over(shown=shown)

    async def say_blind(self) -> None:
        await self.open_thread()
        await self.thread.note(BLIND)

    async def open_thread(self) -> None:
        """The thread first: whoever is paged has a place to look at while the sources are asked."""
        known = await opened(self.looker.engine, self.thread, self.investigation)
        self.investigation = self.investigation.model_copy(
            update={"place": known.place, "turn_id": known.turn_id}
        )

    async def looked(self) -> Looked:
        """What the sources say, asked once: an attempt before this one may have stored it."""
        if self.investigation.observations is not None:
            return Looked.restored(self.investigation.observations)
        seen = await self.looker.gatherer.gather(self.investigation)
        looked = await self.looker.computed(
            lambda: assembled(self.investigation, seen, rank(seen.observations))
        )
        brief = first_brief(
            looked.gathered,
            hosts=self.looker.hosts() | linked(looked.gathered.findings),
            sources_down=down(looked.gathered.gaps),
        )
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
        ready = self.investigation.looked_at or self.looker.clock()
        brief = Brief.model_validate(self.investigation.evidence_brief)
        told = Told(
            brief,
            looked.gathered.findings,
            looked.gathered.ranking,
            Footer(seconds=(ready - self.investigation.created_at).total_seconds()),
            buttons=LOOKING,
            waits_for="" if self.investigation.finished_at else WAITS_FOR,
        )
        state: HeadlineState | None = "evidence" if self.investigation.looked_at is None else None
        # Drawn while the brief is on its way.
        drawn = asyncio.ensure_future(self.drawn(looked))
        try:
            await self.thread.evidence_brief(told)
            await asyncio.gather(
                self.thread.headline(headline(self.investigation, state=state, on_call=looked.on_call)),
                self.show_chart(drawn),
            )
        except NotShown as error:
            log.error("evidence_not_shown", reason=error.sentence)
        finally:
            drawn.cancel()
        log.info("looked", verdict=looked.gathered.ranking.verdict, gaps=len(looked.gathered.gaps))

    async def drawn(self, looked: Looked) -> tuple[bytes, str] | None:
        """The chart and the sentence that describes it."""
        if looked.symptom is None:
            return None
        onset = looked.gathered.ranking.onset
        drawn = drawing(lately(looked.symptom, onset), onset=onset, changes=looked.gathered.changes)
        return await render(drawn), alt_text(drawn)

    async def show_chart(self, drawn: asyncio.Future[tuple[bytes, str] | None]) -> None:
        """A picture is a help; without it the brief says the same in words."""
        try:
            if (chart := await drawn) is not None:
                await self.thread.chart(*chart)
        except (StaleAttempt, DatabaseUnavailable):
            raise
        except Exception as error:
            level = log.info if isinstance(error, ChartFailed) else log.warning
            level("chart_left_out", reason=str(error))

    async def hand_over(self, *, shown: bool) -> None:
        async with begin(self.looker.engine) as connection:
            await queueing.defer_diagnose(connection, self.investigation)
            await queueing.update_after(connection, self.investigation.id, unshown=not shown)


def assembled(investigation: Investigation, seen: Seen, ranking: Ranking) -> Looked:
    """Everything known when the sources have answered. Pure."""
    told, labels = findings(seen, ranking)
    gathered = Gathered(
        alert=investigation.alert,
        ranking=ranking,
        findings=told,
        gaps=seen.gaps,
        service=seen.service.name if seen.service else None,
        severity=investigation.severity,
        facts=facts_of(seen.service) if seen.service else {},
        changes=_near(seen, told),
        past=None if seen.past is None else past_of(seen.past, investigation.created_at),
        runbooks=tuple(
            Runbook(each.runbook.title, each.runbook.url, mask(each.runbook.text[:HEAD_OF_RUNBOOK]))
            for each in seen.runbooks
        ),
        labels=labels,
    )
    return Looked(gathered, seen.observations.symptom, seen.on_call)


def _near(seen: Seen, told: tuple[Finding, ...]) -> tuple[Any, ...]:
    """The changes that became evidence: those of the services around."""
    shown = {each.at for each in told if each.kind == "change"}
    return tuple(each for each in seen.observations.changes if each.at in shown)


def linked(findings: tuple[Finding, ...]) -> frozenset[str]:
    """The hosts on which the evidence can be opened."""
    return frozenset(host for each in findings if each.link and (host := urlsplit(each.link).hostname))


def lately(symptom: Series, onset: float | None) -> Series:
    """What a chart shows: the time before the onset that lets one see what is usual, and all since."""
    since = [point for point in symptom.points if onset is None or point[0] >= onset - SHOWN_BEFORE]
    return replace(symptom, points=tuple(since)) if len(since) >= FEWEST_POINTS else symptom


def past_of(times: tuple[PastTime, ...], now: datetime) -> Past:
    dates = tuple(each.at.date().isoformat() for each in times)
    if not times:
        return Past()
    cause = next((f" The last time it was: {mask(each.cause)}" for each in times if each.cause), "")
    return Past(happened=True, dates=dates, pattern=pattern([each.at for each in times], now) + cause)


def down(gaps: tuple[Gap, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.source for each in gaps if each.source in TELLS_OF_CAUSES))
