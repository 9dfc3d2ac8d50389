"""What `/openapi.json` promises, held against generated requests and a real database."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from app.storage.engine import create_engine
from app.web.alerts import AlertReader
from app.web.floods import FailedProofs
from app.web.ops import ops_app
from app.web.server import WebServer, bind
from tests.investigations.conftest import alert, intake_on
from tests.operations.conftest import operations_on

TOKEN = "a-token-of-the-test"


async def well() -> bool:
    return True


@pytest.fixture
def ops(database_url: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of the app, in a thread with an event loop of its own, over a storm."""
    token = getattr(request, "param", None)
    listener = bind(0, "OPS_PORT", "127.0.0.1")
    ready, loop, done = threading.Event(), asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        engine = create_engine(database_url)
        intake = intake_on(engine, incidents=2)
        for number in range(4):
            await intake.accept(alert(f"Q{number}"))
        checks = {"database": well, "knowledge": well}
        app = ops_app(
            checks,
            draining=lambda: False,
            alerts=AlertReader(engine),
            operations=await operations_on(engine, drain=lambda: None),
            token=token,
            failed=FailedProofs(burst=100_000),
        )
        server = WebServer(app, listener)
        await server.start()
        ready.set()
        await done.wait()
        await server.stop()
        await engine.dispose()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    loop.call_soon_threadsafe(done.set)
    thread.join(60)
    loop.close()


def described(token: str | None) -> Any:
    """The description of the app, as it is served with and without a token."""
    unused = create_engine("postgresql://nobody@127.0.0.1:1/nothing")
    app = ops_app(
        {},
        draining=lambda: False,
        alerts=AlertReader(unused),
        operations=asyncio.run(operations_on(unused)),
        token=token,
    )
    return schemathesis.openapi.from_dict(app.openapi())


schema, guarded = described(None), described(TOKEN)


@pytest.mark.filterwarnings("ignore")
@schema.parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_route_answers_as_it_says(case: schemathesis.Case, ops: str) -> None:
    case.call_and_validate(base_url=ops, timeout=60)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("ops", [TOKEN], indirect=True)
@guarded.include(path_regex="^/ops/").parametrize()
@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_every_guarded_route_answers_as_it_says_to_who_may_and_who_may_not(
    case: schemathesis.Case, ops: str
) -> None:
    case.call_and_validate(base_url=ops, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60)
    # A body that is not even text is refused before anybody looks who sent it.
    assert case.call(base_url=ops, headers={"Authorization": "Bearer no"}, timeout=60).status_code in (
        401,
        405,
        422,
    )


def test_an_investigation_reads_as_it_is_described(ops: str) -> None:
    told = httpx.get(f"{ops}/alerts", timeout=60).json()
    assert told["waiting"]
    for each in told["waiting"]:
        case = schema["/alerts/{investigation_id}"]["GET"].Case(
            path_parameters={"investigation_id": each["id"]}
        )
        assert (
            case.call_and_validate(base_url=ops, timeout=60).json()["incidents_in_all"] == each["incidents"]
        )


def test_the_description_names_what_probes_and_people_ask(ops: str) -> None:
    paths = httpx.get(f"{ops}/openapi.json", timeout=60).json()["paths"]
    pages = ("status", "health", "metrics", "config", "dependencies", "errors")
    assert paths.keys() == {
        "/healthz",
        "/readyz",
        "/metrics",
        "/alerts",
        "/alerts/{investigation_id}",
        *(f"/ops/{page}" for page in pages),
    }
    for page in pages:
        told = paths[f"/ops/{page}"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        assert "$ref" in told
    for path in ("/alerts", "/alerts/{investigation_id}"):
        answers = paths[path]["get"]["responses"]
        assert {"200", "422", "503"} <= answers.keys()
        assert all("$ref" in each["content"]["application/json"]["schema"] for each in answers.values())


@pytest.mark.parametrize("ops", [TOKEN], indirect=True)
@pytest.mark.parametrize("path", ["/alerts", "/alerts/0b5e3c1e-6f3c-4b0e-9d0c-000000000000"])
def test_a_token_guards_the_alerts_and_not_the_probes(ops: str, path: str) -> None:
    assert httpx.get(f"{ops}/healthz", timeout=60).status_code == 200
    for headers in ({}, {"Authorization": "Bearer no"}, {"Authorization": f"Basic {TOKEN}"}):
        refused = httpx.get(ops + path, headers=headers, timeout=60)
        assert (refused.status_code, refused.json()["error"]) == (401, "not_proven")
        assert "OPS_AUTH_TOKEN" in refused.json()["reason"]
    assert httpx.get(ops + path, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60).status_code in (
        200,
        404,
    )
    assert httpx.get(f"{ops}/openapi.json", timeout=60).json()["paths"]["/alerts"]["get"]["security"] == [
        {"HTTPBearer": []}
    ]
