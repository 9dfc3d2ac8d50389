"""What the cluster asks of a process."""

from __future__ import annotations

import asyncio

import httpx

from tests.acceptance.conftest import CHECKOUT, LAUNCH, MAYA, Stack, organisation, stack
from tests.acceptance.test_durability import forbid_connections, runtime_database
from tests.sources.prometheus_server import free_port

__all__ = ["organisation", "stack"]


async def test_a_started_process_is_ready_and_says_what_it_asked(stack: Stack) -> None:
    runtime = await stack.serve()
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{runtime.ports['OPS_PORT']}", timeout=60
    ) as probe:
        for alias in ("/healthz", "/health"):
            assert (await probe.get(alias)).json() == {"status": "ok"}
        ready = await probe.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["checks"].keys() == {"database", "knowledge", "queue", "slack", "not draining"}


async def test_a_process_without_its_database_is_alive_and_not_ready(stack: Stack, postgres_url: str) -> None:
    runtime = await stack.serve()
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{runtime.ports['OPS_PORT']}", timeout=60
    ) as probe:
        await forbid_connections(postgres_url, runtime_database(stack), True)
        assert (await probe.get("/healthz")).status_code == 200
        answer = await probe.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["database"] is False
        await forbid_connections(postgres_url, runtime_database(stack), False)


async def test_a_process_that_drains_stays_and_takes_nothing_new(stack: Stack) -> None:
    proof = {"Authorization": "Bearer a-token-of-the-test"}
    runtime = await stack.serve(OPS_AUTH_TOKEN="a-token-of-the-test", ALERT_WEBHOOK_TOKEN="hook")
    ops, door = (f"http://127.0.0.1:{runtime.ports[name]}" for name in ("OPS_PORT", "PORT"))
    async with httpx.AsyncClient(timeout=60) as asking:
        status = (await asking.get(f"{ops}/ops/status", headers=proof)).json()
        assert (status["verdict"], status["roles"]) == ("healthy", ["door", "worker"]), status["because"]
        assert status["signals"]["saturation"]["here"].keys() == {"turns", "look", "diagnose"}

        assert (await asking.post(f"{ops}/ops/drain", headers=proof)).json()["draining"] is True
        ready = await asking.get(f"{ops}/readyz")
        assert (ready.status_code, ready.json()["checks"]["not draining"]) == (503, False)
        hook = await asking.post(f"{door}/webhooks/alertmanager", headers={"Authorization": "Bearer hook"})
        assert (hook.status_code, hook.headers["Retry-After"], hook.json()["error"]) == (503, "5", "draining")
        # What is said over the socket is kept for others.
        ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
        await stack.slack.wait_for(lambda: bool(stack.slack.channel(CHECKOUT)[-1].reactions))
        await asyncio.sleep(1)
        assert await stack.rows("SELECT status FROM turns") == [("queued",)]
        assert (await asking.get(f"{ops}/healthz")).status_code == 200

        await stack.serve(door=False)
        assert await stack.answered(CHECKOUT, ts)
        page = (await asking.get(f"{ops}/metrics")).text
        assert "sre_agent_process_draining 1.0" in page
        assert 'sre_agent_queue_jobs{queue="turns",status="todo"}' not in page


async def test_one_port_may_serve_both_where_a_platform_gives_one(stack: Stack) -> None:
    port = str(free_port())
    runtime = await stack.serve(PORT=port, OPS_PORT=port, SLACK_APP_TOKEN="")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.ports['PORT']}", timeout=60) as probe:
        assert (await probe.get("/healthz")).status_code == 200
        assert (await probe.post("/slack/events", content=b"{}")).status_code == 401
        # The internet reaches this port: without a token the alerts are not there.
        assert (await probe.get("/alerts")).status_code == 404


async def test_a_process_that_carries_out_jobs_alone_tells_of_alerts_too(stack: Stack) -> None:
    runtime = await stack.serve(door=False)
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{runtime.ports['OPS_PORT']}", timeout=60
    ) as probe:
        assert (await probe.get("/alerts")).json() == {"waiting_in_all": 0, "waiting": [], "recent": []}
        assert "/alerts/{investigation_id}" in (await probe.get("/openapi.json")).json()["paths"]


async def test_alerts_on_a_shared_port_need_their_token(stack: Stack) -> None:
    port = str(free_port())
    runtime = await stack.serve(PORT=port, OPS_PORT=port, OPS_AUTH_TOKEN="a-token-of-the-test")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.ports['PORT']}", timeout=60) as probe:
        assert (await probe.get("/alerts")).status_code == 401
        proof = {"Authorization": "Bearer a-token-of-the-test"}
        assert (await probe.get("/alerts", headers=proof)).status_code == 200
