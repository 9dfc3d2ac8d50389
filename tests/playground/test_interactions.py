"""Clicks, response URLs, modals and ephemeral messages, with a real Bolt app at the other end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.playground.slack import PlaygroundSlack, SlackRefusal
from tests.playground.conftest import Bot

PLAIN = {"type": "plain_text", "text": "Choose"}
FEEDBACK = {
    "type": "context_actions",
    "elements": [
        {
            "type": "feedback_buttons",
            "action_id": "feedback",
            "positive_button": {"text": PLAIN, "value": "good"},
            "negative_button": {"text": PLAIN, "value": "bad"},
        }
    ],
}
BUTTONS = {
    "type": "actions",
    "elements": [
        {"type": "button", "action_id": "approve", "text": PLAIN, "value": "42"},
        {
            "type": "static_select",
            "action_id": "tier",
            "options": [{"text": PLAIN, "value": "1"}, {"text": PLAIN, "value": "2"}],
        },
    ],
}
MODAL = {
    "type": "modal",
    "callback_id": "outcome",
    "title": {"type": "plain_text", "text": "What was it?"},
    "submit": {"type": "plain_text", "text": "Save"},
    "blocks": [
        {
            "type": "input",
            "block_id": "cause",
            "label": PLAIN,
            "element": {"type": "plain_text_input", "action_id": "text"},
        }
    ],
}


async def posted(bot: Bot) -> str:
    answer = await bot.client.chat_postMessage(channel="C0CHECKOUT", text="x", blocks=[BUTTONS, FEEDBACK])
    return str(answer["ts"])


async def test_a_click_carries_the_documented_payload(slack: PlaygroundSlack, bot: Bot) -> None:
    payloads: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    @bot.app.action("approve")
    async def _approve(ack, body) -> None:  # type: ignore[no-untyped-def]
        await ack()
        payloads.put_nowait(body)

    ts = await posted(bot)
    await slack.click("U0OMAR", ts, "approve")
    body = await asyncio.wait_for(payloads.get(), 60)
    assert body["container"] == {
        "type": "message",
        "message_ts": ts,
        "channel_id": "C0CHECKOUT",
        "is_ephemeral": False,
    }
    assert body["user"]["id"] == "U0OMAR"
    assert body["user"]["team_id"] == "T0ACME"
    assert body["channel"] == {"id": "C0CHECKOUT", "name": "checkout-team"}
    assert body["message"]["ts"] == ts
    assert body["actions"][0]["value"] == "42"


async def test_feedback_and_selects_say_what_was_chosen(slack: PlaygroundSlack, bot: Bot) -> None:
    ts = await posted(bot)
    bad = await slack.click("U0OMAR", ts, "feedback", value="bad")
    assert (bad["actions"][0]["type"], bad["actions"][0]["value"]) == ("feedback_buttons", "bad")
    second = await slack.click("U0OMAR", ts, "tier", value="2")
    assert second["actions"][0]["selected_option"]["value"] == "2"
    with pytest.raises(SlackRefusal, match="action_not_found"):
        await slack.click("U0OMAR", ts, "no such button")


async def test_a_response_url_replaces_answers_and_runs_out(slack: PlaygroundSlack, bot: Bot) -> None:
    answered = asyncio.Event()

    @bot.app.action("approve")
    async def _approve(ack, respond) -> None:  # type: ignore[no-untyped-def]
        await ack()
        await respond(text="only you see this", response_type="ephemeral", replace_original=False)
        await respond(text="approved", replace_original=True)
        answered.set()

    ts = await posted(bot)
    await slack.click("U0OMAR", ts, "approve")
    await asyncio.wait_for(answered.wait(), 60)
    message = slack.channel("C0CHECKOUT")[0]
    assert (message.text, message.blocks) == ("approved", [])
    assert [each.text for each in slack.ephemeral("U0OMAR")] == ["only you see this"]
    assert slack.ephemeral("U0MAYA") == []


async def test_a_modal_is_opened_refused_and_saved(slack: PlaygroundSlack, bot: Bot) -> None:
    saved: list[str] = []

    @bot.app.action("approve")
    async def _approve(ack, body, client) -> None:  # type: ignore[no-untyped-def]
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=MODAL)

    @bot.app.view("outcome")
    async def _outcome(ack, view) -> None:  # type: ignore[no-untyped-def]
        cause = view["state"]["values"]["cause"]["text"]["value"]
        if not cause:
            await ack(response_action="errors", errors={"cause": "Say something"})
            return
        saved.append(cause)
        await ack()

    ts = await posted(bot)
    await slack.click("U0OMAR", ts, "approve")
    view = await slack.wait_for(lambda: next(iter(slack.workspace.views.values()), None))

    def filled(cause: str) -> dict[str, Any]:
        return {"cause": {"text": {"type": "plain_text_input", "value": cause}}}

    assert view
    assert await slack.submit(view.id, filled("")) == {"errors": {"cause": "Say something"}}
    assert await slack.submit(view.id, filled("a bad deploy")) == {}
    assert saved == ["a bad deploy"]
    assert slack.workspace.views == {}


async def test_a_trigger_opens_one_modal_within_three_seconds(
    slack: PlaygroundSlack, bot: Bot, clock: Any
) -> None:
    ts = await posted(bot)
    payload = await slack.click("U0OMAR", ts, "tier", value="1")
    await bot.client.views_open(trigger_id=payload["trigger_id"], view=MODAL)
    with pytest.raises(Exception, match="exchanged_trigger_id"):
        await bot.client.views_open(trigger_id=payload["trigger_id"], view=MODAL)
    payload = await slack.click("U0OMAR", ts, "tier", value="1")
    clock.now += 3.5
    with pytest.raises(Exception, match="expired_trigger_id"):
        await bot.client.views_open(trigger_id=payload["trigger_id"], view=MODAL)
