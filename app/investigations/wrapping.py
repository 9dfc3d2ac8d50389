"""How an investigation ends, whatever it came to: people called if need be, a report, the audit row."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.conversations.reply import NotShown
from app.errors import AgentError
from app.escalation.escalation import REASONS, Escalation
from app.escalation.models import EscalationFailed, EscalationNotConfigured, Why
from app.investigations import journal, queueing, repository
from app.investigations.brief import Brief
from app.investigations.calling import called_about
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
MOST_CALLS = 5
"""How often calling people is tried, each time as patiently as `Escalation` does."""


@dataclass(frozen=True)
class Wrapping:
    """`folder` is INCIDENTS_DIR; `thread_link` the address of a thread, None if unknown.

    `afterwards` is called in the transaction of the end, with the investigation's id.
    """

    engine: AsyncEngine
    escalation: Callable[[UUID], Escalation]
    hosts: Callable[[], frozenset[str]] = frozenset
    folder: Path | None = None
    thread_link: Callable[[str, str], str | None] = lambda channel, ts: None
    out: Callable[[], TextIO] = lambda: sys.stdout
    afterwards: Callable[[AsyncConnection, UUID], Awaitable[None]] = queueing.update_after

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
        now: datetime | None,
        status: str = "done",
        brief: Brief | None = None,
        checked: tuple[str, ...] = (),
        failure: str | None = None,
        over_budget: str | None = None,
        escalations: tuple[str, ...] = (),
    ) -> Record:
        async with begin(self.engine) as connection:
            return await recorded(
                connection,
                investigation,
                thread=self._link(investigation),
                status=status,
                finished_at=now,
                gathered=await seen(connection, investigation),
                brief=brief,
                failure=failure,
                over_budget=over_budget,
                escalations=escalations,
                checked=checked,
            )

    # -- ends ----------------------------------------------------------------------------------------------

    async def done(
        self, investigation: Investigation, thread: IncidentThread, record: Record, outcome: Outcome
    ) -> None:
        said = ""
        if outcome.why is not None:
            said = await self.call_people(investigation, thread, outcome.why, outcome.failure or "")
        record = _with_escalation(record, said)
        await self._end(investigation, record, outcome.brief)

    async def failed(
        self,
        investigation: Investigation,
        thread: IncidentThread,
        sentence: str,
        why: Why,
    ) -> None:
        said = await self.call_people(investigation, thread, why, sentence)
        record = await self._record(investigation, now=None, status="failed", failure=sentence)
        await self._end(investigation, _with_escalation(record, said), None)

    async def expired(self, investigation: Investigation, thread: IncidentThread) -> None:
        """It waited too long for its turn: the evidence brief stands, and the thread says so."""
        try:
            await thread.open(headline(investigation))
            await thread.note(EXPIRED)
        except NotShown as error:
            log.warning("expiry_not_shown", reason=error.sentence)
        record = await self._record(investigation, now=None, status="expired", failure=EXPIRED)
        await self._end(investigation, record, None)

    async def call_people(
        self, investigation: Investigation, thread: IncidentThread, why: Why, explanation: str
    ) -> str:
        """Escalate once; what came of it, as a sentence. Not being able to is said and ends nothing.

        Raises:
            EscalationFailed: it may work when it is tried again.
        """
        # As it stands now: PagerDuty may have joined while it was diagnosed, and has paged somebody then.
        async with begin(self.engine) as connection:
            now = await repository.load(connection, investigation.id)
        about = called_about(now or investigation, self._link(investigation))
        try:
            called = await self.escalation(investigation.id).escalate(
                about, why=why, explanation=explanation, dedup=str(investigation.id)
            )
        except EscalationNotConfigured as error:
            log.info("nobody_called", reason=error.sentence)
            return ""
        except EscalationFailed as error:
            if error.passing and investigation.tries < MOST_CALLS:
                raise
            said = f"I could not call anybody: {error.sentence}"
        else:
            said = " ".join(filter(None, (f"📟 I {called.said}.", REASONS[why], explanation)))
        try:
            await thread.note(said)
        except AgentError as error:
            log.warning("escalation_not_shown", reason=error.sentence)
        return said

    async def _end(self, investigation: Investigation, record: Record, brief: Brief | None) -> None:
        """Report, file, log line, and the end with its audit row."""
        written = report(record, hosts=self.hosts() | hosts(record))
        file = await self._filed(record, written)
        async with begin(self.engine) as connection:
            await repository.save(connection, investigation, report=written)
            await repository.finish(
                connection,
                investigation,
                "expired"
                if record.status == "expired"
                else "failed"
                if record.status == "failed"
                else "done",
                error_code=record.failure and "no_diagnosis",
                said=f"{brief.headline}\n{brief.likely_cause.text}" if brief else "",
                confidence=brief.confidence if brief else None,
            )
            await self.afterwards(connection, investigation.id)
        print(announcement(record, file=file), file=self.out(), flush=True)
        log.info("investigated", status=record.status, model=brief.model if brief else None)

    async def _filed(self, record: Record, written: str) -> str | None:
        if self.folder is None:
            return None
        try:
            path = await asyncio.to_thread(write_report, self.folder, report_file_name(record), written)
        except ReportNotWritten as error:
            log.error("report_not_written", reason=error.sentence)
            return None
        return path.name

    def _link(self, investigation: Investigation) -> str | None:
        place = investigation.place
        return self.thread_link(place.channel_id, place.thread_ts) if place else None


def _with_escalation(record: Record, said: str) -> Record:
    return replace(record, escalations=(said,)) if said else record
