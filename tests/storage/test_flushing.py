"""One wait for the disk for many."""

from __future__ import annotations

import asyncio

from sqlalchemy import text
from sqlalchemy.engine import make_url

from app.storage.engine import begin, create_engine
from app.storage.flushing import Flush
from tests.conftest import execute

UNHURRIED = "SET LOCAL synchronous_commit = off"
WRITTEN = "SELECT pg_current_wal_insert_lsn()::text"
KEPT = "SELECT pg_current_wal_flush_lsn() >= CAST(CAST(:until AS text) AS pg_lsn)"


async def test_what_was_committed_before_is_on_the_disk_when_it_is_done(database_url: str) -> None:
    # The server of the tests waits for no disk.
    await execute(
        database_url, f"ALTER DATABASE {make_url(database_url).database} SET synchronous_commit = on"
    )
    engine = create_engine(database_url)
    flush = Flush(engine)

    async def write(number: int) -> bool:
        async with begin(engine) as connection:
            await connection.execute(text(UNHURRIED))
            await connection.execute(
                text("INSERT INTO rejected_webhooks (source, reason, payload) VALUES ('a', 'b', '{}')")
            )
        async with begin(engine) as connection:
            until = (await connection.execute(text(WRITTEN))).scalar_one()
        await flush.done()
        async with begin(engine) as connection:
            return bool((await connection.execute(text(KEPT), {"until": until})).scalar_one())

    assert all(await asyncio.gather(*map(write, range(8))))
    await engine.dispose()
