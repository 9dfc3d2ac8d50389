"""An investigation that whoever opens it carries out too: from a shell, beside the queue.

To everybody else it is over before it begins. Nothing that fires joins it, no storm is shown in it, no worker
takes its stages: a real page about the same thing gets a thread of its own, in which people look for it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields, replace
from uuid import UUID, uuid4

import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.conversations.turn import MOST_ATTEMPTS
from app.errors import AgentError
from app.investigations import incidents, queueing, repository, storm
from app.investigations.alert import Alert
from app.investigations.gather import Before
from app.investigations.incidents import BY_HAND_MARK, Opening
from app.investigations.intake import Intake
from app.investigations.ledger import InvestigationLedger
from app.investigations.look import Looker, _Look
from app.investigations.models import PRIORITIES, Investigation, Rejected
from app.investigations.processing import processing
from app.storage.engine import as_json, begin
from app.storage.errors import StaleAttempt

LONGEST_KEY = 900
DROP_JOB = text("""
DELETE FROM procrastinate_jobs WHERE id = (SELECT look_job_id FROM investigations WHERE id = :id)
""")
# Without a time in which a storm could find it.
TAKE = text("UPDATE investigations SET look_job_id = NULL, storm_at = to_timestamp(0) WHERE id = :id")
SHUT = text("UPDATE incidents SET status = 'resolved', resolved_at = now() WHERE investigation_id = :id")
BY_HAND = text("""
SELECT investigation.created_at
  FROM investigations AS investigation JOIN incidents ON incidents.id = investigation.incident_id
 WHERE investigation.service_name = :service AND strpos(incidents.incident_key, :mark) > 0
""")
REFUSED = text("""
SELECT * FROM rejected_webhooks WHERE created_at > now() - make_interval(secs => :seconds)
 ORDER BY id DESC LIMIT :most
""")

Past = Callable[[Investigation], Awaitable[Before]]


async def open_by_hand(intake: Intake, alert: Alert) -> UUID:
    """Store the alert as an incident of its own, with an investigation that nobody else looks into."""
    investigation_id = uuid4()
    key = f"{alert.incident_key[:LONGEST_KEY]}{BY_HAND_MARK}{investigation_id.hex[:8]}"
    delivery = intake.delivery(alert.model_copy(update={"incident_key": key, "status": "firing"}))
    marks = storm.Marks.of(delivery.service, delivery.alert.labels)
    look = queueing.look(investigation_id, PRIORITIES[delivery.severity])
    async with begin(intake.engine) as connection:
        await incidents.open_investigation(
            connection, delivery, Opening(investigation_id, as_json(marks), look)
        )
        for statement in (DROP_JOB, TAKE, SHUT):
            await connection.execute(statement, {"id": investigation_id})
    return investigation_id


class _LookByHand(_Look):
    async def hand_over(self) -> None:
        """To this very process: no job is made of the diagnosis."""
        values = {"id": self.investigation.id, "attempt": self.investigation.attempt}
        async with begin(self.looker.engine) as connection:
            if (await connection.execute(queueing.LOOKED, values)).first() is None:
                raise StaleAttempt("This investigation is being carried on by another worker.")


@dataclass(frozen=True)
class LookerByHand(Looker):
    """A look that keeps its diagnosis out of the queue."""

    async def run(self, investigation_id: str) -> None:
        async with begin(self.engine) as connection:
            investigation = await repository.begin_look(connection, UUID(investigation_id))
        if investigation is None:
            return
        with processing(investigation, "look"):
            ledger = InvestigationLedger(self.engine, investigation.id, investigation.attempt)
            thread = self.surface.thread(investigation.id, self.channel, ledger)
            await _LookByHand(self, investigation, thread).carry_out()


async def nobody_updates(
    connection: AsyncConnection, investigation_id: UUID, *, unshown: bool = False
) -> None:
    """In place of the update of a thread at the end of a stage: nobody else shows this investigation."""


async def carry_out(stages: tuple[Callable[[str], Awaitable[None]], ...], investigation_id: UUID) -> None:
    """Each stage in turn, tried as often as the queue would; the last attempt of a stage ends by itself.

    Raises:
        AgentError: what a stage needs is away (the database, as a rule).
    """
    for stage in stages:
        for _ in range(MOST_ATTEMPTS):
            try:
                await stage(str(investigation_id))
            except AgentError:
                raise
            except Exception as error:
                structlog.get_logger(__name__).warning("stage_repeated", exc_info=error)
            else:
                break


def keeping_its_diagnosis(looker: Looker) -> LookerByHand:
    """The same look, by hand."""
    given = {each.name: getattr(looker, each.name) for each in fields(looker) if each.init}
    return LookerByHand(**given)


async def refused(engine: AsyncEngine, *, most: int = 10) -> tuple[Rejected, ...]:
    """The webhooks that were not understood and are still kept, newest first."""
    async with begin(engine) as connection:
        values = {"seconds": float(incidents.KEEP_REJECTED_SECONDS), "most": most}
        rows = await connection.execute(REFUSED, values)
        return tuple(Rejected.model_validate(dict(row)) for row in rows.mappings())


async def cancel(engine: AsyncEngine, investigation_id: UUID) -> None:
    """Whoever carried it out has stopped; nothing happens when it has ended."""
    async with begin(engine) as connection:
        investigation = await repository.load(connection, investigation_id)
        if investigation is not None and investigation.finished_at is None:
            await repository.finish(connection, investigation, "cancelled", error_code="interrupted")


def past_without_these(engine: AsyncEngine, past: Past) -> Past:
    """What happened before, as the source's own key has it, and without what was opened by hand: looking
    twice at one thing does not make it happen twice."""

    async def before(investigation: Investigation) -> Before:
        found = await past(_as_paged(investigation))
        async with begin(engine) as connection:
            values = {"service": investigation.service_name, "mark": BY_HAND_MARK}
            ours = set((await connection.execute(BY_HAND, values)).scalars())
        return replace(found, times=tuple(each for each in found.times if each.at not in ours))

    return before


def _as_paged(investigation: Investigation) -> Investigation:
    first = investigation.incidents[0]
    paged = first.model_copy(update={"incident_key": first.incident_key.partition(BY_HAND_MARK)[0]})
    return investigation.model_copy(update={"incidents": (paged, *investigation.incidents[1:])})
