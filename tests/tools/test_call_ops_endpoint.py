"""The /ops pages of registered services: read with their token, and nothing else of them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from app.errors import AgentError
from app.settings import RegisteredService
from app.sources.ops import OpsEndpoints
from app.tools import call_ops_endpoint
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute
from tests.fakes.sources import Answer, SourceServer


@pytest.fixture
async def server() -> AsyncIterator[SourceServer]:
    status = Answer({"status": "degraded", "db_password": "hunter2000"})
    async with SourceServer({"/ops/status": status, "/ops/errors": Answer("two")}) as running:
        yield running


@pytest.fixture
async def ops(server: SourceServer) -> AsyncIterator[OpsEndpoints]:
    services = (RegisteredService("Checkout", server.url, True), RegisteredService("batch", None, False))
    client = OpsEndpoints(services, SecretStr("service-t0ken"))
    yield client
    await client.aclose()


async def ask(ops: OpsEndpoints, *, about: str | None = None, **arguments: Any) -> Executed:
    made = call_ops_endpoint.tool(SimpleNamespace(ops=ops))
    assert made is not None
    scope = ToolScope(service=about)
    return await execute(Catalogue([made]), "call_ops_endpoint", arguments, scope=scope, limit_bytes=4096)


async def test_the_service_talked_about_is_read_with_its_token(
    server: SourceServer, ops: OpsEndpoints
) -> None:
    done = await ask(ops, about="checkout")

    assert done.text.startswith('{"status": "degraded"')
    assert "hunter2000" not in done.text
    assert [(a.method, a.raw_path, a.headers["authorization"]) for a in server.asked] == [
        ("GET", "/ops/status", "Bearer service-t0ken")
    ]
    assert done.sources[0].url == f"{server.url}/ops/status"


async def test_a_page_may_be_named_for_short_and_take_parameters(
    server: SourceServer, ops: OpsEndpoints
) -> None:
    assert (await ask(ops, service="CHECKOUT", path="errors?limit=5&q=a b")).text == "two"
    assert server.asked[0].params == {"limit": "5", "q": "a b"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"service": "batch"}, "'batch' has no /ops address in SERVICE_REGISTRY; it has: Checkout."),
        ({"service": "http://elsewhere"}, "'http://elsewhere' has no /ops address in SERVICE_REGISTRY; it has: Checkout."),
        ({}, "Name a service to ask; there are: Checkout."),
        ({"service": "checkout", "path": "/admin"}, "'/admin' is not a path of Checkout that may be read."),
        ({"service": "checkout", "path": "/ops/../admin"}, "'/ops/../admin' is not a path of Checkout that may be read."),
        ({"service": "checkout", "path": "/ops/%2e%2e/x"}, "'/ops/%2e%2e/x' is not a path of Checkout that may be read."),
        ({"service": "checkout", "path": "http://elsewhere/ops/x"},
         "'http://elsewhere/ops/x' is not a path of Checkout that may be read."),
    ],
)  # fmt: skip
async def test_what_may_not_be_read_is_refused_and_not_sent(
    server: SourceServer, ops: OpsEndpoints, arguments: dict[str, Any], sentence: str
) -> None:
    assert await ask(ops, **arguments) == Executed(sentence, failed=True)
    assert server.asked == []


async def test_a_page_that_fails_is_a_sentence(server: SourceServer, ops: OpsEndpoints) -> None:
    done = await ask(ops, about="checkout", path="/ops/none")
    assert (done.failed, done.text) == (
        True,
        "Checkout has nothing at that address (HTTP 404): 404 page not found",
    )


async def test_a_long_page_is_kept_whole_beside(server: SourceServer, ops: OpsEndpoints) -> None:
    server.routes["/ops/errors"] = Answer("\n".join(f"line {n}" for n in range(2000)))
    done = await ask(ops, about="checkout", path="errors")
    assert len(done.text.encode()) <= 4096
    assert done.full is not None
    assert len(done.full.splitlines()) == 2000


@settings(
    max_examples=100,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(path=st.lists(st.sampled_from(["/", "ops", "..", "%2e", "%2f", "?", "#", "x", ";", "\\", "//e.org"]), max_size=9).map("".join))  # fmt: skip
async def test_no_path_leads_elsewhere(server: SourceServer, ops: OpsEndpoints, path: str) -> None:
    with contextlib.suppress(AgentError):
        await ops.get("checkout", path)
    assert [a for a in server.asked if a.method != "GET" or not a.raw_path.startswith("/ops/")] == []
    assert [a for a in server.asked if ".." in a.raw_path.split("/")] == []


def test_without_a_registered_address_there_is_no_tool() -> None:
    nobody = OpsEndpoints((RegisteredService("batch", None, False),))
    assert call_ops_endpoint.tool(SimpleNamespace(ops=nobody)) is None
    assert call_ops_endpoint.tool(SimpleNamespace()) is None
