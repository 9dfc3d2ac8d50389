"""Tools of MCP servers, as the model comes to them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from app.sources.mcp import McpServers, McpTool
from app.sources.mcp_config import McpServer, McpSettings
from app.tools import find_tools, use_tool
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute

ROOT = Path(__file__).parents[2]


def named(name: str, description: str, **schema: Any) -> McpTool:
    return McpTool("pagerduty", name, description, schema)


MANY = [
    named("get_incident", "Retrieves a specific incident"),
    named("list_incident_notes", "Lists the notes people wrote on an incident"),
    named("list_oncalls", "Lists who is on call"),
    named("get_past_incidents", "Incidents like this one in the past"),
    *(named(f"list_thing_{number}", "Lists things") for number in range(90)),
]


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("who is on call", "list_oncalls"),
        ("notes of an incident", "list_incident_notes"),
        ("did it happen in the past", "get_past_incidents"),
    ],
)
def test_tools_are_found_by_what_is_wanted(query: str, first: str) -> None:
    found = find_tools.ranked(query, MANY)

    assert found[0].name == first
    assert len(found) <= find_tools.MOST_FOUND


@pytest.fixture
async def servers() -> AsyncIterator[McpServers]:
    tickets = McpServer(
        name="tickets",
        command=sys.executable,
        args=("-m", "tests.fakes.mcp_server"),
        settings={"PYTHONPATH": str(ROOT)},
        tools=("search_tickets", "get_page", "find_and_fix"),
    )
    gone = McpServer(name="gone", command="/nonexistent/server", tools=("get_x",))
    running = McpServers(McpSettings((tickets, gone)))
    yield running
    await running.aclose()


async def ask(servers: McpServers, tool: str, **arguments: Any) -> Executed:
    parts = SimpleNamespace(mcp=servers)
    tools = [made for made in (find_tools.tool(parts), use_tool.tool(parts)) if made is not None]
    assert len(tools) == 2
    return await execute(Catalogue(tools), tool, arguments, scope=ToolScope(), limit_bytes=4096)  # type: ignore[arg-type]


@pytest.mark.slow
async def test_a_tool_is_found_with_its_arguments_and_used(servers: McpServers) -> None:
    found = await ask(servers, "find_tools", query="tickets of a service")
    assert "- tickets.search_tickets: Search tickets of a service by its name" in found.text
    assert "    service (string, needed)" in found.text
    assert "    most (integer)" in found.text
    assert "gone cannot be used" in found.text
    assert "tickets.delete_everything" not in found.text

    done = await ask(
        servers, "use_tool", name="tickets.search_tickets", arguments={"service": "cart", "most": 1}
    )
    assert done.text == "OPS-1: cart is slow"
    assert done.title == "tickets: search tickets"


@pytest.mark.slow
async def test_what_a_server_says_is_bounded_masked_and_kept_whole(servers: McpServers) -> None:
    found = await ask(servers, "find_tools", query="instructions")
    assert len(found.text) < 1000

    done = await ask(servers, "use_tool", name="tickets.get_page", arguments={"id": "2000"})
    assert "hunter2" not in done.text + (done.full or "")
    assert len(done.text.encode()) <= 4096
    assert done.full is not None
    assert done.full.count("long line") == 2000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("tickets.delete_everything", "has no tool"),
        ("tickets.find_and_fix", "does not offer"),
        ("gone.get_x", "cannot be used"),
    ],
)
async def test_what_may_not_or_cannot_be_used_is_a_sentence(
    servers: McpServers, name: str, said: str
) -> None:
    done = await ask(servers, "use_tool", name=name)
    assert done.failed
    assert said in done.text


def test_without_servers_the_tools_are_not_offered() -> None:
    for module in (find_tools, use_tool):
        assert module.tool(object()) is None
        assert module.tool(SimpleNamespace(mcp=McpServers(McpSettings()))) is None
