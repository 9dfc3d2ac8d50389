"""Open tickets in a brief: those a server of the team's names, and none that a model made up."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import yaml

from tests.acceptance.conftest import Stack
from tests.acceptance.investigating import diagnosis, incident, told
from tests.fakes.script import Call, say

ROOT = Path(__file__).parents[2]
SERVER = {
    "command": sys.executable,
    "args": ["-m", "tests.fakes.mcp_server"],
    "settings": {"PYTHONPATH": str(ROOT)},
    "tools": ["search_tickets", "get_nothing"],
}
SEARCH = Call("use_tool", {"name": "tickets.search_tickets", "arguments": {"service": "checkout"}})


def servers(folder: Path, **more: Any) -> str:
    path = folder / "mcp.yaml"
    path.write_text(yaml.safe_dump({"servers": {"tickets": SERVER}, **more}), encoding="utf-8")
    return str(path)


async def test_a_model_names_tickets_that_a_tool_found(stack: Stack, tmp_path: Path) -> None:
    async with incident(stack, MCP_SERVERS=servers(tmp_path)) as one:
        one.model.script.add(
            say("", SEARCH),
            say("", diagnosis(tickets=["OPS-2: checkout is slow", "OPS-77: the ledger is slow"])),
        )
        await one.investigated()
        [(tickets, changed)] = await stack.rows(
            "SELECT brief -> 'tickets', brief -> 'ending' ->> 'changed' FROM investigations"
        )
        assert tickets == ["OPS-2: checkout is slow"]
        assert "no result of a tool" in changed
        assert "OPS-2: checkout is slow" in told(one.said("final"))
        assert "OPS-77" not in told(one.said("final"))


TICKETS = {"server": "tickets", "tool": "search_tickets", "arguments": {"service": "$service", "most": 2}}


async def test_a_look_finds_the_open_tickets_of_its_service(stack: Stack, tmp_path: Path) -> None:
    async with incident(stack, model=False, MCP_SERVERS=servers(tmp_path, tickets=TICKETS)) as one:
        # A process of its own may take longer to start than a look waits; the next one finds it there.
        await one.page()
        await one.ended()
        await one.page(state="resolved")
        await one.page(payload=one.alert("payments"))
        await one.ended(2)
        shown = told(one.said("evidence")[-1:])
        assert "OPS-1: payments is slow" in shown
        assert "OPS-2: payments is slow" in shown


async def test_a_ticket_search_that_hangs_is_a_gap(stack: Stack, tmp_path: Path) -> None:
    hangs = {**TICKETS, "tool": "get_nothing"}
    async with incident(stack, model=False, MCP_SERVERS=servers(tmp_path, tickets=hangs)) as one:
        await one.investigated()
        # By the deadline of the look, or by that of its server where the look takes longer.
        assert re.search(r"tickets: (?:tickets )?did not answer within", told(one.said("evidence")))
