"""Forgetting a person: their words go, and that something was asked and answered stays on record."""

from __future__ import annotations

import re
import secrets

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations import repository
from app.errors import AgentError
from app.storage.engine import begin

USER_ID = re.compile(r"[UW][A-Z0-9]{2,}")

AUDIT_FORGET = text("SELECT audit_forget(:user, :pseudonym)")
# Where they asked something, and where what they said before was read along.
THEIR_SESSIONS = text("""
SELECT id FROM sessions
 WHERE id IN (SELECT session_id FROM turns WHERE user_id = :user)
    OR id IN (SELECT session_id FROM messages WHERE strpos(body::text, :user) > 0)
   FOR UPDATE
""")
RENAME = (
    text("UPDATE feedback SET user_id = :pseudonym WHERE user_id = :user"),
    text("UPDATE outcomes SET user_id = :pseudonym WHERE user_id = :user"),
    text("UPDATE turns SET stopped_by = :pseudonym WHERE stopped_by = :user"),
    # By button: {"by": user id, "said": …}.
    text("""
UPDATE investigations
   SET presses = (SELECT jsonb_object_agg(
                             button, CASE WHEN press ->> 'by' = :user
                                          THEN press || jsonb_build_object('by', CAST(:pseudonym AS text))
                                          ELSE press END)
                    FROM jsonb_each(presses) AS pressed(button, press))
 WHERE jsonb_path_exists(
           presses, '$.*.by ? (@ == $user)', jsonb_build_object('user', CAST(:user AS text)))
"""),
)


class NobodyToForget(AgentError):
    """Nothing is stored about this person."""

    code = "nobody_to_forget"
    status = 404


def is_user_id(user: str) -> bool:
    return USER_ID.fullmatch(user) is not None


async def forget(engine: AsyncEngine, user: str, *, pseudonym: str | None = None) -> str:
    """Replace a person by a pseudonym in one transaction; what was done, as a sentence.

    The audit log keeps its rows without their id and words. Threads they took part in are removed whole: a
    transcript without one of its speakers would put their words into somebody else's mouth.

    Raises:
        NobodyToForget: nothing is known of them, and nothing was changed.
    """
    pseudonym = pseudonym or f"forgotten-{secrets.token_hex(4)}"
    who = {"user": user, "pseudonym": pseudonym}
    async with begin(engine) as connection:
        audited = int((await connection.execute(AUDIT_FORGET, who)).scalar_one())
        found = await connection.execute(THEIR_SESSIONS, {"user": user})
        threads = [row.id for row in found]
        await repository.remove_sessions(connection, threads)
        renamed = [(await connection.execute(statement, who)).rowcount for statement in RENAME]
        if not (audited or threads or any(renamed)):
            raise NobodyToForget(f"Nothing is stored about {user}.")
    return (
        f"{user} is forgotten. Rows of the audit log that say {pseudonym} instead: {audited}. "
        f"Threads deleted: {len(threads)}. Their messages in Slack are untouched."
    )
