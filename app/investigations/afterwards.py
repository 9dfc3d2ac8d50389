"""The SQL of what people do about an investigation: buttons, outcomes, another round. No commits."""

from __future__ import annotations

from typing import Literal
from uuid import UUID, uuid4

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.investigations import repository
from app.investigations.models import Investigation
from app.storage.engine import as_json
from app.storage.tables import outcomes

OutcomeSource = Literal["button", "modal", "resolution_note"]

PRESS = text("""
UPDATE investigations
   SET presses = presses || jsonb_build_object(CAST(:button AS text), CAST(:press AS jsonb))
 WHERE id = :id AND NOT presses ? CAST(:button AS text)
""")
PRESSED = text("SELECT presses -> CAST(:button AS text) FROM investigations WHERE id = :id")
AGAIN = text("""
UPDATE investigations
   SET status = 'looked', round = round + 1, looked_at = now(), finished_at = NULL, error_code = NULL,
       priority = greatest(priority, :priority)
 WHERE id = :id AND finished_at IS NOT NULL AND status <> 'joined'
RETURNING round
""")


# A note has no author of ours, so the constraint on the author does not tell two of them apart.
ADD_NOTE = text("""
INSERT INTO outcomes (investigation_id, cause, source)
SELECT :id, :cause, 'resolution_note'
 WHERE NOT EXISTS (SELECT 1 FROM outcomes
                    WHERE investigation_id = :id AND source = 'resolution_note' AND cause = :cause)
""")


async def press(
    connection: AsyncConnection, investigation_id: UUID, button: str, *, user_id: str, said: str
) -> tuple[bool, str, str] | None:
    """The first press of a button stands: whether it is this one, who pressed, and the words that stand
    there. None when there is no such investigation."""
    values = {"id": investigation_id, "button": button}
    mine = as_json({"by": user_id, "said": said})
    won = (await connection.execute(PRESS, {**values, "press": mine})).rowcount == 1
    stands = (await connection.execute(PRESSED, values)).scalar()
    return (won, stands["by"], stands["said"]) if stands else None


async def reopen(
    connection: AsyncConnection, investigation_id: UUID, *, priority: int
) -> Investigation | None:
    """Another round for an investigation that has ended, with a turn of its own; None while one is under
    way. Its diagnosis is to be put into the queue in the same transaction."""
    values = {"id": investigation_id, "priority": priority}
    if (await connection.execute(AGAIN, values)).first() is None:
        return None
    investigation = await repository.load(connection, investigation_id)
    assert investigation is not None
    if investigation.session_id is None or investigation.place is None:
        return investigation
    turn_id = await repository.add_turn(
        connection, investigation, investigation.session_id, investigation.place.thread_ts, uuid4()
    )
    await connection.execute(
        text("UPDATE investigations SET turn_id = :turn_id WHERE id = :id"),
        {"id": investigation_id, "turn_id": turn_id},
    )
    return investigation.model_copy(update={"turn_id": turn_id})


async def add_outcome(
    connection: AsyncConnection,
    investigation_id: UUID,
    *,
    source: OutcomeSource,
    user_id: str | None = None,
    correct: bool | None = None,
    cause: str | None = None,
) -> None:
    """What the cause really was, as somebody tells it; a person's newest word replaces their former one."""
    statement = insert(outcomes).values(
        investigation_id=investigation_id, user_id=user_id, correct=correct, cause=cause, source=source
    )
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["investigation_id", "user_id"],
            set_={name: statement.excluded[name] for name in ("correct", "cause", "source")},
        )
    )


async def add_note(connection: AsyncConnection, investigation_id: UUID, cause: str) -> None:
    """What people wrote in the incident's own source when it was over; the same words once."""
    await connection.execute(ADD_NOTE, {"id": investigation_id, "cause": cause})
