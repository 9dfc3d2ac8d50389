"""Systems that misbehave as told, and are well again afterwards; pages for the links people click."""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest

from app.playground.stack import Fault, SimulatedStack
from app.playground.stack.serving import HUGE_BYTES
from tests.playground.stack.conftest import NOW, Client


async def test_a_failing_system_answers_500_and_others_do_not(stack: SimulatedStack, client: Client) -> None:
    stack.faults.set("loki", Fault.failing())
    assert (await client.get("loki", "/loki/api/v1/labels")).status == 500
    assert (await client.get("prometheus", "/-/ready")).status == 200
    stack.faults.clear("loki")
    assert (await client.get("loki", "/loki/api/v1/labels")).status == 200


async def test_a_system_answers_html_where_json_was_due(stack: SimulatedStack, client: Client) -> None:
    stack.faults.set("prometheus", Fault.html())
    reply = await client.get("prometheus", "/api/v1/query", query="up")
    assert (reply.status, reply.kind) == (200, "text/html")


async def test_a_hanging_system_answers_nobody_and_still_lets_the_stack_end() -> None:
    async with SimulatedStack("bad-deploy", clock=lambda: NOW) as stack, aiohttp.ClientSession() as session:
        stack.faults.set("tempo", Fault.hanging())
        asking = asyncio.create_task(session.get(f"{stack.urls['tempo']}/ready"))
        while not stack.asked:
            await asyncio.sleep(0)
        assert not asking.done()
        await stack.stop()
        (outcome,) = await asyncio.gather(asking, return_exceptions=True)
        assert isinstance(outcome, aiohttp.ClientError) or outcome.status == 503


async def test_a_slow_system_answers_as_ever(stack: SimulatedStack, client: Client) -> None:
    stack.faults.set("argocd", Fault.slow(0.01))
    assert (await client.get("argocd", "/api/v1/applications/checkout")).json["kind"] == "Application"


async def test_a_huge_answer_is_as_long_as_promised(stack: SimulatedStack) -> None:
    stack.faults.set("kubernetes", Fault.huge())
    length = 0
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{stack.urls['kubernetes']}/api/v1/pods") as reply,
    ):
        async for chunk in reply.content.iter_any():
            length += len(chunk)
    assert length >= HUGE_BYTES


async def test_a_huge_answer_that_nobody_reads_to_its_end_harms_nobody(
    stack: SimulatedStack, client: Client
) -> None:
    stack.faults.set("loki", Fault.huge())
    address = f"{stack.urls['loki']}/loki/api/v1/labels"
    async with aiohttp.ClientSession() as session, session.get(address) as reply:
        await reply.content.readany()
        reply.close()
    stack.faults.clear()
    assert (await client.get("loki", "/loki/api/v1/labels")).status == 200


async def test_figures_can_be_no_numbers_and_times_stay(stack: SimulatedStack, client: Client) -> None:
    stack.faults.set("prometheus", Fault.nan())
    reply = await client.get("prometheus", "/api/v1/query", query="sum(up)", time="1795183200")
    assert reply.json["data"]["result"][0]["value"] == [1795183200, "NaN"]


async def test_an_empty_system_has_nothing_in_the_shape_it_always_has(
    stack: SimulatedStack, client: Client
) -> None:
    for system, path, field in (
        ("loki", "/loki/api/v1/labels", "data"),
        ("argocd", "/api/v1/applications", "items"),
        ("kubernetes", "/api/v1/pods", "items"),
        ("pagerduty", "/oncalls", "oncalls"),
    ):
        stack.faults.set(system, Fault.empty())
        assert (await client.get(system, path)).json[field] == []


# --- pages ---------------------------------------------------------------------------------------------------


