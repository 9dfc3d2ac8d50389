"""A playground, a real Slack client for it, and real Bolt apps talking to it."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright, expect
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.web.async_client import AsyncWebClient

from app.playground.slack import PlaygroundSlack, Workspace

CHROMIUM = Path("/usr/bin/chromium")
QUICK_RETRIES = (0.0, 0.0, 0.0)


class Clock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def slack(clock: Clock) -> AsyncIterator[PlaygroundSlack]:
    workspace = Workspace.example(clock=clock, rate_limits=False)
    async with PlaygroundSlack(workspace, ack_seconds=60, retry_delays=QUICK_RETRIES) as playground:
        yield playground


@pytest.fixture
def client(slack: PlaygroundSlack) -> AsyncWebClient:
    return AsyncWebClient(token=slack.workspace.bot_token, base_url=slack.api_url)


class Bot:
    """A Bolt app that writes down every event it gets."""

    def __init__(self, slack: PlaygroundSlack) -> None:
        self.client = AsyncWebClient(token=slack.workspace.bot_token, base_url=slack.api_url)
        self.app = AsyncApp(client=self.client, signing_secret=slack.workspace.signing_secret)
        self.seen: list[dict[str, object]] = []
        self.app.use(self._write_down)

    async def _write_down(self, body, next_) -> None:  # type: ignore[no-untyped-def]
        self.seen.append(body)
        await next_()

    def events(self, kind: str) -> list[dict[str, object]]:
        return [b["event"] for b in self.seen if b.get("event", {}).get("type") == kind]  # type: ignore[attr-defined, index]


@pytest.fixture
async def bot(slack: PlaygroundSlack) -> AsyncIterator[Bot]:
    """Connected over Socket Mode."""
    made = Bot(slack)
    made.app.event("message")(_ignore)
    made.app.event("app_mention")(_ignore)
    handler = AsyncSocketModeHandler(made.app, slack.workspace.app_token, ping_interval=5)
    logging.getLogger("slack_bolt").setLevel(logging.WARNING)
    await handler.connect_async()
    await slack.connected()
    yield made
    await handler.close_async()


async def _ignore() -> None:
    """Acked and nothing else."""


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    if not CHROMIUM.exists():
        reason = f"no Chromium at {CHROMIUM}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    expect.set_options(timeout=60_000)
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield launched
        await launched.close()
