"""From a message to a durable turn: one statement, done before the message is acknowledged."""

from __future__ import annotations

import time
from dataclasses import dataclass
from uuid import UUID, uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app import jobs, tracing
from app.conversations import repository
from app.conversations.models import Incoming
from app.instruments import TURNS_ACCEPTED
from app.storage.engine import autocommit, begin

log = structlog.get_logger(__name__)

RUN_TURN = "run_turn"
OVERHEARD_SECONDS = 120.0
REFUSED_SECONDS = 3600.0
"""Longer than Slack goes on delivering one event."""
PERSON_WAITS = 100
"""The priority of a person's turn: that of a P1."""


@dataclass(frozen=True)
class Accepted:
    turn_id: UUID
    trace_id: str


async def accept(engine: AsyncEngine, incoming: Incoming) -> Accepted | None:
    """Store the message as a turn and queue it; None when it is not for us or has been taken already.

    A follow-up counts only in a thread that has a session. Whoever calls acknowledges the message after
    this returned, and not at all when it raised: then the message is delivered again.

    Raises:
        DatabaseUnavailable: nothing is stored.
    """
    began, turn_id = time.monotonic(), uuid4()
    trace_id = turn_id.hex
    job = jobs.Deferral(RUN_TURN, {"turn_id": str(turn_id)}, priority=PERSON_WAITS)
    async with autocommit(engine) as connection:
        session_id = await repository.add_turn(connection, turn_id, incoming, trace_id, job)
    if session_id is None:
        return None
    TURNS_ACCEPTED.add(kind=incoming.kind)
    tracing.entrance("sre_agent.conversation.accept", trace_id, began, {"sre_agent.turn.kind": incoming.kind})
    log.info(
        "turn_queued", turn_id=str(turn_id), session_id=session_id, kind=incoming.kind, trace_id=trace_id
    )
    return Accepted(turn_id, trace_id)


async def belongs(engine: AsyncEngine, incoming: Incoming) -> bool:
    """Whether a follow-up's thread is one of ours.

    If it is not, that it was there is remembered for a while: the mention that makes the thread ours may be
    on its way. It is remembered before we look once more, and a mention makes the thread ours before its turn
    looks what was there; so one of the two sees the other.

    Raises:
        DatabaseUnavailable: nobody can say.
    """
    place = (incoming.team_id, incoming.channel_id, incoming.thread_ts)
    async with autocommit(engine) as connection:
        if await repository.find_session(connection, *place):
            return True
        await repository.sight(connection, incoming, "overheard", seconds=OVERHEARD_SECONDS)
        return await repository.find_session(connection, *place) is not None


async def is_first_refusal(engine: AsyncEngine, incoming: Incoming) -> bool:
    """Whether nobody has told the writer of this message yet that it is not answered; the caller does.

    Raises:
        DatabaseUnavailable: nobody can say.
    """
    async with begin(engine) as connection:
        return await repository.sight(connection, incoming, "refused", seconds=REFUSED_SECONDS)


async def forget_sightings(engine: AsyncEngine) -> None:
    async with begin(engine) as connection:
        await repository.forget_sightings(connection)


async def stop(engine: AsyncEngine, *, team_id: str, channel_id: str, thread_ts: str, user_id: str) -> int:
    """Stop what waits or runs in a thread, on whichever replica; how many turns that were.

    Their jobs go on to their ends: a turn that was never begun has a question to take 👀 from, too. An answer
    that is decided already stands.
    """
    async with begin(engine) as connection:
        job_ids = await repository.stop_turns(
            connection, team_id=team_id, channel_id=channel_id, thread_ts=thread_ts, user_id=user_id
        )
        for job_id in job_ids:
            await jobs.interrupt(connection, job_id)
    return len(job_ids)


async def is_answered(engine: AsyncEngine, turn_id: UUID) -> bool:
    """Whether nothing more will be shown for this turn, so that no sign of work belongs to it any more."""
    async with autocommit(engine) as connection:
        return await repository.is_answered(connection, turn_id)
