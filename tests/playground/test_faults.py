"""The playground misbehaves on command, and limits rates as Slack's tiers do."""

from __future__ import annotations

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError
from slack_sdk.http_retry.builtin_async_handlers import (
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
)
from slack_sdk.web.async_client import AsyncWebClient

from app.playground.slack import CallFault, PlaygroundSlack, Workspace
from tests.playground.conftest import Clock


async def test_a_limited_call_is_repeated_by_the_sdks_handler(slack: PlaygroundSlack) -> None:
    client = AsyncWebClient(
        token=slack.workspace.bot_token,
        base_url=slack.api_url,
        retry_handlers=[AsyncRateLimitErrorRetryHandler(max_retry_count=2)],
    )
    slack.faults.calls.add("chat.postMessage", CallFault.limited(retry_after=0), times=2)
    await client.chat_postMessage(channel="C0CHECKOUT", text="at last")
    assert [call.status for call in slack.calls("chat.postMessage")] == [429, 429, 200]
    assert len(slack.channel("C0CHECKOUT")) == 1


def without_retries(slack: PlaygroundSlack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.workspace.bot_token, base_url=slack.api_url, retry_handlers=[])


async def test_a_connection_cut_before_the_call_leaves_nothing(slack: PlaygroundSlack) -> None:
    client = without_retries(slack)
    slack.faults.calls.add("chat.postMessage", CallFault.dropped(applied=False))
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel="C0CHECKOUT", text="lost")
    assert slack.channel("C0CHECKOUT") == []


async def test_a_connection_cut_after_the_call_leaves_the_message(slack: PlaygroundSlack) -> None:
    client = without_retries(slack)
    slack.faults.calls.add("chat.postMessage", CallFault.dropped(applied=True))
    with pytest.raises(aiohttp.ClientError):
        await client.chat_postMessage(channel="C0CHECKOUT", text="arrived all the same")
    assert [message.text for message in slack.channel("C0CHECKOUT")] == ["arrived all the same"]


async def test_the_sdk_repeats_over_a_cut_connection(slack: PlaygroundSlack) -> None:
    client = AsyncWebClient(
        token=slack.workspace.bot_token,
        base_url=slack.api_url,
        retry_handlers=[AsyncConnectionErrorRetryHandler()],
    )
    slack.faults.calls.add("chat.postMessage", CallFault.dropped(applied=True))
    await client.chat_postMessage(channel="C0CHECKOUT", text="twice")
    assert len(slack.channel("C0CHECKOUT")) == 2


async def test_a_server_error_and_a_refusal_can_be_ordered(
    slack: PlaygroundSlack, client: AsyncWebClient
) -> None:
    slack.faults.calls.add("*", CallFault.failing(503))
    with pytest.raises((SlackApiError, aiohttp.ClientError)):
        await client.chat_postMessage(channel="C0CHECKOUT", text="x")
    slack.faults.calls.add("chat.postMessage", CallFault.refused("fatal_error"))
    with pytest.raises(SlackApiError) as raised:
        await client.chat_postMessage(channel="C0CHECKOUT", text="x")
    assert raised.value.response["error"] == "fatal_error"
    assert slack.channel("C0CHECKOUT") == []


async def passing(client: AsyncWebClient, channel: str) -> int:
    """How many posts pass before one is limited."""
    passed: list[str] = []

    async def post_on_and_on() -> None:
        while len(passed) < 200:
            passed.append((await client.chat_postMessage(channel=channel, text="x"))["ts"])

    with pytest.raises(SlackApiError) as raised:
        await post_on_and_on()
    assert raised.value.response["error"] == "ratelimited"
    assert int(raised.value.response.headers["Retry-After"]) >= 1
    return len(passed)


async def test_posts_are_limited_per_channel_and_recover(clock: Clock) -> None:
    async with PlaygroundSlack(Workspace.example(clock=clock)) as slack:
        client = AsyncWebClient(token=slack.workspace.bot_token, base_url=slack.api_url)
        assert await passing(client, "C0CHECKOUT") == 5
        assert await passing(client, "C0PAYMENTS") == 5
        clock.now += 2
        assert await passing(client, "C0CHECKOUT") == 2


async def test_rate_limits_can_be_widened(clock: Clock) -> None:
    async with PlaygroundSlack(Workspace.example(clock=clock, rate_limits=3)) as slack:
        client = AsyncWebClient(token=slack.workspace.bot_token, base_url=slack.api_url)
        assert await passing(client, "C0CHECKOUT") == 15
