"""Answers of web APIs kept in Postgres with their ETags, for all replicas together."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import http_cache


@dataclass(frozen=True)
class Cached:
    """An answer; an empty body is the memory that there was nothing (404)."""

    etag: str | None
    body: str
    fetched_at: datetime


async def find(connection: AsyncConnection, key: str) -> Cached | None:
    columns = (http_cache.c.etag, http_cache.c.body, http_cache.c.fetched_at)
    row = (await connection.execute(select(*columns).where(http_cache.c.key == key))).first()
    return Cached(row.etag, row.body, row.fetched_at) if row else None


async def keep(connection: AsyncConnection, key: str, answer: Cached) -> None:
    """Store an answer; of two that come at once the later one stays."""
    values = {"etag": answer.etag, "body": answer.body.replace("\0", ""), "fetched_at": answer.fetched_at}
    statement = insert(http_cache).values(key=key, **values)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["key"],
            set_=values,
            where=http_cache.c.fetched_at <= statement.excluded.fetched_at,
        )
    )


async def expire(connection: AsyncConnection, prefix: str, fetched_before: datetime) -> None:
    """Let no answer whose key begins with `prefix`, in whatever case, count as fetched at that time or later;
    what was not there is forgotten."""
    of_prefix = func.lower(http_cache.c.key).startswith(prefix.lower(), autoescape=True)
    await connection.execute(delete(http_cache).where(of_prefix, http_cache.c.body == ""))
    newer = http_cache.c.fetched_at > fetched_before
    await connection.execute(update(http_cache).where(of_prefix, newer).values(fetched_at=fetched_before))
