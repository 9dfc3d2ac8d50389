"""Repos that are gone and monitored systems that hang."""

from __future__ import annotations

import asyncio

from app.playground.stack import Fault
from app.playground.stack.stack import SYSTEMS
from drills.drill import Drill, Run, program
from drills.ground import Ground
from drills.load import Load


async def repos_gone(here: Ground, load: Load) -> None:
    """The git remotes are away, also for a process that starts meanwhile and has no copy yet."""
    await program(here)
    there = here.organisation.folder
    away = there.with_name("away")
    async with load:
        await asyncio.sleep(3)
        there.rename(away)
        await here.start()
        await asyncio.sleep(here.seconds)
        away.rename(there)
        await asyncio.sleep(3)


def hanging(*systems: str) -> Run:
    async def run(here: Ground, load: Load) -> None:
        await program(here)
        load.page_every = 6
        async with load:
            for system in systems:
                here.sim.faults.set(system, Fault.hanging())
            await asyncio.sleep(here.seconds)
            here.sim.faults.clear()
            asked = {each.system for each in here.sim.asked}
            here.must_be(bool(asked & set(systems)), "nobody asked what hangs")
            await asyncio.sleep(3)

    return run


DRILLS = (
    Drill("git-gone", "the git remotes are gone, also for a process that starts", repos_gone, True),
    Drill("source-hangs", "Prometheus takes connections and never answers", hanging("prometheus"), True),
    Drill("sources-hang", "all monitored systems and PagerDuty do so", hanging(*SYSTEMS), True),
)
