"""A Slack that limits, fails, loses its own answers, or delivers twice and in another order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from app.playground.slack.faults import CallFault
from drills.drill import Drill, Run, program
from drills.ground import Ground
from drills.load import Load

REORDERED = 4
"""So many events at a time come last first."""
REARM_SECONDS = 1.0
LOST_SHARE = 0.2


def failing(fault: Callable[[], CallFault | None]) -> Run:
    """Calls of every method end that way while it lasts."""

    async def run(here: Ground, load: Load) -> None:
        await program(here)
        async with load:
            await asyncio.sleep(3)
            struck = len(here.slack.calls())
            here.slack.faults.calls.always = lambda _: fault()
            await asyncio.sleep(here.seconds)
            here.slack.faults.calls.always = None
            here.must_be(any(not each.ok for each in here.slack.calls()[struck:]), "no call of Slack failed")
            await asyncio.sleep(3)

    return run


def some_answers_lost() -> CallFault | None:
    return CallFault.dropped(applied=True) if random.random() < LOST_SHARE else None


async def delivered_badly(here: Ground, load: Load) -> None:
    """Every event comes twice, one ack in three is lost, and events overtake each other."""
    await program(here)
    faults = here.slack.faults.deliveries
    async with load:
        for _ in range(round(here.seconds / REARM_SECONDS)):
            faults.twice, faults.lose_acks, faults.reorder = 100, 1, REORDERED
            await asyncio.sleep(REARM_SECONDS)
        faults.twice = faults.lose_acks = faults.reorder = 0
        await asyncio.sleep(3)


DRILLS = (
    Drill("slack-429", "Slack answers every call with 429", failing(lambda: CallFault.limited(5)), True),
    Drill("slack-5xx", "Slack answers every call with 503", failing(lambda: CallFault.failing(503)), True),
    Drill(
        "slack-lost", "Slack does a fifth of the calls and loses its answer", failing(some_answers_lost), True
    ),
    Drill("slack-twice", "Slack delivers twice, again, and in another order", delivered_badly, True),
)