async def test_links_of_evidence_open_pages_in_a_browser(stack: SimulatedStack, client: Client) -> None:
    stack.begin("pool-exhausted")
    graph = {
        "g0.expr": "db_pool_connections_in_use",
        "g0.range_input": "1800s",
        "g0.end_input": "2026-11-20 14:00:00",
    }
    assert "<svg" in (await client.get("prometheus", "/graph", browser=True, **graph)).text
    lines = await client.get("loki", "/loki/api/v1/query_range", browser=True, query='{service="payments"}')
    assert "pool ledger" in lines.text
    found = await client.get("tempo", "/api/search", q="{status=error}", limit="1")
    trace = await client.get("tempo", f"/api/traces/{found.json['traces'][0]['traceID']}", browser=True)
    assert 'class="bar error"' in trace.text
    assert (
        "Log the warehouse"
        in (await client.get("argocd", "/applications/argocd/inventory", browser=True)).text
    )
    incident = stack.alert("pagerduty")["event"]["data"]
    assert (
        incident["title"]
        in (await client.get("pagerduty", f"/incidents/{incident['id']}", browser=True)).text
    )


async def test_what_a_query_says_is_text_on_a_page(client: Client) -> None:
    evil = 'up{a="<script>alert(1)</script>"}'
    for reply in (
        await client.get("prometheus", "/graph", browser=True, **{"g0.expr": evil}),
        await client.get("loki", "/loki/api/v1/query_range", browser=True, query=evil[2:]),
        await client.get("loki", "/loki/api/v1/query_range", browser=True, query="<script>"),
    ):
        assert "<script" not in reply.text
        assert "&lt;script" in reply.text


async def test_a_query_that_is_wrong_gives_a_page_that_says_so(client: Client) -> None:
    reply = await client.get("prometheus", "/graph", browser=True, **{"g0.expr": "sum("})
    assert "unexpected end of input" in reply.text


# --- time goes on --------------------------------------------------------------------------------------------


async def test_the_story_goes_on_with_the_clock() -> None:
    now = [NOW]
    async with (
        SimulatedStack("bad-deploy", clock=lambda: now[0]) as stack,
        aiohttp.ClientSession() as session,
    ):
        client = Client(stack, session)
        now[0] += timedelta(minutes=30)
        query = 'sum(rate(http_requests_total{status=~"5..",service="checkout"}[2m])) > 1'
        assert (await client.get("prometheus", "/api/v1/query", query=query)).json["data"]["result"]
        assert (await client.get("loki", "/loki/api/v1/query_range", query='{level="error"}')).json["data"][
            "result"
        ]
        now[0] += timedelta(days=3)
        assert (await client.get("prometheus", "/api/v1/query", query=query)).json["data"]["result"]
        assert not (await client.get("prometheus", "/api/v1/query", query=f"{query} offset 1d")).json.get(
            "data"
        )


@pytest.mark.slow
async def test_it_runs_as_a_process_of_its_own() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.playground.stack",
        "--scenario",
        "expired-certificate",
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout
    told = json.loads(await process.stdout.readline())
    async with aiohttp.ClientSession() as session:
        query = "min(tls_certificate_expiry_seconds) < 0"
        async with session.get(
            f"{told['urls']['prometheus']}/api/v1/query", params={"query": query}
        ) as reply:
            assert (await reply.json())["data"]["result"]
    fired = datetime.fromisoformat(told["alert"]["alerts"][0]["startsAt"])
    assert fired < datetime.now(UTC)
    process.terminate()
    assert await process.wait() == 0


async def test_answers_are_dated_by_the_clock_of_the_story_unless_that_is_skewed(
    stack: SimulatedStack,
) -> None:
    dates = []
    async with aiohttp.ClientSession() as session:
        for fault in (None, Fault.skewed(-3600)):
            if fault:
                stack.faults.set("loki", fault)
            async with session.get(f"{stack.urls['loki']}/loki/api/v1/labels") as reply:
                dates.append(reply.headers.getall("Date"))
    assert dates == [["Fri, 20 Nov 2026 14:00:07 GMT"], ["Fri, 20 Nov 2026 13:00:07 GMT"]]
