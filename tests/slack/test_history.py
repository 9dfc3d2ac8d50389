"""Reading what was said around an incident: the incident channel and the catalog's channels, no others."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import pytest

from app.playground.slack.server import PlaygroundSlack
from app.playground.slack.workspace import Workspace
from app.slack.client import web_client, web_session
from app.slack.history import ChannelReader, NotReadable
from app.slack.incoming import Me

ME = Me("T0ACME", "U0AGENT", "B0AGENT", "https://acme.slack.com/")


@pytest.fixture
async def slack() -> AsyncIterator[PlaygroundSlack]:
    async with PlaygroundSlack(Workspace.example(rate_limits=False)) as running:
        yield running


@pytest.fixture
async def reader(slack: PlaygroundSlack) -> AsyncIterator[ChannelReader]:
    session = web_session()
    client = web_client(
        slack.environment["SLACK_BOT_TOKEN"], slack.environment["SLACK_API_URL"], session=session
    )
    yield ChannelReader(client, ME, "C0INCIDENTS", lambda: frozenset({"#checkout-team"}))
    await session.close()


async def test_messages_of_the_window_come_oldest_first_with_their_links(
    slack: PlaygroundSlack, reader: ChannelReader
) -> None:
    began = time.time() - 60
    first = await slack.say("U0MAYA", "C0CHECKOUT", "checkout is slow")
    await slack.say("U0OMAR", "C0CHECKOUT", "rolling back")
    said = await reader.said("#checkout-team", began, time.time() + 60, 50)
    assert [(each.who, each.text) for each in said] == [
        ("U0MAYA", "checkout is slow"),
        ("U0OMAR", "rolling back"),
    ]
    assert said[0].link == f"https://acme.slack.com/archives/C0CHECKOUT/p{first.replace('.', '')}"
    assert await reader.said("#checkout-team", began - 60, began, 50) == []


async def test_the_incident_channel_is_always_read(slack: PlaygroundSlack, reader: ChannelReader) -> None:
    await slack.say("U0MAYA", "C0INCIDENTS", "I take it")
    said = await reader.said("C0INCIDENTS", time.time() - 600, time.time() + 60, 50)
    assert [each.text for each in said] == ["I take it"]


@pytest.mark.parametrize("channel", ["#general", "C0GENERAL", "#nowhere", "D0MAYA"])
async def test_other_channels_are_nobody_s_business(reader: ChannelReader, channel: str) -> None:
    with pytest.raises(NotReadable):
        await reader.said(channel, 0, time.time(), 50)
