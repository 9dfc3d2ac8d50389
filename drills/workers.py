"""Workers and doors that die, stand still or are told to leave."""

from __future__ import annotations

import asyncio
import signal

from drills.drill import Drill, program
from drills.ground import Ground
from drills.load import Load

KILL_EVERY_SECONDS = 4.0


async def killed_under_load(here: Ground, load: Load) -> None:
    """kill -9 to a worker, again and again, each replaced as an orchestrator would; and once to the door."""
    door, *workers = await program(here)
    kills = max(2, round(here.seconds / KILL_EVERY_SECONDS))
    async with load:
        for number in range(kills):
            await asyncio.sleep(KILL_EVERY_SECONDS)
            workers.append(await here.begin())
            await workers.pop(0).kill()
            await workers[-1].ready()
            if number == kills // 2:
                await door.kill()
                door = await here.start("serve")


async def leaving_under_load(here: Ground, load: Load) -> None:
    """SIGTERM to every process in turn, each replaced first: an update of the deployment."""
    apps = await program(here)
    async with load:
        await asyncio.sleep(3)
        for command, old in zip(("worker", "worker", "serve"), reversed(apps), strict=True):
            await here.start(command)
            old.send(signal.SIGTERM)
            await asyncio.sleep(max(1.0, here.seconds / 6))
            await asyncio.wait_for(old.process.wait(), 60)


async def paused(here: Ground, load: Load) -> None:
    """SIGSTOP to a worker for longer than others wait for its heart; it wakes up behind its successor."""
    _, worker, _ = await program(here)
    async with load:
        await asyncio.sleep(3)
        worker.send(signal.SIGSTOP)
        await asyncio.sleep(max(12.0, here.seconds / 2))
        worker.send(signal.SIGCONT)
        await asyncio.sleep(3)


DRILLS = (
    Drill("kill", "kill -9 to a worker every four seconds, and once to the door", killed_under_load, True),
    Drill("term", "SIGTERM to every process in turn, each replaced first", leaving_under_load, True),
    Drill("pause", "SIGSTOP to a worker until it has been replaced, then SIGCONT", paused, True),
)
