"""The page in a real browser, with a real Bolt app behind the playground."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_sdk.models.messages.chunk import PlanUpdateChunk, TaskUpdateChunk

from app.playground.slack import PlaygroundSlack, Workspace
from tests.playground.conftest import Bot

SCREENSHOTS = Path(__file__).parents[2] / "artifacts"

pytestmark = pytest.mark.browser

ANSWER = """## Before you launch checkout

Two things are missing, **one of them blocks** the launch:

1. The contract with `payments` asks for a retry budget; *none is set*.
2. No alert watches the [p99 latency](https://dash.acme.example/checkout).

| Objective | Target | Now |
|---|---:|---:|
| Availability | 99.9 % | 99.94 % |
| p99 latency | 400 ms | 380 ms |

> Tier 1 services page a human within five minutes.

```yaml
retry_budget: 0.1
```

<script>window.hacked = true</script> and <@U0OMAR> knows more :eyes:
"""
SIDE = {"text": {"type": "plain_text", "text": "Helpful"}, "value": "good"}
FEEDBACK = {
    "type": "context_actions",
    "elements": [
        {
            "type": "feedback_buttons",
            "action_id": "feedback",
            "positive_button": SIDE,
            "negative_button": {"text": {"type": "plain_text", "text": "Not helpful"}, "value": "bad"},
        }
    ],
}
BUTTON = {"type": "plain_text", "text": "Tell what it was"}
MODAL: dict[str, Any] = {
    "type": "modal",
    "callback_id": "outcome",
    "title": {"type": "plain_text", "text": "What was it?"},
    "submit": {"type": "plain_text", "text": "Save"},
    "blocks": [
        {
            "type": "input",
            "block_id": "cause",
            "label": {"type": "plain_text", "text": "Cause"},
            "element": {"type": "plain_text_input", "action_id": "text", "multiline": True},
        }
    ],
}


def _line(*values: float) -> list[dict[str, Any]]:
    return [{"label": f"14:0{minute}", "value": value} for minute, value in enumerate(values)]


CHART = {
    "type": "data_visualization",
    "title": "p99 latency of checkout",
    "chart": {
        "type": "line",
        "series": [
            {"name": "checkout", "data": _line(380, 390, 420, 900, 870, 400)},
            {"name": "payments", "data": _line(120, 125, 119, 410, 390, 130)},
        ],
        "axis_config": {"categories": [point["label"] for point in _line(*range(6))], "y_label": "ms"},
    },
}
HINTS = [
    {
        "title": "Ask before a launch",
        "why": "It reads checkout's blueprint and contracts.",
        "text": "@sre-agent what do I need before we launch checkout?",
        "channel": "C0CHECKOUT",
    },
    {
        "title": "Go on in the thread",
        "why": "No need to mention it again.",
        "text": "and payments?",
        "thread": True,
    },
]


class AnsweringBot(Bot):
    """Streams one rich answer; waits before its end for `finish`."""

    def __init__(self, slack: PlaygroundSlack) -> None:
        super().__init__(slack)
        self.finish = asyncio.Event()
        self.clicked: asyncio.Queue[str] = asyncio.Queue()
        self.saved: asyncio.Queue[str] = asyncio.Queue()
        self.stopped = asyncio.Event()
        self.app.event("app_mention")(self._answer)
        self.app.event("message")(self._ignore)
        self.app.event("agent_session_stopped")(self._stopped)
        self.app.action("feedback")(self._feedback)
        self.app.action("outcome")(self._open)
        self.app.view("outcome")(self._save)

    async def _ignore(self) -> None:
        """Acked and nothing else."""

    async def _answer(self, event, client) -> None:  # type: ignore[no-untyped-def]
        place = {"channel": event["channel"], "thread_ts": event["ts"]}
        session = {"channel_id": event["channel"], "thread_ts": event["ts"]}
        await client.reactions_add(channel=event["channel"], timestamp=event["ts"], name="eyes")
        await client.agents_sessions_setStatus(**session, status="processing", title="Launching checkout")
        stream = await client.chat_stream(
            **place,
            recipient_team_id="T0ACME",
            recipient_user_id=event["user"],
            task_display_mode="plan",
            buffer_size=1,
        )
        reading = TaskUpdateChunk(id="t1", title="Read checkout's blueprint", status="in_progress")
        await stream.append(chunks=[PlanUpdateChunk(title="Looking into checkout"), reading])
        half = len(ANSWER) // 2
        await stream.append(markdown_text=ANSWER[:half])
        await self.finish.wait()
        done = TaskUpdateChunk(
            id="t1",
            title="Read checkout's blueprint",
            status="complete",
            output="3 documents",
            sources=[{"type": "url", "url": "https://git.acme.example/blueprints", "text": "checkout.md"}],
        )
        found = TaskUpdateChunk(id="t2", title="Query p99 latency", status="complete")
        await stream.append(chunks=[done, found])
        await stream.append(markdown_text=ANSWER[half:])
        button = {"type": "button", "action_id": "outcome", "text": BUTTON, "style": "primary"}
        await stream.stop(blocks=[CHART, {"type": "actions", "elements": [button]}, FEEDBACK])
        upload = {"filename": "slo.yaml", "title": "SLO of checkout", "content": "objective: 99.9\n" * 12}
        await client.files_upload_v2(**place, file_uploads=[upload])
        await client.chat_postEphemeral(**place, user=event["user"], text="_psst_: tell me how it went")
        await client.agents_sessions_setStatus(**session, status="active")
        await client.reactions_remove(channel=event["channel"], timestamp=event["ts"], name="eyes")
        await client.reactions_add(channel=event["channel"], timestamp=event["ts"], name="white_check_mark")

    async def _stopped(self) -> None:
        self.stopped.set()

    async def _feedback(self, ack, action) -> None:  # type: ignore[no-untyped-def]
        await ack()
        self.clicked.put_nowait(action["value"])

    async def _open(self, ack, body, client) -> None:  # type: ignore[no-untyped-def]
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=MODAL)

    async def _save(self, ack, view) -> None:  # type: ignore[no-untyped-def]
        await ack()
        self.saved.put_nowait(view["state"]["values"]["cause"]["text"]["value"])


@pytest.fixture
async def slack() -> AsyncIterator[PlaygroundSlack]:
    workspace = Workspace.example(rate_limits=False)
    async with PlaygroundSlack(workspace, hints=HINTS) as playground:
        yield playground


@pytest.fixture
async def answering(slack: PlaygroundSlack) -> AsyncIterator[AnsweringBot]:
    bot = AnsweringBot(slack)
    handler = AsyncSocketModeHandler(bot.app, slack.workspace.app_token)
    await handler.connect_async()
    await slack.connected()
    yield bot
    bot.finish.set()
    await handler.close_async()


@pytest.fixture
async def page(browser: Browser, slack: PlaygroundSlack) -> AsyncIterator[Page]:
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    made = await context.new_page()
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.on("console", lambda line: errors.append(line.text) if line.type == "error" else None)
    await made.goto(slack.url)
    await expect(made.locator("#channel-name")).to_contain_text("checkout-team")
    yield made
    await context.close()
    assert errors == []


async def shoot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(exist_ok=True)
    await page.screenshot(path=SCREENSHOTS / f"playground-{name}.png")


async def ask(page: Page) -> None:
    """Write a mention the way a person does, completion included."""
    box = page.get_by_role("textbox", name="Message #checkout-team")
    await box.press_sequentially("@sre")
    await expect(page.locator(".completion li").first).to_contain_text("sre-agent")
    await box.press("Enter")
    await box.press_sequentially("what do I need before we launch *checkout*?")
    await box.press("Enter")


async def test_a_person_asks_and_watches_the_answer_being_written(
    page: Page, slack: PlaygroundSlack, answering: AnsweringBot
) -> None:
    await shoot(page, "empty")
    await ask(page)
    thread = page.locator("#thread")
    await expect(thread.get_by_role("heading", name="Before you launch checkout")).to_be_visible()
    await expect(thread.locator(".message.streaming")).to_have_count(1)
    await expect(thread.locator(".plan")).to_contain_text("Read checkout's blueprint")
    await expect(page.get_by_role("button", name="Stop")).to_be_visible()
    await expect(thread.locator(".reaction")).to_have_attribute("title", "sre-agent · :eyes:")
    await shoot(page, "streaming")

    answering.finish.set()
    await expect(page.get_by_role("button", name="Stop")).to_have_count(0)
    await expect(thread.locator(".message.streaming")).to_have_count(0)
    await expect(thread.get_by_role("cell", name="99.94 %")).to_be_visible()
    await expect(thread.locator(".code-block")).to_contain_text("retry_budget: 0.1")
    await expect(thread.locator(".mention", has_text="@omar")).to_be_visible()
    await expect(thread.locator(".chart svg polyline")).to_have_count(2)
    await expect(thread.locator(".file")).to_contain_text("SLO of checkout")
    await expect(thread.locator(".ephemeral em")).to_have_text("psst")
    await expect(page.locator("#messages .thread-link")).to_contain_text("2 replies")
    assert await page.evaluate("window.hacked") is None
    assert "<script>window.hacked" in str(await thread.inner_text())
    await shoot(page, "answered")
    await thread.evaluate("list => list.scrollTop = 0")
    await shoot(page, "answered-top")

    await thread.get_by_role("button", name="Not helpful").click()
    assert await asyncio.wait_for(answering.clicked.get(), 60) == "bad"


async def test_a_modal_is_filled_in(page: Page, answering: AnsweringBot) -> None:
    answering.finish.set()
    await ask(page)
    await page.locator("#thread").get_by_role("button", name="Tell what it was").click()
    modal = page.get_by_role("dialog")
    await modal.get_by_role("button", name="Save").click()
    await expect(modal).to_contain_text("Please fill this in")
    await modal.get_by_role("textbox", name="Cause").fill("a retry storm")
    await shoot(page, "modal")
    await modal.get_by_role("button", name="Save").click()
    await expect(modal).to_be_hidden()
    assert await asyncio.wait_for(answering.saved.get(), 60) == "a retry storm"


async def test_stop_stops_the_text_and_tells_the_agent(page: Page, answering: AnsweringBot) -> None:
    await ask(page)
    await page.get_by_role("button", name="Stop").click()
    await asyncio.wait_for(answering.stopped.wait(), 60)
    await expect(page.locator("#thread .message.streaming")).to_have_count(0)


async def test_a_person_edits_reacts_replies_and_attaches(page: Page, slack: PlaygroundSlack) -> None:
    box = page.get_by_role("textbox", name="Message #checkout-team")
    await box.fill("rolling out <b>now</b> & then")
    await page.locator("#composer input[type=file]").set_input_files(
        {"name": "error.log", "mimeType": "text/plain", "buffer": b"boom\n"}
    )
    await box.press("Enter")
    row = page.locator("#messages .message")
    await expect(row).to_contain_text("rolling out <b>now</b> & then")
    await expect(row.locator(".file-preview")).to_have_text("boom\n")
    assert slack.channel("C0CHECKOUT")[0].text == "rolling out &lt;b&gt;now&lt;/b&gt; &amp; then"

    await row.hover()
    await row.get_by_role("button", name="React with +1").click()
    await expect(row.locator(".reaction.mine")).to_contain_text("1")
    await row.hover()
    await row.get_by_role("button", name="Edit").click()
    edit = page.get_by_role("textbox", name="Edit message")
    await edit.fill("rolled back")
    await edit.press("Enter")
    await expect(row).to_contain_text("rolled back (edited)")
    await row.hover()
    await row.get_by_role("button", name="Reply in thread").click()
    reply = page.get_by_role("textbox", name="Reply…")
    await reply.fill("why?")
    await reply.press("Enter")
    await expect(page.locator("#thread")).to_contain_text("why?")
    await expect(page.locator("#messages .thread-link")).to_contain_text("1 reply")


async def test_a_hint_fills_the_composer(page: Page) -> None:
    await page.get_by_role("button", name="Ask before a launch").click()
    box = page.get_by_role("textbox", name="Message #checkout-team")
    await expect(box).to_have_value("@sre-agent what do I need before we launch checkout?")


async def test_the_direct_message_is_the_actors_own(page: Page, slack: PlaygroundSlack) -> None:
    await page.get_by_role("combobox", name="Act as").select_option("U0OMAR")
    await page.get_by_role("button", name="SRE Agent").click()
    box = page.get_by_role("textbox", name="Message SRE Agent")
    await box.fill("hello")
    await box.press("Enter")
    await expect(page.locator("#messages")).to_contain_text("hello")
    assert [message.user for message in slack.channel(slack.dm("U0OMAR"))] == ["U0OMAR"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_it_is_readable_on_a_phone(
    browser: Browser, slack: PlaygroundSlack, answering: AnsweringBot, scheme: Any
) -> None:
    answering.finish.set()
    context = await browser.new_context(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page = await context.new_page()
    await page.goto(slack.url)
    await expect(page.locator("#channel-name")).to_contain_text("checkout-team")
    await page.get_by_role("button", name="Show channels").click()
    await page.get_by_role("button", name="checkout-team").click()
    await ask(page)
    await expect(page.locator("#thread .file")).to_be_visible()
    await page.locator("#thread").evaluate("list => list.scrollTop = 120")
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await shoot(page, f"phone-{scheme}")
    await context.close()


async def test_the_page_is_dark_where_the_system_is(
    browser: Browser, slack: PlaygroundSlack, answering: AnsweringBot
) -> None:
    answering.finish.set()
    context = await browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    page = await context.new_page()
    await page.goto(slack.url)
    await ask(page)
    await expect(page.locator("#thread .file")).to_be_visible()
    await page.locator("#thread").evaluate("list => list.scrollTop = 0")
    background = await page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(20, 27, 29)"
    await shoot(page, "dark")
    await context.close()
