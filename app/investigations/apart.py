"""People hear of P1s that join a storm once in a while: of all since the last time, not of each alone.

`told_at` is when a note told of one, `called_at` when people were called about it. What a time stands for is
stored before anybody hears of it, so that whoever comes after a crash says the same of the same ones.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Literal
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app import jobs
from app.investigations import queueing

Column = Literal["told_at", "called_at"]


def _claim(column: Column) -> TextClause:
    return text(f"""
UPDATE investigations SET {column} = now()
 WHERE storm_id = :id AND severity = 'P1' AND {column} IS NULL AND resolved_at IS NULL
   AND NOT EXISTS (SELECT 1 FROM investigations AS before
                    WHERE before.storm_id = :id
                      AND before.{column} > now() - make_interval(secs => :apart_seconds))
RETURNING {column}
""")


def _next(column: Column) -> TextClause:
    """Held back until the last time is old enough."""
    return text(f"""
SELECT max({column}) + make_interval(secs => :apart_seconds) FROM investigations
 WHERE storm_id = :id
HAVING bool_or(severity = 'P1' AND {column} IS NULL AND resolved_at IS NULL)
""")


CLAIM: dict[Column, TextClause] = {"told_at": _claim("told_at"), "called_at": _claim("called_at")}
NEXT: dict[Column, TextClause] = {"told_at": _next("told_at"), "called_at": _next("called_at")}


async def claim(
    connection: AsyncConnection, leader_id: UUID, column: Column, *, apart_seconds: float, priority: int
) -> datetime | None:
    """The time of those that people are to hear of now; None when there are none, or the last time is nearer
    than `apart_seconds`. What is held back for that has an update of the thread put into the queue.

    What is over before its time has come is left out: nobody must be woken for it.
    """
    values = {"id": leader_id, "apart_seconds": float(apart_seconds)}
    claimed: datetime | None = (await connection.execute(CLAIM[column], values)).scalars().first()
    later = (await connection.execute(NEXT[column], values)).scalar()
    if later is not None:
        update = queueing.update(leader_id, priority)
        lock = f"{column.removesuffix('_at')}:{leader_id}"
        await jobs.defer_once(connection, replace(update, queueing_lock=lock, at=later))
    return claimed
