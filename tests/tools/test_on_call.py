"""Who is on call, as the model reads it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from app.sources.pagerduty import PagerDutyReader
from app.tools import on_call as on_call_tool
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute
from tests.fakes.pagerduty import FakePagerDuty, on_call

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
async def server() -> AsyncIterator[FakePagerDuty]:
    async with FakePagerDuty() as running:
        running.on_calls = [on_call("Maya", 1), on_call("Boss", 2, until=None)]
        yield running


async def ask(
    server: FakePagerDuty, service: str | None, policy: str | None = None, **arguments: Any
) -> Executed:
    reader = PagerDutyReader(server.endpoint)
    made = on_call_tool.tool(SimpleNamespace(pagerduty=reader, on_call_policy=policy))
    assert made is not None
    scope = ToolScope(service=service, clock=lambda: NOON)
    done = await execute(Catalogue([made]), "on_call", arguments, scope=scope, limit_bytes=4096)
    await reader.aclose()
    return done


async def test_the_people_of_the_service_are_told_by_level(server: FakePagerDuty) -> None:
    done = await ask(server, "checkout")

    assert done.text.splitlines() == [
        "On call now for checkout, 2026-11-20 12:00 UTC:",
        "- level 1: Maya (Schedule 1), until 2026-11-23 08:00 UTC — Shop",
        "- level 2: Boss — Shop",
    ]
    assert done.sources[0].url == "https://acme.pagerduty.example/users/PUSER1"


async def test_a_service_pagerduty_does_not_know_falls_back_and_says_so(server: FakePagerDuty) -> None:
    done = await ask(server, "reports", policy="PPOLICY")
    assert done.text.startswith("pagerduty has no service 'reports'. These are the people of the default")
    assert "Maya" in done.text
    assert (await ask(server, "reports")).failed


async def test_nobody_is_said(server: FakePagerDuty) -> None:
    server.on_calls = []
    assert (await ask(server, "checkout")).text == "Nobody is on call for checkout."
    assert (await ask(server, "checkout", everybody=True)).text == "Nobody is on call."


async def test_pagerduty_away_is_a_sentence(server: FakePagerDuty) -> None:
    server.fault = "500"
    done = await ask(server, "checkout")
    assert done.failed
    assert "pagerduty answered with an error" in done.text


def test_without_pagerduty_the_tool_is_not_offered() -> None:
    assert on_call_tool.tool(object()) is None
