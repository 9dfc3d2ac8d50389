"""The pages of `/ops` and what may be changed there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from app import telemetry
from app.operations.operations import Operations
from app.storage.engine import begin, create_engine
from app.web.ops import ops_app
from tests.operations.conftest import beat, operations_on

TOKEN = "a-token-of-the-test"
PROOF = {"Authorization": f"Bearer {TOKEN}"}
PAGES = ("status", "health", "metrics", "config", "dependencies", "errors")
CHANGES: dict[str, dict[str, str]] = {"/ops/loglevel": {"level": "DEBUG"}, "/ops/drain": {}}


def asking(operations: Operations, **more: Any) -> httpx.AsyncClient:
    app = ops_app({}, draining=operations.controls.is_draining, operations=operations, **more)
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ops")


@pytest.fixture(autouse=True)
def level_as_it_was() -> Iterator[None]:
    before = telemetry.level()
    yield
    telemetry.set_level(before)
    structlog.reset_defaults()


async def test_status_tells_a_verdict_and_the_golden_signals(engine: AsyncEngine) -> None:
    await beat(engine)
    async with asking(await operations_on(engine, MODEL_PROVIDER="offline")) as ops:
        told = (await ops.get("/ops/status")).json()
    assert (told["verdict"], told["because"], told["draining"]) == ("healthy", [], False)
    assert told["signals"].keys() == {"traffic", "errors", "latency", "saturation"}
    assert told["signals"]["saturation"]["here"]["turns"] == {"running": 2, "room": 10}
    assert (told["instance"], told["roles"]) == ("pod-1:7", ["door", "worker"])


async def test_the_pages_answer_while_the_database_is_away_and_say_what_they_do_not_know(
    database_url: str,
) -> None:
    away = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    async with asking(await operations_on(away)) as ops:
        answers = {page: await ops.get(f"/ops/{page}") for page in PAGES}
        assert {answer.status_code for answer in answers.values()} == {200}
        assert (answers["status"].json()["verdict"], answers["status"].json()["signals"]) == (
            "unhealthy",
            None,
        )
        assert "database: The database does not answer" in answers["status"].json()["because"][0]
        assert answers["metrics"].json()["token_usage"] is None
        assert answers["errors"].json()["stored"] is None
        prometheus = (await ops.get("/metrics")).text
        assert "sre_agent_database_up 0.0" in prometheus
        assert "\nsre_agent_queue_workers " not in prometheus
    await away.dispose()


async def test_metrics_tell_tokens_in_total_and_for_the_rolling_hour(engine: AsyncEngine) -> None:
    async with asking(await operations_on(engine)) as ops:
        told = (await ops.get("/ops/metrics")).json()
    assert told["token_usage"].keys() == {"totals", "rolling_hour", "hour", "day", "this_process"}
    assert told["token_usage"]["hour"] == {"tokens": 0, "usd": 0, "usd_limit": 20, "tokens_limit": None}
    assert told["knowledge"]["revision"].startswith("local-")
    assert told["rates"]["turns_per_minute"] == 0


async def test_config_tells_the_level_in_force_and_no_secret(engine: AsyncEngine) -> None:
    operations = await operations_on(engine, SLACK_BOT_TOKEN="canary-51e2", OPS_AUTH_TOKEN="canary-97aa")
    async with asking(operations, token=TOKEN) as ops:
        answer = await ops.get("/ops/config", headers=PROOF)
    assert "canary" not in answer.text
    told = answer.json()["groups"]
    assert told["process"]["OPS_AUTH_TOKEN"] == {
        "value": None,
        "is_set": True,
        "secret": True,
        "default": False,
    }
    assert told["process"]["PORT"]["value"] == 8080


async def test_without_a_token_what_changes_something_is_not_there_and_the_log_says_so(
    engine: AsyncEngine,
) -> None:
    with capture_logs() as logs:
        ops = asking(await operations_on(engine))
    assert {each["route"] for each in logs if each["event"] == "route_off"} == set(CHANGES)
    async with ops:
        for path, body in CHANGES.items():
            for headers in ({}, PROOF):
                assert (await ops.post(path, json=body, headers=headers)).status_code == 404
        assert (await ops.get("/ops/status")).status_code == 200
        assert not (await ops.get("/openapi.json")).json()["paths"].keys() & CHANGES.keys()


async def test_with_a_token_everything_but_probes_and_scrapes_demands_it(engine: AsyncEngine) -> None:
    async with asking(await operations_on(engine), token=TOKEN) as ops:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert (await ops.get(path)).status_code == 200
        for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": f"Basic {TOKEN}"}):
            for page in PAGES:
                assert (await ops.get(f"/ops/{page}", headers=headers)).status_code == 401
            for path, body in CHANGES.items():
                refused = await ops.post(path, json=body, headers=headers)
                assert (refused.status_code, refused.json()["error"]) == (401, "not_proven")
        assert (await ops.get("/ops/status", headers=PROOF)).status_code == 200


async def test_where_the_internet_shares_the_port_nothing_is_open(engine: AsyncEngine) -> None:
    operations = await operations_on(engine)
    paths = [*(f"/ops/{page}" for page in PAGES), "/metrics"]
    with capture_logs() as logs:
        ops = asking(operations, own_port=False)
    assert {"/alerts", "/ops", "/metrics"} <= {each["route"] for each in logs}
    async with ops:
        assert {(await ops.get(path)).status_code for path in paths} == {404}
    async with asking(operations, own_port=False, token=TOKEN) as ops:
        assert {(await ops.get(path)).status_code for path in paths} == {401}
        assert {(await ops.get(path, headers=PROOF)).status_code for path in paths} == {200}


async def test_the_log_level_is_changed_and_audited(engine: AsyncEngine) -> None:
    telemetry.set_level("INFO")
    async with asking(await operations_on(engine), token=TOKEN) as ops:
        answer = await ops.post("/ops/loglevel", json={"level": "DEBUG"}, headers=PROOF)
        assert answer.json() == {"level": "DEBUG", "was": "INFO", "instance": "pod-1:7", "audited": True}
        assert (await ops.get("/ops/config", headers=PROOF)).json()["log_level"] == "DEBUG"
        for wrong in ({"level": "LOUD"}, {}, {"level": "INFO", "also": 1}, [], "DEBUG"):
            refused = await ops.post("/ops/loglevel", json=wrong, headers=PROOF)
            assert (refused.status_code, refused.json()["error"]) == (422, "bad_request")
    assert telemetry.level() == "DEBUG"
    rows = await audited(engine)
    assert rows == [("loglevel_change", "INFO → DEBUG", "pod-1:7", answer.headers["X-Trace-Id"])]


async def test_a_drain_is_audited_once_however_often_it_is_asked_for(engine: AsyncEngine) -> None:
    state = {"draining": False}
    operations = await operations_on(
        engine, drain=lambda: state.update(draining=True), is_draining=lambda: state["draining"]
    )
    async with asking(operations, token=TOKEN) as ops:
        assert (await ops.get("/readyz")).status_code == 200
        for _ in range(2):
            answer = await ops.post("/ops/drain", headers=PROOF)
            assert answer.json() == {"draining": True, "running": 0, "instance": "pod-1:7", "audited": True}
        assert (await ops.get("/readyz")).status_code == 503
        status = (await ops.get("/ops/status", headers=PROOF)).json()
        assert status["draining"] is True
        assert "This process drains." in status["because"]
    assert [row[0] for row in await audited(engine)] == ["drain"]


async def test_a_drain_does_not_wait_for_a_database_that_is_away_and_is_audited_when_it_is_back(
    engine: AsyncEngine,
) -> None:
    drained, back, away = asyncio.Event(), asyncio.Event(), create_engine("postgresql://nobody@127.0.0.1:1/x")
    operations = await operations_on(engine, drain=drained.set, is_draining=drained.is_set)
    operations.controls.engine = away

    async def sleep(seconds: float) -> None:
        await back.wait()

    operations.controls.sleep = sleep
    async with asking(operations, token=TOKEN) as ops:
        assert (await ops.post("/ops/drain", headers=PROOF)).json()["audited"] is False
    assert drained.is_set()
    operations.controls.engine = engine
    back.set()
    async with asyncio.timeout(60):
        while not await audited(engine):
            await asyncio.sleep(0.02)
    assert [row[0] for row in await audited(engine)] == ["drain"]
    await away.dispose()


async def test_every_answer_names_its_trace_and_takes_none_from_outside(engine: AsyncEngine) -> None:
    async with asking(await operations_on(engine), token=TOKEN) as ops:
        ids = [
            (await ops.get(path, headers={"X-Trace-Id": "of-somebody-else"})).headers["X-Trace-Id"]
            for path in ("/healthz", "/ops/status", "/nothing", "/metrics")
        ]
    assert len(set(ids)) == 4
    assert all(len(each) == 32 and int(each, 16) for each in ids)


async def audited(engine: AsyncEngine) -> list[tuple[Any, ...]]:
    async with begin(engine) as connection:
        rows = await connection.execute(
            text("SELECT action, input_text, response_text, trace_id FROM audit_log ORDER BY id")
        )
        return [tuple(row) for row in rows]
