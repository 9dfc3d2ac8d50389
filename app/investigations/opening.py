"""The thread of an investigation: posted once, and made the session and the turn of its diagnosis."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from pydantic_ai.messages import ModelMessage
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.reply import NotShown
from app.conversations.transcript import SessionTranscript
from app.investigations import repository
from app.investigations.models import Investigation, Place
from app.investigations.surface import IncidentThread
from app.investigations.thread import headline
from app.storage.engine import begin

log = structlog.get_logger(__name__)


async def opened_late(
    engine: AsyncEngine,
    thread: IncidentThread,
    investigation: Investigation,
    remembered: Sequence[tuple[ModelMessage, str]] = (),
) -> Investigation:
    """As it stands with the thread that its look could not open, beside its diagnosis or after the end.

    One thread's updates run one at a time, and no stage opens a thread after the look: so it is opened once.
    `remembered` are rows (with their kinds) for a transcript that no diagnosis will write any more.

    Raises:
        NotReached: it still cannot be opened.
        NotShown: it never will be.
    """
    place = Place(*await thread.open(headline(investigation)))
    async with begin(engine) as connection:
        over = investigation.place is None and await repository.open_thread_late(
            connection, investigation, place
        )
        known = await repository.load(connection, investigation.id) or investigation
        if over:
            transcript = SessionTranscript(engine, await repository.load_turn(connection, known))
            for message, kind in remembered:
                await transcript.add(connection, message, kind=kind)
            await repository.end_turn_late(connection, known)
        return known


async def opened(engine: AsyncEngine, thread: IncidentThread, investigation: Investigation) -> Investigation:
    """With its place and turn; as it was where the channel refuses it: the investigation goes on without.

    Raises:
        StaleAttempt: another worker has the investigation.
    """
    try:
        place = Place(*await thread.open(headline(investigation)))
    except NotShown as error:
        # The evidence is looked for nevertheless: it is in the report and behind the API.
        log.error("thread_not_shown", reason=error.sentence)
        return investigation
    if investigation.place is not None:
        return investigation
    async with begin(engine) as connection:
        turn_id = await repository.open_thread(connection, investigation, place)
    return investigation.model_copy(update={"place": place, "turn_id": turn_id})
