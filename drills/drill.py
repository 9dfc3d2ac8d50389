"""What a drill is, and how one is carried out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from benchmarks.stand import App
from drills.ground import TEMPLATE, Ground, NotRun, Server, ground, server
from drills.load import Load
from drills.tally import Outcome, settled, tally

Run = Callable[[Ground, Load], Awaitable[None]]
PATIENCE_SECONDS = 90.0
"""Beyond five times the fault's length, which is when Slack tries for the last time."""


@dataclass(frozen=True)
class Drill:
    """A fault: `run` starts the program on its ground, lets work come in, breaks something and mends it.

    `lasting` says that the fault lasts as long as the command is told to; the others are moments.
    """

    name: str
    what: str
    run: Run
    lasting: bool = False
    family: str = ""
    """A name for it and others alike."""
    fresh: bool = False
    """Its database has no schema yet."""
    own_server: bool = False
    """It breaks Postgres, so nobody else is to be on it."""
    disk: Callable[[Path], AbstractAsyncContextManager[Path]] | None = None
    """Gives its Postgres a disk of its own."""


async def program(here: Ground, **values: str) -> list[App]:
    """What most drills are about: a door and two workers; the first is the door."""
    door = await here.start("serve", **values)
    workers = [await here.begin("worker", **values) for _ in range(2)]
    await asyncio.gather(*(each.ready() for each in workers))
    await here.slack.connected()
    return [door, *workers]


@dataclass(frozen=True)
class Terms:
    """What the command says of all drills: how long a fault lasts, which version is the one before."""

    seconds: float
    against: str | None = None


async def carry_out(drill: Drill, shared: Server, terms: Terms, folder: Path) -> Outcome:
    """The drill's outcome; a program that does not come up, or is not where it should be, fails it."""
    try:
        if not (drill.own_server or drill.disk):
            return await _on(shared, drill, terms, folder)
        disk = drill.disk(folder / "disk") if drill.disk else nullcontext(folder)
        async with disk as place, server(place) as own:
            return await _on(own, drill, terms, folder)
    except NotRun as reason:
        return Outcome(drill.name, not_run=str(reason))


async def _on(at: Server, drill: Drill, terms: Terms, folder: Path) -> Outcome:
    began = time.monotonic()
    url = await at.database(f"drill_{folder.name}", None if drill.fresh else TEMPLATE)
    async with ground(at, url, folder, terms.seconds, terms.against) as here:
        load = Load(here, most=round(terms.seconds) + 10)
        load.over = partial(settled, load, PATIENCE_SECONDS + 5 * terms.seconds)
        try:
            await drill.run(here, load)
            await load.over()
            outcome = await tally(drill.name, load)
        except (RuntimeError, SQLAlchemyError, OSError) as error:
            return Outcome(drill.name, failed_with=str(error).splitlines()[0], trouble=_last_words(here))
    return replace(outcome, took=time.monotonic() - began)


def _last_words(here: Ground) -> tuple[str, ...]:
    return tuple(f"{app.log.name}: {app.last_words()[-1500:]}" for app in here.apps)
