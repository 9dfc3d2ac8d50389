"""Events over signed HTTP, against a real Bolt app behind a real server."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator

import pytest
import uvicorn
from slack_bolt.adapter.starlette.async_handler import AsyncSlackRequestHandler
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.playground.slack import PlaygroundSlack
from app.playground.slack.server import _Server, loopback_socket
from tests.playground.conftest import Bot


class Receiver:
    """A request URL in front of a Bolt app; `answers` are statuses to give instead of Bolt's."""

    def __init__(self, bot: Bot) -> None:
        self.bot = bot
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []
        self._bolt = AsyncSlackRequestHandler(bot.app)
        self._bound = loopback_socket()
        self.url = f"http://127.0.0.1:{self._bound.getsockname()[1]}/slack/events"
        routes = [Route("/slack/events", self._receive, methods=["POST"])]
        config = uvicorn.Config(Starlette(routes=routes), lifespan="off", log_level="warning")
        self._server = _Server(config)

    async def _receive(self, request: Request) -> Response:
        self.requests.append((dict(request.headers), await request.body()))
        if self.answers:
            return Response(status_code=self.answers.pop(0))
        return await self._bolt.handle(request)

    async def __aenter__(self) -> Receiver:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._bound]))
        await self._server.listening.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._server.leaving.set()
        await self._task
        self._bound.close()


@pytest.fixture
async def receiver(slack: PlaygroundSlack) -> AsyncIterator[Receiver]:
    bot = Bot(slack)
    async with Receiver(bot) as made:
        slack.deliver_to(made.url)
        # The signature's age is checked against the real time.
        slack.workspace.clock = time.time
        yield made


async def test_a_signed_event_passes_bolts_check(slack: PlaygroundSlack, receiver: Receiver) -> None:
    @receiver.bot.app.event("message")
    async def _message() -> None:
        """Acked."""

    await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    await slack.wait_for(lambda: slack.deliveries and slack.deliveries[-1].outcome == "acked")
    assert slack.deliveries[0].via == "http"
    assert receiver.bot.events("message")[0]["text"] == "hello"
    headers, body = receiver.requests[0]
    base = f"v0:{headers['x-slack-request-timestamp']}:".encode() + body
    expected = hmac.new(slack.workspace.signing_secret.encode(), base, hashlib.sha256).hexdigest()
    assert headers["x-slack-signature"] == f"v0={expected}"
    assert "x-slack-retry-num" not in headers


async def test_a_failed_request_is_repeated_with_its_number_and_reason(
    slack: PlaygroundSlack, receiver: Receiver
) -> None:
    receiver.answers = [500, 503, 200]
    await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    await slack.wait_for(lambda: len(slack.deliveries) == 3 and slack.deliveries[-1].acked_at)
    assert [headers.get("x-slack-retry-num") for headers, _ in receiver.requests] == [None, "1", "2"]
    assert receiver.requests[1][0]["x-slack-retry-reason"] == "http_error"
    assert len({body for _, body in receiver.requests}) == 1


async def test_a_wrong_secret_is_no_ack(slack: PlaygroundSlack, receiver: Receiver) -> None:
    slack.workspace.signing_secret = "another"
    await slack.say("U0MAYA", "C0CHECKOUT", "hello")
    await slack.wait_for(lambda: slack.journal.given_up)
    assert receiver.bot.seen == []
    assert {delivery.outcome for delivery in slack.deliveries} == {"http_error"}


async def test_the_request_url_is_verified_by_challenge(slack: PlaygroundSlack, receiver: Receiver) -> None:
    carrier = slack.dispatcher.carrier
    assert await carrier.verify_url() is True  # type: ignore[attr-defined]


async def test_a_click_comes_form_encoded(slack: PlaygroundSlack, receiver: Receiver) -> None:
    clicked = asyncio.Event()

    @receiver.bot.app.action("go")
    async def _go(ack) -> None:  # type: ignore[no-untyped-def]
        await ack()
        clicked.set()

    button = {"type": "button", "action_id": "go", "text": {"type": "plain_text", "text": "Go"}, "value": "7"}
    blocks = [{"type": "actions", "elements": [button]}]
    posted = await receiver.bot.client.chat_postMessage(channel="C0CHECKOUT", text="x", blocks=blocks)
    await slack.click("U0MAYA", posted["ts"], "go")
    await asyncio.wait_for(clicked.wait(), 60)
    assert receiver.requests[-1][0]["content-type"] == "application/x-www-form-urlencoded"
