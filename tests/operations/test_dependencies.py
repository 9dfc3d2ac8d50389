"""How what we depend on is asked and told: in parallel, within a deadline, with the age of the last good answer."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from app.operations.dependencies import FRESH_SECONDS, Dependencies, Dependency
from app.settings import Endpoint
from app.sources.clients import Clients
from app.sources.failures import QueryRejected, SourceFailed
from app.sources.prometheus import Prometheus
from app.standing import Standings
from tests.fakes.wire import Request, Response, WireServer
from tests.operations.conftest import beat, operations_on


async def well() -> object:
    return None


async def hangs() -> object:
    await asyncio.sleep(600)
    return None


async def fails() -> object:
    raise SourceFailed("loki", "broke its answer off; password=hunter2-very-long was in it.")


async def says_no() -> object:
    raise QueryRejected("loki", "rejects the query.")


def those(*every: Dependency, standings: Standings | None = None, **more: float) -> Dependencies:
    return Dependencies(lambda: every, standings or Standings(), **more)  # type: ignore[arg-type]


async def test_one_that_hangs_takes_its_deadline_and_holds_up_no_other() -> None:
    slow = [Dependency(f"slow {n}", "source", "", ask=hangs) for n in range(100)]
    asked = those(Dependency("fast", "source", "", ask=well), *slow, deadline_seconds=0.2)
    began = time.monotonic()
    health = await asked.health()
    assert time.monotonic() - began < 10
    told = {each.name: each for each in health.dependencies}
    assert told["fast"].status == "ok"
    assert told["slow 3"].status == "failing"
    assert told["slow 3"].detail == "did not answer within 0.2 seconds."
    assert health.verdict == "degraded"


async def test_what_rejects_a_question_answers_and_what_breaks_off_does_not() -> None:
    asked = those(
        Dependency("picky", "source", "", ask=says_no), Dependency("broken", "source", "", ask=fails)
    )
    picky, broken = (await asked.health()).dependencies
    assert (picky.status, picky.detail) == ("ok", None)
    assert picky.latency_ms is not None
    assert broken.status == "failing"
    assert broken.detail
    assert "hunter2" not in broken.detail


async def test_a_critical_one_makes_it_unhealthy_and_one_never_asked_makes_it_nothing() -> None:
    idle = Dependency("model", "model", "")
    assert (await those(idle).health()).verdict == "healthy"
    assert (
        await those(idle, Dependency("database", "", "", True, ask=fails)).health()
    ).verdict == "unhealthy"


async def test_the_age_of_the_last_good_answer_grows_while_there_is_no_other() -> None:
    now, seconds, answers = [datetime(2026, 11, 21, tzinfo=UTC)], [0.0], [well]
    standings = Standings(clock=lambda: now[0])

    async def ask() -> object:
        return await answers[0]()

    asked = Dependencies(
        lambda: (Dependency("slack", "slack", "", ask=ask),),
        standings,
        clock=lambda: now[0],
        seconds=lambda: seconds[0],
    )
    assert (await asked.health()).dependencies[0].age_seconds == 0
    answers[0] = fails
    now[0] += timedelta(seconds=90)
    assert (await asked.health()).dependencies[0].status == "ok", "asked again within the time it is fresh"
    seconds[0] += FRESH_SECONDS
    (told,) = (await asked.health()).dependencies
    assert (told.status, told.age_seconds) == ("failing", 90)
    assert told.last_ok_at == datetime(2026, 11, 21, tzinfo=UTC)
    assert asked.listed()[0].status == "failing"


async def test_the_dependencies_are_those_that_are_configured(engine: AsyncEngine) -> None:
    await beat(engine)
    bare = await (await operations_on(engine, MODEL_PROVIDER="offline")).health()
    assert {each.name: each.status for each in bare.dependencies} == {
        "database": "ok",
        "queue": "ok",
        "slack": "ok",
        "system_prompt": "ok",
        "knowledge": "ok",
    }
    assert bare.verdict == "healthy"
    more = await operations_on(
        engine,
        ANTHROPIC_API_KEY="sk-ant-x",
        BLUEPRINTS_REPO_URL="https://bot:hunter2@git.example.com/acme/blueprints.git",
        SERVICE_REGISTRY="checkout|https://checkout.internal|critical",
    )
    listed = {each.name: each for each in more.listed().dependencies}
    assert listed.keys() >= {"model", "git:blueprints"}
    assert listed["git:blueprints"].address == "https://git.example.com/acme/blueprints.git"
    assert listed["model"].status == "unknown"
    assert all(each.without_it for each in listed.values())


async def test_a_queue_without_a_worker_is_said(engine: AsyncEngine) -> None:
    told = {each.name: each for each in (await (await operations_on(engine)).health()).dependencies}
    assert told["queue"].status == "failing"
    assert "sre-agent worker" in (told["queue"].detail or "")


@pytest.mark.parametrize(
    ("status", "body", "wanted"),
    [
        (200, b'{"status":"success","data":{"resultType":"scalar","result":[1,"1"]}}', "ok"),
        (400, b'{"status":"error","error":"parse error"}', "ok"),
        (401, b"", "failing"),
        (503, b"", "failing"),
    ],
)
async def test_a_source_is_asked_a_cheap_question_with_its_credentials(
    engine: AsyncEngine, status: int, body: bytes, wanted: str
) -> None:
    asked: list[Request] = []

    async def answer(request: Request) -> Response:
        asked.append(request)
        return Response(status, body, {"Content-Type": "application/json"})

    async with WireServer(answer) as server:
        source = Prometheus(Endpoint(server.url, SecretStr("a-token")))
        operations = await operations_on(
            engine, clients=Clients(prometheus=source), PROMETHEUS_URL=server.url
        )
        told = {each.name: each for each in (await operations.health()).dependencies}
        await source.aclose()
    assert told["prometheus"].status == wanted
    assert [request.path for request in asked] == ["/api/v1/query"]
    assert asked[0].headers["authorization"] == "Bearer a-token"
