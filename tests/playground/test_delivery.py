"""Events reach a real Bolt app, and reach it again when it does not ack."""

from __future__ import annotations

from slack_sdk.web.async_client import AsyncWebClient

from app.playground.slack import PlaygroundSlack
from tests.playground.conftest import Bot


async def test_a_mention_in_a_channel_yields_a_mention_and_a_message(
    slack: PlaygroundSlack, bot: Bot
) -> None:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "<@U0AGENT> hello")
    await slack.wait_for(lambda: sum(d.outcome == "acked" for d in slack.deliveries) == 2)

    mention, message = bot.events("app_mention")[0], bot.events("message")[0]
    assert mention["ts"] == message["ts"] == ts
    assert message["channel_type"] == "channel"
    assert "channel_type" not in mention
    assert len({d.event_id for d in slack.deliveries}) == 2


async def test_the_agent_can_answer_in_the_thread(slack: PlaygroundSlack, client: AsyncWebClient) -> None:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "<@U0AGENT> hello")
    await client.chat_postMessage(channel="C0CHECKOUT", text="hi", thread_ts=ts)
    assert [message.text for message in slack.thread("C0CHECKOUT", ts)] == ["<@U0AGENT> hello", "hi"]
