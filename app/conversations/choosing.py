"""A choice under an answer becomes a turn like the message it stands for."""

from __future__ import annotations

from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent.answer import Offer
from app.conversations import repository
from app.conversations.accept import accept
from app.conversations.models import Envelope, Incoming
from app.storage.engine import autocommit

OFFERS = TypeAdapter(list[Offer])


async def choose(engine: AsyncEngine, turn_id: UUID, number: int, *, user_id: str, message_ts: str) -> bool:
    """Take an offer of a turn's answer, for whoever chose it in the message `message_ts`; False when there is
    no such offer, or one was taken there before: a message is answered by one choice.

    Raises:
        DatabaseUnavailable: nothing is stored.
    """
    async with autocommit(engine) as connection:
        offered = await repository.offered(connection, turn_id)
    if offered is None:
        return False
    offers = OFFERS.validate_python(offered["offers"] or [])
    if not 0 <= number < len(offers):
        return False
    incoming = Incoming(
        team_id=offered["team_id"],
        channel_id=offered["channel_id"],
        thread_ts=offered["thread_ts"],
        message_ts=message_ts,
        user_id=user_id,
        text=offers[number].says,
        kind="follow_up",
        envelope=Envelope(answers=offers[number].answers),
    )
    return await accept(engine, incoming) is not None
