"""Forgetting a person: their words go, and that something was asked and answered stays on record."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.conversations import repository
from app.storage.engine import begin

USER_ID = re.compile(r"[UW][A-Z0-9]{2,}")

AUDIT_FORGET = text("SELECT audit_forget(:user, :pseudonym)")


def _named(*columns: str) -> str:
    """Whether the person's id stands in one of the columns; the whole id and no longer one."""
    return " OR ".join(
        f"(strpos(CAST({column} AS text), :user) > 0 AND CAST({column} AS text) ~ :whole)"
        for column in columns
    )


# Where they asked or did something, and where what they said elsewhere was read along.
THEIR_SESSIONS = text(f"""
SELECT id FROM sessions
 WHERE {_named("workflow_state", "context_refs")}
    OR id IN (SELECT session_id FROM turns
               WHERE user_id = :user OR stopped_by = :user
                  OR {_named("question", "envelope", "reply_state", "answer")})
    OR id IN (SELECT session_id FROM messages WHERE {_named("body")})
    OR id IN (SELECT session_id FROM tool_calls
               WHERE {_named("arguments", "result", "result_full", "sources")})
    OR id IN (SELECT session_id FROM artifacts WHERE {_named("title", "file_name", "content", "faults")})
    OR id IN (SELECT session_id FROM deliveries
               WHERE asked_by = :user OR {_named("target", "plan", "outcome")})
   FOR UPDATE
""")
IN_THEM = {
    "messages": "messages",
    "turns": "turns",
    "tool calls": "tool_calls",
    "files": "artifacts",
    "deliveries": "deliveries",
}
"""What goes with a thread, by the word it is told in."""

# What outlives the threads, because it is about systems; in it their id alone points to them. By table: the
# columns of text, and those of JSON.
OUTLIVING = {
    "outcomes": (("user_id", "cause"), ()),
    "feedback": (("user_id",), ()),
    "incidents": (("title",), ("alert",)),
    "investigations": (
        ("title", "report", "grouped_because"),
        ("observations", "evidence_brief", "brief", "thread_state", "escalations", "presses"),
    ),
    "evidence": (("query", "link"), ("finding",)),
    "rejected_webhooks": (("reason",), ("payload",)),
}


@dataclass(frozen=True)
class Forgotten:
    """What is stored about a person: how many rows of what, by the word it is told in."""

    user: str
    pseudonym: str
    audited: int
    threads: int
    in_threads: dict[str, int]
    renamed: dict[str, int]

    @property
    def anything(self) -> bool:
        return bool(self.audited or self.threads or any(self.renamed.values()))

    def report(self, *, dry: bool = False) -> str:
        if not self.anything:
            return f"Nothing is stored about {self.user}."
        head = (
            f"{self.user} would be forgotten:"
            if dry
            else f"{self.user} is forgotten, and is now {self.pseudonym}."
        )
        return "\n".join((head, *self._lines(), ELSEWHERE, *(["Nothing was changed."] if dry else [])))

    def _lines(self) -> Iterator[str]:
        yield f"  Rows of the audit log without their id and words: {self.audited}."
        held = ", ".join(f"{word}: {count}" for word, count in self.in_threads.items() if count)
        yield f"  Threads deleted: {self.threads}{f' ({held})' if held else ''}."
        for table, count in self.renamed.items():
            if count:
                yield f"  Rows of {table} with the pseudonym for their id: {count}."


ELSEWHERE = (
    "  Not touched: their messages in Slack, files in INCIDENTS_DIR, backups, and what was delivered to "
    "GitHub, Notion or PagerDuty."
)


class _OnlyLooked(Exception):
    """Everything is undone again."""


def is_user_id(user: str) -> bool:
    return USER_ID.fullmatch(user) is not None


async def forget(
    engine: AsyncEngine, user: str, *, pseudonym: str | None = None, dry: bool = False
) -> Forgotten:
    """Replace a person by a pseudonym in one transaction; with `dry` only what that would come to.

    The pseudonym is chance and derived from nothing: no key leads back from it, because there is none. The
    audit log keeps its rows, their facts and times, without the person's id and words. Threads they took part
    in are removed whole: a transcript without one of its speakers would put their words into somebody else's
    mouth. What is known of incidents stays, and says the pseudonym. Done again, there is nothing left to do.
    """
    pseudonym = pseudonym or f"forgotten-{secrets.token_hex(8)}"
    try:
        async with begin(engine) as connection:
            forgotten = await _forget(connection, user, pseudonym)
            if dry or not forgotten.anything:
                raise _OnlyLooked
    except _OnlyLooked:
        pass
    return forgotten


async def _forget(connection: AsyncConnection, user: str, pseudonym: str) -> Forgotten:
    who = {"user": user, "whole": rf"\m{user}\M"}
    # First, so that nothing is added to a thread any more.
    threads = list((await connection.execute(THEIR_SESSIONS, who)).scalars())
    held = {
        word: int(
            (
                await connection.execute(
                    text(f"SELECT count(*) FROM {table} WHERE session_id = ANY(:sessions)"),
                    {"sessions": threads},
                )
            ).scalar_one()
        )
        for word, table in IN_THEM.items()
    }
    await repository.remove_sessions(connection, threads)
    renamed = {
        table: (await connection.execute(_renaming(table), {**who, "pseudonym": pseudonym})).rowcount
        for table in OUTLIVING
    }
    audited = await connection.execute(AUDIT_FORGET, {"user": user, "pseudonym": pseudonym})
    return Forgotten(user, pseudonym, int(audited.scalar_one()), len(threads), held, renamed)


def _renaming(table: str) -> TextClause:
    words, documents = OUTLIVING[table]
    new = [f"{each} = regexp_replace({each}, :whole, :pseudonym, 'g')" for each in words]
    new += [
        f"{each} = CAST(regexp_replace(CAST({each} AS text), :whole, :pseudonym, 'g') AS jsonb)"
        for each in documents
    ]
    return text(f"UPDATE {table} SET {', '.join(new)} WHERE {_named(*words, *documents)}")
