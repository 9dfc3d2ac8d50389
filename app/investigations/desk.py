"""What people decide by a button: stored by compare-and-set, the work behind it done by a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import AgentError
from app.escalation.escalation import Escalation
from app.investigations import afterwards, queueing, repository
from app.investigations.calling import called_about, called_about_its_own
from app.investigations.models import Investigation, NoSuchInvestigation
from app.investigations.surface import Pressed
from app.storage.audit import write_audit
from app.storage.engine import begin
from app.tools.masking import mask

DEEPER = "asked for a deeper look"


class StillUnderWay(AgentError):
    """A diagnosis is being made; another one would get in its way."""

    code = "still_under_way"
    status = 409


@dataclass(frozen=True)
class StoredDesk:
    """`IncidentDesk` on the database; `escalation` makes one for an investigation."""

    engine: AsyncEngine
    escalation: Callable[[UUID], Escalation]
    thread_link: Callable[[str, str], str | None] = lambda channel, ts: None

    async def outcome(
        self, investigation_id: UUID, user_id: str, *, correct: bool, cause: str | None
    ) -> Pressed:
        cause = mask(cause) if cause else cause
        said = "confirmed this cause" if correct else _not_that(cause)
        async with begin(self.engine) as connection:
            investigation = await self._load(connection, investigation_id)
            pressed = await afterwards.press(
                connection, investigation_id, "outcome", user_id=user_id, said=said
            )
            assert pressed is not None
            await afterwards.add_outcome(
                connection,
                investigation_id,
                source="button" if correct else "modal",
                user_id=user_id,
                correct=correct,
                cause=cause,
            )
            await self._audit(connection, investigation, user_id, "outcome", cause or said)
        return Pressed(*pressed)

    async def dig_deeper(self, investigation_id: UUID, user_id: str) -> Pressed:
        async with begin(self.engine) as connection:
            investigation = await self._load(connection, investigation_id)
            again = await afterwards.reopen(connection, investigation_id, priority=queueing.ASKED_FOR)
            if again is None:
                raise StillUnderWay("A diagnosis is under way already; its brief comes in this thread.")
            button = f"dig_deeper:{again.round}"
            pressed = await afterwards.press(
                connection, investigation_id, button, user_id=user_id, said=DEEPER
            )
            assert pressed is not None
            await queueing.queue_diagnosis(connection, again, queueing.ASKED_FOR)
            await self._audit(connection, investigation, user_id, "dig_deeper", "")
        return Pressed(*pressed)

    async def escalate(self, investigation_id: UUID, user_id: str) -> Pressed:
        investigation = await self._known(investigation_id)
        called = await self.escalation(investigation_id).escalate(
            called_about(investigation, self._link(investigation)), why="asked", dedup=str(investigation_id)
        )
        return await self._stands(investigation, user_id, "escalate", f"escalated this: {called.said}")

    async def acknowledge(self, investigation_id: UUID, user_id: str) -> Pressed:
        investigation = await self._known(investigation_id)
        done = await self.escalation(investigation_id).acknowledge(
            called_about_its_own(investigation, self._link(investigation)),
            by=user_id,
            dedup=str(investigation_id),
        )
        return await self._stands(investigation, user_id, "acknowledge", f"acknowledged this: {done.said}")

    async def _stands(self, investigation: Investigation, user_id: str, button: str, said: str) -> Pressed:
        async with begin(self.engine) as connection:
            pressed = await afterwards.press(connection, investigation.id, button, user_id=user_id, said=said)
            assert pressed is not None
            await self._audit(connection, investigation, user_id, button, said)
        return Pressed(*pressed)

    async def _known(self, investigation_id: UUID) -> Investigation:
        async with begin(self.engine) as connection:
            return await self._load(connection, investigation_id)

    @staticmethod
    async def _load(connection: AsyncConnection, investigation_id: UUID) -> Investigation:
        investigation = await repository.load(connection, investigation_id)
        if investigation is None:
            raise NoSuchInvestigation("This investigation is no longer kept.")
        return investigation

    @staticmethod
    async def _audit(
        connection: AsyncConnection, investigation: Investigation, user_id: str, action: str, said: str
    ) -> None:
        place = investigation.place
        await write_audit(
            connection,
            action,
            thread_ts=place.thread_ts if place else None,
            channel_id=place.channel_id if place else None,
            user_id=user_id,
            service_name=investigation.service_name,
            input_text=investigation.title,
            response_text=said,
            knowledge_revision=await repository.revision_of(connection, investigation),
            trace_id=investigation.trace_id,
        )

    def _link(self, investigation: Investigation) -> str | None:
        place = investigation.place
        return self.thread_link(place.channel_id, place.thread_ts) if place else None


def _not_that(cause: str | None) -> str:
    return f"said it was: {cause}" if cause else "said that this is not the cause"
