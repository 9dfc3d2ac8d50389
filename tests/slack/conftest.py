"""One thread in the playground's workspace, and a clock that only moves when a test moves it."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient

from app.errors import AgentError
from app.playground.slack import Message, PlaygroundSlack, Workspace
from app.slack.client import Pace, web_client, web_session
from app.slack.stream import GrowingMessage

CHANNEL = "C0CHECKOUT"
ASKER = "U0MAYA"
CALM_ROUNDS = 20
"""Rounds of the loop in which whoever has something to say to Slack has begun to say it."""
TURN = "7d4c2b8e-5a51-4f0e-9a3e-0f4b1c2d3e4f"


class Time:
    """Seconds since the epoch; `sleep` waits until a test has moved the clock far enough."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0
        self._order = itertools.count()
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), woken))
        await woken

    async def pass_over(self, seconds: float) -> None:
        """A sleep that is over at once, with the clock moved."""
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        self.now += seconds
        while self._sleepers and self._sleepers[0][0] <= self.now:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)


class Stale(AgentError):
    code = "stale_attempt"


@dataclass
class Notebook:
    """The ledger of one turn: what is saved is JSON, and saving is refused once the turn was taken over."""

    state: str = "null"
    saves: int = 0
    taken_over: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)

    async def load(self) -> dict[str, Any] | None:
        loaded: dict[str, Any] | None = json.loads(self.state)
        return loaded

    async def save(self, state: dict[str, Any]) -> None:
        if self.taken_over:
            raise Stale("Another worker has this turn.")
        self.state = json.dumps(state)
        self.saves += 1
        self.history.append(json.loads(self.state))


class OnTheWay:
    """How many calls of a session have begun and are not answered."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.calls = 0
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._begun)
        trace.on_request_end.append(self._over)
        trace.on_request_exception.append(self._over)
        trace.freeze()
        session.trace_configs.append(trace)

    async def _begun(self, *_: object) -> None:
        self.calls += 1

    async def _over(self, *_: object) -> None:
        self.calls -= 1


@dataclass
class Play:
    slack: PlaygroundSlack
    time: Time
    client: AsyncWebClient
    thread_ts: str
    on_the_way: OnTheWay
    ledger: Notebook = field(default_factory=Notebook)

    def message(self, ledger: Notebook | None = None, **options: Any) -> GrowingMessage:
        given: dict[str, Any] = {
            "channel": CHANNEL,
            "thread_ts": self.thread_ts,
            "turn_id": TURN,
            "recipient_team_id": "T0ACME",
            "recipient_user_id": ASKER,
            "ledger": ledger or self.ledger,
            "pace": Pace(clock=self.time.clock, sleep=self.time.pass_over),
            "clock": self.time.clock,
            "sleep": self.time.sleep,
        }
        return GrowingMessage(self.client, **(given | options))

    def parts(self) -> list[Message]:
        """The agent's messages in the thread, oldest first."""
        return [each for each in self.slack.thread(CHANNEL, self.thread_ts)[1:] if each.user == "U0AGENT"]

    def texts(self) -> list[str]:
        return [written(message) for message in self.parts()]

    def shown(self) -> str:
        return "".join(self.texts())

    async def see(self, text: str) -> None:
        await self.slack.wait_for(lambda: self.shown() == text)

    async def quiet(self) -> None:
        """Let happen what follows from what was done, however slow the machine: the clock waits for it."""
        calm = 0
        async with asyncio.timeout(60):
            while calm < CALM_ROUNDS:
                await asyncio.sleep(0.001 if self.on_the_way.calls else 0)
                calm = 0 if self.on_the_way.calls else calm + 1

    async def pass_time(self, seconds: float) -> None:
        self.time.advance(seconds)
        await self.quiet()

    async def in_time(self, predicate: Callable[[], object], step: float = 0.5) -> None:
        """Let the clock run, `step` seconds at a time, until `predicate` holds."""
        for _ in range(300):
            await self.quiet()
            if predicate():
                return
            self.time.advance(step)
        assert predicate()

    async def see_parts(self, number: int) -> None:
        await self.slack.wait_for(lambda: len(self.parts()) == number)

    async def called(self, method: str, times: int = 1) -> None:
        await self.slack.wait_for(
            lambda: len([call for call in self.slack.calls(method) if call.answered_at is not None]) >= times
        )

    def tasks(self, part: int = -1) -> dict[str, str]:
        """Task titles of one part with their status."""
        parts = self.parts()
        return {
            task["title"]: task["status"]
            for block in (parts[part].blocks if parts else [])
            if block["type"] == "plan"
            for task in block["tasks"]
        }


def written(message: Message) -> str:
    return "".join(block["text"] for block in message.blocks if block["type"] == "markdown")


@pytest.fixture
async def play() -> AsyncIterator[Play]:
    time = Time()
    workspace = Workspace.example(clock=time.clock, rate_limits=False)
    async with PlaygroundSlack(workspace, sleep=time.pass_over) as slack, web_session() as session:
        client = web_client(
            workspace.bot_token, slack.api_url, session=session, sleep=time.pass_over, chance=lambda: 0.0
        )
        asked = await slack.say(ASKER, CHANNEL, "<@U0AGENT> what do I need before launch?")
        yield Play(slack, time, client, asked, OnTheWay(session))
