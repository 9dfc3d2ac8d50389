"""A Postgres that restarts, dies, or has no connection left."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncpg

from drills.drill import Drill, program
from drills.ground import Ground
from drills.load import Load


async def restarted(here: Ground, load: Load) -> None:
    await program(here)
    async with load:
        await asyncio.sleep(3)
        await here.server.stop()
        await asyncio.sleep(here.seconds)
        await here.server.start()
        await asyncio.sleep(3)


async def crashed(here: Ground, load: Load) -> None:
    await program(here)
    async with load:
        for _ in range(2):
            await asyncio.sleep(4)
            here.server.crash()
            await asyncio.sleep(1)
            await here.server.start()
        await asyncio.sleep(3)


async def filled(here: Ground, load: Load) -> None:
    """Others hold every connection; a process that starts meanwhile finds none."""
    await program(here)
    async with load:
        await asyncio.sleep(3)
        late = await here.begin()
        held = await _all_connections(here)
        await asyncio.sleep(here.seconds)
        for each in held:
            each.terminate()
        if late.living:
            with suppress(RuntimeError):
                await late.ready()
        await here.start()
        await asyncio.sleep(3)


async def _all_connections(here: Ground) -> list[asyncpg.Connection]:
    held = []
    with suppress(asyncpg.TooManyConnectionsError):
        while True:
            held.append(await asyncpg.connect(here.environment["DATABASE_URL"]))
    return held


DRILLS = (
    Drill(
        "postgres-restart",
        "Postgres is stopped, and started when the time is over",
        restarted,
        True,
        own_server=True,
    ),
    Drill("postgres-crash", "kill -9 to Postgres, twice, each time started again", crashed, own_server=True),
    Drill("postgres-full", "other clients hold every connection of Postgres", filled, True, own_server=True),
)
