"""kill -9 at each moment of a turn and of an investigation; another process goes on.

One process takes everything. It is brought to the moment and held there, somebody else asks, and it is
killed; a question comes while none lives; then its successor starts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.model import READ
from drills.drill import Drill, Run
from drills.ground import Ground
from drills.load import Load
from tests.acceptance.moments import (
    ERRORS,
    MOMENTS,
    OVER_NOW,
    PAUSED,
    STORED,
    Moment,
    called,
    hung,
    lasting,
    nothing,
    paused,
    slack,
)
from tests.fakes.script import Reply, call, conclude, say

WORDS = "The contract with payments allows 800 ms and one retry. " * 6
TOOL = call(READ[0], **READ[1])
TURN_MOMENTS = {
    "its message begins": Moment(slack("chat.startStream"), called("chat.startStream")),
    "the model is asked": Moment(nothing, lambda one: one.model.requests, (lasting(say(WORDS, conclude())),)),
    "a tool runs": Moment(
        nothing,
        lambda one: one.model.requests and hung(one, "prometheus"),
        (say("", call("promql", query=ERRORS), first_token_seconds=1),),
    ),
    "the model is asked again": Moment(
        nothing,
        lambda one: len(one.model.requests) > 1,
        (say("", TOOL), lasting(say(WORDS, conclude()))),
    ),
    "the answer grows": Moment(
        nothing, called("chat.appendStream"), (say(WORDS, conclude(), tokens_per_second=5),)
    ),
    "the answer is completed": Moment(slack("chat.stopStream"), called("chat.stopStream")),
    "✅ is given": Moment(slack("reactions.add", 2), called("reactions.add", 2)),
}
TURN_STORED = {
    "the end is stored": f"TRIGGER pause BEFORE UPDATE ON turns FOR EACH ROW WHEN ({OVER_NOW})",
    "the end is committed": "CONSTRAINT TRIGGER pause AFTER UPDATE ON turns "
    f"DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ({OVER_NOW})",
}
UNSURE = MOMENTS["people are called"].script
"""What makes a diagnosis call people, whose answer is then stored."""

Work = Callable[[Load], Any]


async def _question(load: Load) -> None:
    await load.ask()


async def _page(load: Load) -> None:
    await load.page()


def dies_at(moment: Moment, work: Work, replies: Callable[[Ground], list[Reply]]) -> Run:
    async def run(here: Ground, load: Load) -> None:
        victim = await here.start("serve")
        await here.slack.connected()
        replies(here).extend(moment.script)
        moment.hang(here)
        await work(load)
        await here.until(lambda: moment.hangs(here))
        await _succeeded(here, load, victim)

    return run


def dies_while_stored(trigger: str, work: Work, script: tuple[Reply, ...] = ()) -> Run:
    """The database stops for a moment as it stores something; the last of such is stored all the same."""

    async def run(here: Ground, load: Load) -> None:
        victim = await here.start("serve")
        await here.slack.connected()
        here.model.diagnoses.extend(script)
        await paused(here.engine, trigger)
        await work(load)
        await here.until_rows(PAUSED, [(1,)])
        await _succeeded(here, load, victim)

    return run


async def _succeeded(here: Ground, load: Load, victim: Any) -> None:
    await load.ask()
    await victim.kill()
    await load.ask()
    here.slack.faults.calls.clear()
    here.sim.faults.clear()
    await here.start("serve")


def _drills() -> tuple[Drill, ...]:
    def named(family: str, moments: Mapping[str, Any], made: Callable[[Any], Run]) -> list[Drill]:
        return [
            Drill(f"{family}: {name}", f"kill -9 when {name}", made(moment), family=family)
            for name, moment in moments.items()
        ]

    return (
        *named("kill-turn", TURN_MOMENTS, lambda at: dies_at(at, _question, lambda here: here.model.answers)),
        *named("kill-turn", TURN_STORED, lambda at: dies_while_stored(at, _question)),
        *named("kill-page", MOMENTS, lambda at: dies_at(at, _page, lambda here: here.model.diagnoses)),
        *named("kill-page", STORED, lambda at: dies_while_stored(at, _page, UNSURE)),
    )


DRILLS = _drills()
