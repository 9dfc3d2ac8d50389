"""How an investigation ends, whatever it came to: people called if need be, a report, the audit row."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, TextIO
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.conversations.reply import NotReached, NotShown
from app.conversations.turn import MOST_ATTEMPTS
from app.errors import AgentError
from app.escalation.escalation import REASONS, Escalation
from app.escalation.models import PAGERDUTY, EscalationFailed, EscalationNotConfigured, Incident, Why
from app.instruments import ALERT_DURATION
from app.investigations import calling, journal, later_calls, queueing, repository
from app.investigations.brief import Brief
from app.investigations.calling import burning, called_about, called_before, found, told
from app.investigations.evidence import Finding
from app.investigations.filing import ReportNotWritten, report_file_name, write_report
from app.investigations.gathered import Gathered
from app.investigations.models import Investigation
from app.investigations.record import Record
from app.investigations.recording import hosts, recorded, seen
from app.investigations.report import announcement, report
from app.investigations.surface import IncidentThread
from app.investigations.thread import headline
from app.storage.engine import begin

if TYPE_CHECKING:
    from app.investigations.diagnose import Outcome

log = structlog.get_logger(__name__)

EXPIRED = (
    "This waited longer for its diagnosis than it may (ALERT_QUEUE_TTL_SECONDS), so there is none. "
    "The evidence above stands; ask here, or press “dig deeper”, for more."
)
DEEPER_EXPIRED = (
    "The deeper look waited longer than it may (ALERT_QUEUE_TTL_SECONDS), so there is none. "
    "The diagnosis above stands; press “dig deeper” for another try."
)
MOST_CALLS = 5
"""How often calling people is tried, each time as patiently as `Escalation` does."""
MOST_ENDS = 20
"""Attempts of all stages after which it ends also without a call: those of an end that no job counts."""
PATIENT_SECONDS = 300
"""How long it is tried about P1s that joined later."""
JOINED_LATER = "This joined the storm after people had been called."


class Afterwards(Protocol):
    async def __call__(
        self, connection: AsyncConnection, investigation_id: UUID, /, *, unshown: bool = False
    ) -> None: ...


class Ending(NamedTuple):
    """Whether all was shown; why people were called, and what came of it, as a sentence for the thread."""

    shown: bool
    why: Why | None = None
    said: str = ""


@dataclass(frozen=True)
class Wrapping:
    """`folder` is INCIDENTS_DIR; `thread_link` the address of a thread, None if unknown. `escalation` is None
    where nobody is to be called.

    `afterwards` is called in the transaction of the end, with the investigation's id and whether there is
    something that could not be shown.
    """

    engine: AsyncEngine
    escalation: Callable[[UUID], Escalation] | None
    hosts: Callable[[], frozenset[str]] = frozenset
    folder: Path | None = None
    thread_link: Callable[[str, str], str | None] = lambda channel, ts: None
    out: Callable[[], TextIO] = lambda: sys.stdout
    afterwards: Afterwards = queueing.update_after
    apart_seconds: float = later_calls.APART_SECONDS

    async def called(self, investigation: Investigation, gathered: Gathered) -> tuple[Finding, ...]:
        """What the model's tool calls of this turn found, as evidence."""
        if investigation.turn_id is None:
            return ()
        async with begin(self.engine) as connection:
            _, found = await journal.calls(connection, investigation.turn_id)
        known = {each.label for each in gathered.findings}
        return tuple(each for each in found if each.label not in known)

    async def record(self, investigation: Investigation, outcome: Outcome, now: datetime) -> Record:
        return await self._record(
            investigation,
            now=now,
            brief=outcome.brief,
            checked=outcome.changed,
            failure=outcome.failure,
            over_budget=outcome.over_budget,
        )

    async def _record(
        self,
        investigation: Investigation,
        *,
        now: datetime | None = None,
        status: str = "done",
        brief: Brief | None = None,
        checked: tuple[str, ...] = (),
        failure: str | None = None,
        over_budget: str | None = None,
    ) -> Record:
        async with begin(self.engine) as connection:
            # As it stands now: what joined it meanwhile, and what is over, belongs into its report.
            known = await repository.load(connection, investigation.id) or investigation
            return await recorded(
                connection,
                known,
                thread=self.link(known),
                status=status,
                finished_at=now,
                gathered=await seen(connection, investigation),
                brief=brief,
                failure=failure,
                over_budget=over_budget,
                checked=checked,
                escalations=told(known),
            )

    # -- ends ----------------------------------------------------------------------------------------------

    async def done(
        self,
        investigation: Investigation,
        thread: IncidentThread,
        outcome: Outcome,
        now: datetime,
        showing: Awaitable[bool],
    ) -> None:
        """`showing` shows the brief and says whether its place was there.

        Raises:
            NotReached: it was not; another try may still do better.
        """
        ending = await self._told(
            investigation,
            thread,
            showing,
            outcome.why,
            explanation=outcome.failure or "",
            brief=outcome.brief,
        )
        await self._end(investigation, await self.record(investigation, outcome, now), ending)

    async def failed(
        self,
        investigation: Investigation,
        thread: IncidentThread,
        sentence: str,
        why: Why,
        showing: Awaitable[bool],
    ) -> None:
        """As `done`, without a brief."""
        ending = await self._told(investigation, thread, showing, why, explanation=sentence)
        record = await self._record(
            investigation, status="failed", failure=sentence, brief=_before(investigation)
        )
        await self._end(investigation, record, ending)

    async def expired(self, investigation: Investigation, thread: IncidentThread) -> None:
        """It waited too long for its turn: the evidence brief stands, and the thread says so."""
        showing = self._expiry_shown(investigation, thread)
        # Whoever waits here has waited long enough.
        ending = await self._told(investigation, thread, showing, None, patient=False)
        sentence = expired_words(investigation)
        record = await self._record(
            investigation, status="expired", failure=sentence, brief=_before(investigation)
        )
        await self._end(investigation, record, ending)

    async def unsaid(self, investigation: Investigation, sentence: str) -> None:
        """The end of what could not be ended otherwise: people are called, and logs have its line, as far as
        that can be done."""
        said = ""
        try:
            said = await self.call_people(investigation, called_before(investigation) or "failure", sentence)
        except Exception as error:
            log.error("nobody_called", exc_info=error)
        try:
            record = await self._record(investigation, status="failed", failure=sentence)
            self._announce(announcement(record))
        except Exception as error:
            log.error("report_not_announced", exc_info=error)
        async with begin(self.engine) as connection:
            if said:
                await repository.keep_told(connection, investigation, "failure", said)
            await repository.finish(
                connection, investigation, "failed", error_code="internal", sre_tagged=bool(said)
            )
            await self.afterwards(connection, investigation.id)

    async def _expiry_shown(self, investigation: Investigation, thread: IncidentThread) -> bool:
        if investigation.place is None:
            return False
        try:
            await thread.open(headline(investigation))
        except NotReached as error:
            log.warning("expiry_not_shown_yet", reason=error.sentence)
            return False
        except NotShown as error:
            log.warning("expiry_not_shown", reason=error.sentence)
        return await self._noted(thread, expired_words(investigation))

    async def _told(
        self,
        investigation: Investigation,
        thread: IncidentThread,
        showing: Awaitable[bool],
        why: Why | None,
        *,
        explanation: str = "",
        brief: Brief | None = None,
        patient: bool = True,
    ) -> Ending:
        """Shown, and people called: at the same time, for neither may wait for the other.

        What cannot be shown calls people by itself, for nobody would read it.
        """
        why = called_before(investigation) or why
        shown, said = await together(showing, self.call_people(investigation, why, explanation, brief))
        if not shown and investigation.place and patient and investigation.tries < MOST_ATTEMPTS:
            raise NotReached("The thread cannot be reached to show what was found.")
        if not shown and why is None:
            said = await self.call_people(investigation, "unseen", explanation, brief)
            why = "unseen"
        if shown and said:
            shown = await self._noted(thread, said, calls=True)
        return Ending(shown, why, said)

    async def _noted(self, thread: IncidentThread, sentence: str, *, calls: bool = False) -> bool:
        """Whether the place was there; one that refuses it for good was."""
        try:
            await thread.note(sentence, calls=calls)
        except NotReached as error:
            log.warning("note_not_shown_yet", reason=error.sentence)
            return False
        except AgentError as error:
            log.warning("note_not_shown", reason=error.sentence)
        return True

    async def call_people(
        self, investigation: Investigation, why: Why | None, explanation: str, brief: Brief | None = None
    ) -> str:
        """Escalate once; what came of it, as a sentence for the thread. Not being able to is said and ends
        nothing. Empty when there is no reason to call anybody.

        Raises:
            EscalationFailed: it may work when it is tried again.
        """
        if why is None or self.escalation is None:
            return ""
        # As it stands now: PagerDuty may have joined while it was diagnosed, and has paged somebody then.
        async with begin(self.engine) as connection:
            await later_calls.named_now(connection, investigation.id, why)
            now = await repository.load(connection, investigation.id) or investigation
        about = called_about(now, self.link(now), brief)
        if now.resolved_at is not None and about.source != PAGERDUTY:
            log.info("nobody_called", reason="it is over")
            return ""
        patient = investigation.tries < MOST_CALLS and investigation.attempt < MOST_ENDS
        return await self._call(now, about, why, explanation, patient=patient)

    async def call_later(self, investigation: Investigation, why: Why, now: datetime) -> None:
        """Call people about P1s that joined its thread after that was done at its end.

        Raises:
            EscalationFailed: it may work when it is tried again.
        """
        if self.escalation is None or not investigation.storm_size:
            return
        async with begin(self.engine) as connection:
            due = await later_calls.due(connection, investigation.id, why, apart_seconds=self.apart_seconds)
        for called_at, because in due.items():
            async with begin(self.engine) as connection:
                joined = await later_calls.called_about_then(connection, investigation.id, called_at)
            said = ""
            if things := burning(joined):
                about = calling.about(
                    things, self.link(investigation), found=found(investigation), in_storm=True
                )
                patient = (now - called_at).total_seconds() < PATIENT_SECONDS
                said = await self._call(
                    investigation, about, because, JOINED_LATER, at=called_at.isoformat(), patient=patient
                )
            async with begin(self.engine) as connection:
                await later_calls.keep_said(connection, investigation, called_at, because, said)

    async def _call(
        self,
        investigation: Investigation,
        about: Incident,
        why: Why,
        explanation: str,
        *,
        at: str = "",
        patient: bool,
    ) -> str:
        assert self.escalation is not None
        dedup = "/".join(filter(None, (str(investigation.id), at)))
        try:
            called = await self.escalation(investigation.id).escalate(
                about, why=why, explanation=explanation, dedup=dedup
            )
        except EscalationNotConfigured as error:
            return f"{error.sentence} {REASONS[why]}"
        except EscalationFailed as error:
            if error.passing and patient:
                raise
            return f"I could not call anybody: {error.sentence}"
        return calling.said(called, why, explanation)

    async def _end(self, investigation: Investigation, record: Record, ending: Ending) -> None:
        """Report, file, log line, and the end with its audit row.

        The line comes before the commit: whoever is killed in between is succeeded by one who writes it
        again. So logs have it once at least.
        """
        if ending.said:
            record = replace(record, escalations=tuple(dict.fromkeys((*record.escalations, ending.said))))
        written = report(record, hosts=self.hosts() | hosts(record))
        file = await self._filed(record, written)
        brief = record.brief
        async with begin(self.engine) as connection:
            await repository.save(connection, investigation, report=written)
            if ending.said and ending.why:
                await repository.keep_told(connection, investigation, ending.why, ending.said)
            await repository.finish(
                connection,
                investigation,
                "expired"
                if record.status == "expired"
                else "failed"
                if record.status == "failed"
                else "done",
                error_code=record.failure and ("no_deeper_look" if brief and brief.model else "no_diagnosis"),
                said=f"{brief.headline}\n{brief.likely_cause.text}" if brief else "",
                confidence=brief.confidence if brief else None,
                sre_tagged=bool(ending.said),
            )
            await self.afterwards(connection, investigation.id, unshown=not ending.shown)
            self._announce(announcement(record, file=file))
        if record.seconds is not None and record.status != "expired":
            ALERT_DURATION.record(record.seconds, stage="diagnose")
        log.info("investigated", status=record.status, model=brief.model if brief else None)

    def _announce(self, line: str) -> None:
        try:
            print(line, file=self.out(), flush=True)
        except (OSError, ValueError) as error:
            # Nobody reads stdout any more; the report is in the database all the same.
            log.warning("report_not_announced", reason=str(error))

    async def _filed(self, record: Record, written: str) -> str | None:
        if self.folder is None:
            return None
        try:
            path = await asyncio.to_thread(write_report, self.folder, report_file_name(record), written)
        except ReportNotWritten as error:
            log.error("report_not_written", reason=error.sentence)
            return None
        return path.name

    def link(self, investigation: Investigation) -> str | None:
        place = investigation.place
        return self.thread_link(place.channel_id, place.thread_ts) if place else None


def expired_words(investigation: Investigation) -> str:
    return DEEPER_EXPIRED if investigation.earlier_brief else EXPIRED


def _before(investigation: Investigation) -> Brief | None:
    """What an earlier round concluded, where the present one came to nothing."""
    kept = investigation.earlier_brief
    return Brief.model_validate(kept) if kept else None


async def together(showing: Awaitable[bool], calling: Awaitable[str]) -> tuple[bool, str]:
    """Both, to their end; then whatever the first of them raised."""
    shown, said = await asyncio.gather(showing, calling, return_exceptions=True)
    for each in (shown, said):
        if isinstance(each, BaseException):
            raise each
    assert isinstance(shown, bool)
    assert isinstance(said, str)
    return shown, said
