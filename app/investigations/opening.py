"""The thread of an investigation: posted once, and made the session and the turn of its diagnosis."""

from __future__ import annotations

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.reply import NotShown
from app.investigations import repository
from app.investigations.models import Investigation, Place
from app.investigations.surface import IncidentThread
from app.investigations.thread import headline
from app.storage.engine import begin

log = structlog.get_logger(__name__)


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
