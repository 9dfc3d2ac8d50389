"""P1s that join a storm: its thread is told of each in a note, and of several at once in one.

Editing a thread's headline notifies nobody. Which of them a note tells of is stored before it is posted, so
that whoever comes after a crash posts the same note, or finds it there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from uuid import UUID

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.investigations import apart
from app.investigations.cleaning import of_service, one_line

APART_SECONDS = 15
"""The least time between two such notes in one thread: a storm of P1s does not become one of notes."""
MOST_NAMED = 3
LONGEST_NAMED = 52
"""Of a title and of a reason, so that a note has room for all it names."""

# Nothing of this changes any more, whatever happens to the incidents.
TOLD = text("""
SELECT * FROM (
    SELECT told_at, title, service_name, grouped_because,
           count(*) OVER (PARTITION BY told_at) AS many,
           row_number() OVER (PARTITION BY told_at ORDER BY created_at, id) AS place
      FROM investigations WHERE storm_id = :id AND told_at IS NOT NULL) AS told
 WHERE place <= :most_named
 ORDER BY told_at, place
""")


async def notes(
    connection: AsyncConnection, leader_id: UUID, *, apart_seconds: float = APART_SECONDS
) -> dict[str, str]:
    """The notes about P1s of a storm, by their keys, with those that nobody was told of until now.

    What joins within `apart_seconds` of the last note waits for the update that is put into the queue for it.
    What is over before its note is due is left out: nobody must be woken for it.
    """
    # The least priority: waiting until then, it must not stand before other updates of the thread.
    await apart.claim(connection, leader_id, "told_at", apart_seconds=apart_seconds, priority=0)
    rows = await connection.execute(TOLD, {"id": leader_id, "most_named": MOST_NAMED})
    by_note = groupby(rows.mappings(), key=lambda row: row["told_at"])
    return {f"told:{told_at.isoformat()}": sentence(list(several)) for told_at, several in by_note}


def sentence(named: list[RowMapping]) -> str:
    many = named[0]["many"]
    told = "; ".join(_named(named))
    rest = f"; and {many - len(named)} more" if many > len(named) else ""
    who = "A P1 incident" if many == 1 else f"{many} P1 incidents"
    return f"🔴 {who} joined this storm: {told}{rest}."


def _named(incidents: Iterable[RowMapping]) -> Iterator[str]:
    for each in incidents:
        named = of_service(each["title"], each["service_name"])
        yield f"{_cut(named)} ({_cut(each['grouped_because'])})"


def _cut(words: str) -> str:
    line = one_line(words)
    return line if len(line) <= LONGEST_NAMED else f"{line[: LONGEST_NAMED - 1]}…"
