"""What the cluster asks of a process."""

from __future__ import annotations

import httpx

from tests.acceptance.conftest import Stack, organisation, stack
from tests.acceptance.test_durability import forbid_connections, runtime_database

__all__ = ["organisation", "stack"]


async def test_a_started_process_is_ready_and_says_what_it_asked(stack: Stack) -> None:
    runtime = await stack.serve()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.ports['OPS_PORT']}") as probe:
        for alias in ("/healthz", "/health"):
            assert (await probe.get(alias)).json() == {"status": "ok"}
        ready = await probe.get("/readyz")
        assert ready.status_code == 200
        assert ready.json()["checks"].keys() == {"database", "knowledge", "queue", "slack", "not draining"}


async def test_a_process_without_its_database_is_alive_and_not_ready(stack: Stack, postgres_url: str) -> None:
    runtime = await stack.serve()
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.ports['OPS_PORT']}") as probe:
        await forbid_connections(postgres_url, runtime_database(stack), True)
        assert (await probe.get("/healthz")).status_code == 200
        answer = await probe.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["checks"]["database"] is False
        await forbid_connections(postgres_url, runtime_database(stack), False)


async def test_one_port_may_serve_both_where_a_platform_gives_one(stack: Stack) -> None:
    from app.web.server import bind

    free = bind(0, "PORT")
    port = str(free.getsockname()[1])
    free.close()
    runtime = await stack.serve(PORT=port, OPS_PORT=port, SLACK_APP_TOKEN="")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.ports['PORT']}") as probe:
        assert (await probe.get("/healthz")).status_code == 200
        assert (await probe.post("/slack/events", content=b"{}")).status_code == 401
        # The internet reaches this port: without a token the alerts are not there.
        assert (await probe.get("/alerts")).status_code == 404


async def test_a_process_that_carries_out_jobs_alone_tells_of_alerts_too(stack: Stack) -> None:
    runtime = await stack.serve(door=False)
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.ports['OPS_PORT']}") as probe:
        assert (await probe.get("/alerts")).json() == {"waiting_in_all": 0, "waiting": [], "recent": []}
        assert "/alerts/{investigation_id}" in (await probe.get("/openapi.json")).json()["paths"]


async def test_alerts_on_a_shared_port_need_their_token(stack: Stack) -> None:
    from app.web.server import bind

    free = bind(0, "PORT")
    port = str(free.getsockname()[1])
    free.close()
    runtime = await stack.serve(PORT=port, OPS_PORT=port, OPS_AUTH_TOKEN="a-token-of-the-test")
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{runtime.ports['PORT']}") as probe:
        assert (await probe.get("/alerts")).status_code == 401
        proof = {"Authorization": "Bearer a-token-of-the-test"}
        assert (await probe.get("/alerts", headers=proof)).status_code == 200
