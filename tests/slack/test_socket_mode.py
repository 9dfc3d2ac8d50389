"""Socket Mode on a line that looks alive and carries nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from slack_bolt.async_app import AsyncApp

from app.playground.slack import PlaygroundSlack, Workspace
from app.slack.bolt import SocketMode
from app.slack.client import web_client, web_session
from tests.fakes.relay import Direction, Relay, relay_to

PING = 0.25


@pytest.fixture
async def slack() -> AsyncIterator[PlaygroundSlack]:
    workspace = Workspace.example(rate_limits=False)
    async with PlaygroundSlack(workspace, ack_seconds=0.3, retry_delays=(0.2,) * 300) as playground:
        yield playground


@pytest.fixture
async def relay(slack: PlaygroundSlack) -> AsyncIterator[Relay]:
    """Web API calls go straight to the playground, WebSockets through the relay."""
    async with relay_to(int(slack.url.rpartition(":")[2])) as relay:
        relay.behind = slack.api_url
        slack.workspace.url = relay.url
        yield relay


@pytest.fixture
async def heard(slack: PlaygroundSlack, relay: Relay) -> AsyncIterator[list[str]]:
    """The texts a connected app has heard."""
    texts: list[str] = []
    async with web_session() as session:
        client = web_client(slack.workspace.bot_token, relay.behind, session=session)
        app = AsyncApp(client=client, process_before_response=True, request_verification_enabled=False)

        async def hear(event: dict[str, str]) -> None:
            texts.append(event["text"])

        app.event("message")(hear)
        socket = SocketMode(app, slack.workspace.app_token, client, ping_seconds=PING)
        await socket.start()
        await slack.connected()
        yield texts
        await socket.stop()


async def acked(slack: PlaygroundSlack) -> None:
    await slack.wait_for(lambda: slack.deliveries and slack.deliveries[-1].outcome == "acked")


@pytest.mark.parametrize("lost", [("to us", "from us"), ("from us",), ("to us",)])
async def test_a_line_that_carries_nothing_any_more_is_replaced(
    slack: PlaygroundSlack, relay: Relay, heard: list[str], lost: tuple[Direction, ...]
) -> None:
    relay.lose(*lost)
    await slack.say("U0MAYA", "C0CHECKOUT", "is anybody there?")
    await acked(slack)
    assert len(relay.carried) >= 2
    assert heard[-1] == "is anybody there?"
    assert slack.journal.given_up == []


async def test_a_new_line_that_carries_nothing_is_given_up_too(
    slack: PlaygroundSlack, relay: Relay, heard: list[str]
) -> None:
    relay.down = True
    relay.lose("to us", "from us")
    await slack.say("U0MAYA", "C0CHECKOUT", "is anybody there?")
    async with asyncio.timeout(60):
        while len(relay.carried) < 2:
            await asyncio.sleep(0.01)
    relay.down = False
    await acked(slack)
    assert heard[-1] == "is anybody there?"


async def test_a_line_that_carries_is_kept(slack: PlaygroundSlack, relay: Relay, heard: list[str]) -> None:
    for _ in range(10):  # a machine that pauses this process for half a ping has cut the line itself
        lines = len(relay.carried)
        await asyncio.sleep(PING * 8)
        if len(relay.carried) == lines:
            break
    assert len(relay.carried) == lines
    await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    await acked(slack)
    assert set(heard) == {"hello"}
