"""MCP servers as real processes and over HTTP: what is offered, what goes wrong, and what then still works."""

from __future__ import annotations

import asyncio
import importlib.util
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app import tracing
from app.sources.failures import NotThere, QueryRejected, SourceFailed
from app.sources.mcp import McpServers
from app.sources.mcp_config import McpServer, McpSettings
from tests.fakes.mcp_server import HttpMcpServer

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
TOOLS = ("search_tickets", "get_page", "list_variables", "get_nothing", "get_lost", "find_and_fix")


def tickets(**more: Any) -> McpServer:
    settings = {"PYTHONPATH": str(ROOT)}
    given = {"name": "tickets", "tools": TOOLS, "settings": settings, **more}
    return McpServer(command=sys.executable, args=("-m", "tests.fakes.mcp_server"), **given)


def those(*servers: McpServer, **secrets: SecretStr) -> McpServers:
    """Given all the time that a busy machine takes to start them."""
    return McpServers(McpSettings(servers, secrets), connect_seconds=100)


@pytest.fixture
async def servers() -> AsyncIterator[McpServers]:
    running = those(tickets(deadline_seconds=60))
    yield running
    await running.aclose()


async def test_only_named_tools_that_do_not_say_they_change_are_there(servers: McpServers) -> None:
    found = {tool.full_name for tool in await servers.tools()}

    assert found == {f"tickets.{each}" for each in TOOLS if each != "find_and_fix"}
    assert servers.gaps() == (("tickets", "does not offer find_and_fix"),)
    for name in ("tickets.delete_everything", "tickets.find_and_fix", "other.get_page", "get_page", ""):
        with pytest.raises(NotThere):
            await servers.call(name, {})


async def test_an_answer_a_refusal_and_a_wrong_argument(servers: McpServers) -> None:
    assert (
        await servers.call("tickets.search_tickets", {"service": "checkout", "most": 1})
        == "OPS-1: checkout is slow"
    )
    with pytest.raises(QueryRejected, match="no page missing"):
        await servers.call("tickets.get_page", {"id": "missing"})
    with pytest.raises(QueryRejected):
        await servers.call("tickets.search_tickets", {})


async def test_a_hanging_tool_is_given_up_and_the_server_stays() -> None:
    servers = those(tickets(deadline_seconds=2))
    with pytest.raises(SourceFailed, match="within 2 seconds"):
        await servers.call("tickets.get_nothing", {})
    assert (
        await servers.call("tickets.search_tickets", {"service": "cart", "most": 1}) == "OPS-1: cart is slow"
    )
    await servers.aclose()


async def test_a_server_that_dies_is_a_gap_and_comes_back(servers: McpServers) -> None:
    with pytest.raises(SourceFailed, match="ended while it was asked"):
        await servers.call("tickets.get_lost", {})
    assert servers.gaps()[0][1].startswith("ended")
    assert "OPS-1" in await servers.call("tickets.search_tickets", {"service": "cart"})


async def test_a_server_sees_the_variables_named_for_it_and_no_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLACK_SECRET_KEY", "not for servers")
    server = tickets(env={"TICKETS_KEY": "MCP_TICKETS_KEY"})
    running = those(server, MCP_TICKETS_KEY=SecretStr("k3y"))

    assert await running.call("tickets.list_variables", {}) == "TICKETS_KEY"
    await running.aclose()


async def test_servers_that_are_away_cost_the_others_nothing() -> None:
    ends = McpServer(
        name="ends", command=sys.executable, args=("-c", "raise SystemExit(1)"), tools=("get_x",)
    )
    gone = McpServer(name="gone", command="/nonexistent/server", tools=("get_x",))
    nobody = McpServer(name="nobody", url="http://127.0.0.1:9/mcp", tools=("get_x",))
    wrong = tickets(name="wrong", version="9.9.9")
    running = those(ends, gone, nobody, wrong, tickets())

    assert {tool.server for tool in await running.tools()} == {"tickets"}
    assert {name for name, _ in running.gaps()} == {"ends", "gone", "nobody", "wrong", "tickets"}
    assert "says it is version 1.2.3" in dict(running.gaps())["wrong"]
    with pytest.raises(SourceFailed, match="gone cannot be used"):
        await running.call("gone.get_x", {})
    await running.aclose()


async def test_a_server_that_never_speaks_is_given_up() -> None:
    mute = McpServer(
        name="mute", command=sys.executable, args=("-c", "import time; time.sleep(60)"), tools=("get_x",)
    )
    running = McpServers(McpSettings((mute,)), connect_seconds=0.5)

    assert await running.tools() == ()
    assert "did not start within 0.5 seconds" in running.gaps()[0][1]
    await running.aclose()


async def test_a_server_over_http_is_used_with_its_headers() -> None:
    async with HttpMcpServer() as server:
        settings = McpServer(
            name="tickets",
            url=server.url,
            headers={"Authorization": "MCP_AUTH"},
            tools=("search_tickets",),
            version="1.2.3",
        )
        running = those(settings, MCP_AUTH=SecretStr("Bearer t0ken"))
        assert [tool.name for tool in await running.tools()] == ["search_tickets"]
        assert "OPS-1" in await running.call("tickets.search_tickets", {"service": "cart"})
        await running.aclose()
    assert {headers["authorization"] for headers in server.headers} == {"Bearer t0ken"}


async def test_calls_over_http_name_their_traces_and_the_connection_none() -> None:
    async def found(running: McpServers, trace_id: str) -> None:
        with tracing.work(trace_id, "a turn"):
            await running.call("tickets.search_tickets", {"service": "cart"})

    async with HttpMcpServer() as server:
        settings = McpServer(name="tickets", url=server.url, tools=("search_tickets",))
        running = McpServers(McpSettings((settings,)))
        await found(running, "a" * 32)
        await asyncio.gather(found(running, "b" * 32), found(running, "c" * 32))
        await running.aclose()
    named = Counter(headers.get("x-trace-id") for headers in server.headers)
    assert named.pop(None) > 0
    assert named == {letter * 32: 1 for letter in "abc"}


@pytest.mark.skipif(
    importlib.util.find_spec("mcp_server_time") is None, reason="mcp-server-time is not installed"
)
async def test_a_server_of_other_people_is_used_over_stdio() -> None:
    named = ("get_current_time", "convert_time")
    time = McpServer(name="time", command=sys.executable, args=("-m", "mcp_server_time"), tools=named)
    running = those(time)

    assert [tool.name for tool in await running.tools()] == list(named)
    assert "Europe/Berlin" in await running.call("time.get_current_time", {"timezone": "Europe/Berlin"})
    with pytest.raises(QueryRejected, match="Nowhere"):
        await running.call("time.get_current_time", {"timezone": "Nowhere"})
    assert running.gaps() == ()
    await running.aclose()
