"""A model that limits, is overloaded, says nothing, or breaks off in mid-answer."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from drills.drill import Drill, Run, program
from drills.ground import Ground
from drills.load import Load
from drills.model import Spoils
from tests.fakes.script import Reply

FOR_EVER = 3600.0


def failing(spoils: Spoils) -> Run:
    async def run(here: Ground, load: Load) -> None:
        await program(here)
        async with load:
            await asyncio.sleep(3)
            asked = len(here.model.requests)
            here.model.spoils = spoils
            await asyncio.sleep(here.seconds)
            here.model.spoils = None
            here.must_be(len(here.model.requests) > asked, "nobody asked the model")
            await asyncio.sleep(3)

    return run


def limited(_: Reply) -> Reply:
    return Reply(status=429, retry_after=5)


def overloaded(_: Reply) -> Reply:
    return Reply(status=529)


def silent(reply: Reply) -> Reply:
    return replace(reply, first_token_seconds=FOR_EVER)


def cut(reply: Reply) -> Reply:
    return replace(reply, fault="cut", fault_after=8)


DRILLS = (
    Drill("model-429", "the model answers every request with 429", failing(limited), True),
    Drill("model-529", "the model answers every request with 529", failing(overloaded), True),
    Drill("model-silent", "the model takes requests and says nothing", failing(silent), True),
    Drill("model-cut", "the model breaks off in the middle of every answer", failing(cut), True),
)
