"""What a drill is, and how one is carried out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.stand import App
from drills.ground import Ground, NotRun, Server, ground
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
    settings: Mapping[str, str] = field(default_factory=dict)
    own_server: bool = False
    """It starts a Postgres of its own, where the fault wants it."""


async def program(here: Ground, **values: str) -> list[App]:
    """What most drills are about: a door and two workers; the first is the door."""
    door = await here.start("serve", **values)
    workers = [await here.begin("worker", **values) for _ in range(2)]
    await asyncio.gather(*(each.ready() for each in workers))
    await here.slack.connected()
    return [door, *workers]


async def carry_out(drill: Drill, server: Server, seconds: float, folder: Path) -> Outcome:
    """The drill's outcome; a program that does not come up, or is not where it should be, fails it."""
    began = time.monotonic()
    url = await server.database(f"drill_{folder.name.replace('-', '_')}")
    try:
        async with ground(server, url, folder, seconds, **drill.settings) as here:
            load = Load(here, most=round(seconds) + 10)
            try:
                await drill.run(here, load)
                await settled(load, PATIENCE_SECONDS + 5 * seconds)
            except RuntimeError as error:
                return Outcome(drill.name, 1, trouble=(str(error), *_last_words(here)))
            accepted, answered, twice, silence, trouble = await tally(load)
    except NotRun as reason:
        return Outcome(drill.name, not_run=str(reason))
    return Outcome(drill.name, accepted, answered, twice, silence, time.monotonic() - began, trouble)


def _last_words(here: Ground) -> list[str]:
    return [f"{app.log.name}: {app.last_words()[-1500:]}" for app in here.apps]
