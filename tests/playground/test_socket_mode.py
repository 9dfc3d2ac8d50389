"""Socket Mode as it is on the wire, without an SDK in between; and the playground as a process."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from slack_sdk.web.async_client import AsyncWebClient
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.playground.slack import PlaygroundSlack, Workspace


@pytest.fixture
async def impatient() -> AsyncIterator[PlaygroundSlack]:
    """A playground that waits no three seconds for an ack, and longer than a slow machine takes for one."""
    workspace = Workspace.example(rate_limits=False)
    async with PlaygroundSlack(workspace, ack_seconds=1.5, retry_delays=(0, 0, 0)) as slack:
        yield slack


async def dial(slack: PlaygroundSlack) -> ClientConnection:
    client = AsyncWebClient(base_url=slack.api_url)
    opened = await client.apps_connections_open(app_token=slack.workspace.app_token)
    socket = await connect(opened["url"], proxy=None)
    hello = json.loads(await socket.recv())
    assert hello["type"] == "hello"
    assert hello["connection_info"] == {"app_id": "A0AGENT"}
    return socket


async def received(socket: ClientConnection) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 60))
    return body


async def test_an_event_without_an_ack_comes_again_in_a_new_envelope(impatient: PlaygroundSlack) -> None:
    socket = await dial(impatient)
    await impatient.say("U0MAYA", "C0CHECKOUT", "hello")
    first, second = await received(socket), await received(socket)
    assert (first["retry_attempt"], first["retry_reason"]) == (0, "")
    assert (second["retry_attempt"], second["retry_reason"]) == (1, "timeout")
    assert first["payload"] == second["payload"]
    assert first["envelope_id"] != second["envelope_id"]
    await socket.send(json.dumps({"envelope_id": second["envelope_id"]}))
    await impatient.wait_for(lambda: impatient.deliveries[-1].acked_at)
    assert [delivery.outcome for delivery in impatient.deliveries] == ["timeout", "acked"]
    await socket.close()


async def test_a_connection_that_dies_before_its_ack_hands_the_event_on() -> None:
    workspace = Workspace.example(rate_limits=False)
    async with PlaygroundSlack(workspace, retry_delays=(0, 0, 0)) as slack:
        dying = await dial(slack)
        await slack.say("U0MAYA", "C0CHECKOUT", "hello")
        lost = await received(dying)
        dying.transport.abort()
        heir = await dial(slack)
        again = await received(heir)
        assert again["payload"]["event_id"] == lost["payload"]["event_id"]
        assert again["retry_attempt"] == 1
        await heir.close()


async def test_connections_take_turns(slack: PlaygroundSlack) -> None:
    sockets = [await dial(slack), await dial(slack)]
    for text in ("one", "two"):
        await slack.say("U0MAYA", "C0CHECKOUT", text)
    texts = {(await received(socket))["payload"]["event"]["text"] for socket in sockets}
    assert texts == {"one", "two"}
    for socket in sockets:
        await socket.close()


async def test_an_address_opens_one_connection_only(impatient: PlaygroundSlack) -> None:
    client = AsyncWebClient(base_url=impatient.api_url)
    opened = await client.apps_connections_open(app_token=impatient.workspace.app_token)
    socket = await connect(opened["url"], proxy=None)
    with pytest.raises((InvalidStatus, ConnectionClosed)):
        await connect(opened["url"], proxy=None)
    await socket.close()


@pytest.mark.parametrize(("site", "status"), [("cross-site", 403), ("same-origin", 200)])
async def test_no_other_site_acts_for_the_people(impatient: PlaygroundSlack, site: str, status: int) -> None:
    body = {"user": "U0MAYA", "channel": "C0CHECKOUT", "text": "hello"}
    async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
        url = f"{impatient.url}/playground/say"
        answer = await web.post(url, json=body, headers={"Sec-Fetch-Site": site})
    assert answer.status_code == status
    assert len(impatient.channel("C0CHECKOUT")) == (status == 200)


@pytest.mark.slow
async def test_it_runs_as_a_process_and_prints_its_address() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "app.playground.slack", "--port", "0", stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout
        printed = json.loads(await process.stdout.readline())
        environment = printed["environment"]
        client = AsyncWebClient(token=environment["SLACK_BOT_TOKEN"], base_url=environment["SLACK_API_URL"])
        assert (await client.auth_test())["team"] == "Acme"
        async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
            page = await web.get(printed["url"])
            assert page.headers["content-type"].startswith("text/html")
            async with web.stream("GET", f"{printed['url']}/playground/live") as live:
                assert live.status_code == 200
                process.terminate()
                # An open page does not keep the process from ending.
                assert await asyncio.wait_for(process.wait(), 60) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
