"""Moments of a piece of work at which its worker may die, each made to last until somebody has seen it.

Where a worker dies is chosen by what it waits for just then: a source that hangs, a call of Slack that is
not answered, a model that is slow, a database that stops for a moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import parse_qs

from sqlalchemy.ext.asyncio import AsyncEngine

from app.playground.slack.faults import CallFault
from app.playground.slack.records import Message
from app.playground.slack.server import PlaygroundSlack
from app.playground.stack import Fault, SimulatedStack
from tests.acceptance.investigating import INCIDENTS, diagnosis
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.script import Reply, call, say

ERRORS = 'sum by (service) (rate(http_requests_total{status=~"5.."}[2m]))'


class Scene(Protocol):
    """Everything that can be made to hang around one program."""

    @property
    def slack(self) -> PlaygroundSlack: ...
    @property
    def sim(self) -> SimulatedStack: ...
    @property
    def model(self) -> FakeAnthropic: ...


def lasting(reply: Reply, seconds: float = 60) -> Reply:
    return Reply(reply.text, reply.calls, first_token_seconds=seconds)


@dataclass(frozen=True)
class Moment:
    """Where a worker dies: what is made to hang before the page, how one sees that it does, and what is
    made well again."""

    hang: Callable[[Scene], None]
    hangs: Callable[[Scene], Any]
    script: tuple[Reply, ...] = ()
    then: tuple[Reply, ...] = (say("", call("promql", query=ERRORS)), say("", diagnosis()))
    calls: int = 1
    strong: int = 0
    """Requests to the strong model, those of the dead included."""


def slack(method: str, nth: int = 1) -> Callable[[Scene], None]:
    """The nth call of a method takes effect, and its answer never comes."""

    def hang(one: Scene) -> None:
        calls = one.slack.faults.calls
        calls.add(method, CallFault.slow(0), times=nth - 1)
        calls.add(method, CallFault.slow(60))

    return hang


def called(method: str, nth: int = 1) -> Callable[[Scene], bool]:
    return lambda one: len(one.slack.calls(method)) >= nth


def nothing(one: Scene) -> None: ...


ASKED_TO_CALL = asyncio.Event()
"""Set when the system that a tool is to ask hangs: the model calls it no sooner."""


def hung(one: Scene, system: str) -> bool:
    """Whether a system that hangs since the model was asked has been asked by it."""
    one.sim.faults.set(system, Fault.hanging())
    ASKED_TO_CALL.set()
    return any(ERRORS in parse_qs(each.query).get("query", []) for each in one.sim.asked)


MOMENTS = {
    "the thread is posted": Moment(slack("chat.postMessage"), called("chat.postMessage")),
    "the sources are asked": Moment(
        lambda one: one.sim.faults.set("prometheus", Fault.hanging()),
        lambda one: any(each.system == "prometheus" for each in one.sim.asked) and _roots(one),
    ),
    "the evidence brief is posted": Moment(slack("chat.postMessage", 2), called("chat.postMessage", 2)),
    "the headline is rewritten": Moment(slack("chat.update"), called("chat.update")),
    "the chart is uploaded": Moment(
        slack("files.completeUploadExternal"),
        # Beside the diagnosis.
        lambda one: called("files.completeUploadExternal")(one) and one.model.requests,
        (lasting(say("", diagnosis())),),
    ),
    "the model is asked": Moment(nothing, lambda one: one.model.requests, (lasting(say("", diagnosis())),)),
    "a tool runs": Moment(
        lambda one: ASKED_TO_CALL.clear(),
        lambda one: one.model.requests and hung(one, "prometheus"),
        (say("", call("promql", query=ERRORS), waits_for=ASKED_TO_CALL),),
        (say("", diagnosis()),),
        calls=2,
    ),
    "the model is asked again": Moment(
        nothing,
        lambda one: len(one.model.requests) > 1,
        (say("", call("promql", query=ERRORS)), lasting(say("", diagnosis()))),
        (say("", diagnosis()),),
    ),
    "the strong model is asked": Moment(
        nothing,
        lambda one: len(one.model.requests) > 2,
        (
            say("", call("promql", query=ERRORS)),
            say("", diagnosis(0.3)),
            lasting(say("", diagnosis())),
        ),
        (say("", diagnosis()),),
        strong=2,
    ),
    "the diagnosis is posted": Moment(
        slack("chat.postMessage", 3),
        called("chat.postMessage", 3),
        (say("", call("promql", query=ERRORS)), say("", diagnosis())),
        (),
    ),
    "the headline says diagnosed": Moment(
        slack("chat.update", 2),
        called("chat.update", 2),
        (say("", call("promql", query=ERRORS)), say("", diagnosis())),
        (),
    ),
    "people are called": Moment(
        lambda one: one.sim.faults.set("pagerduty", Fault.hanging()),
        lambda one: any(each.path == "/v2/enqueue" for each in one.sim.asked),
        (say("", call("promql", query=ERRORS)), say("", diagnosis(0.3)), say("", diagnosis(0.3))),
        (),
        strong=1,
    ),
    "people are told of the call": Moment(
        slack("chat.postMessage", 4),
        called("chat.postMessage", 4),
        (say("", call("promql", query=ERRORS)), say("", diagnosis(0.3)), say("", diagnosis(0.3))),
        (),
        strong=1,
    ),
}


def _roots(one: Scene) -> list[Message]:
    return [each for each in one.slack.channel(INCIDENTS) if not each.is_reply]


PAUSED = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"
ANSWERED = "jsonb_path_exists(NEW.escalations, '$.*.outcome.status')"
OVER_NOW = "NEW.finished_at IS NOT NULL AND OLD.finished_at IS NULL"
STORED = {
    "the answer of PagerDuty is stored": f"TRIGGER pause BEFORE UPDATE ON investigations FOR EACH ROW WHEN ({ANSWERED})",
    "the end is stored": f"TRIGGER pause BEFORE UPDATE ON investigations FOR EACH ROW WHEN ({OVER_NOW})",
    "the end is committed": "CONSTRAINT TRIGGER pause AFTER UPDATE ON investigations "
    f"DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN ({OVER_NOW})",
}
"""Where the database stops for a moment, once, and the worker that waits for it is killed. The last of them
is stored all the same."""


async def paused(engine: AsyncEngine, trigger: str) -> None:
    async with engine.begin() as connection:
        for statement in (
            "CREATE SEQUENCE pauses",
            "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "IF nextval('pauses') = 1 THEN PERFORM pg_sleep(4); END IF; RETURN NEW; END $$",
            f"CREATE {trigger} EXECUTE FUNCTION pause()",
        ):
            await connection.exec_driver_sql(statement)
