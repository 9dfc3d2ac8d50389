"""A simulated stack with a clock that stands still, and a client that reads from it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from app.playground.stack import SimulatedStack
from app.playground.stack.metrics import Metrics
from app.playground.stack.promql import Sample, evaluate
from app.playground.stack.scenarios import SCENARIOS
from app.playground.stack.shop import Shop
from app.playground.stack.story import Story

NOW = datetime(2026, 11, 20, 14, 0, 7, tzinfo=UTC)
SHOP = Shop.example()


@pytest.fixture
async def stack() -> AsyncIterator[SimulatedStack]:
    async with SimulatedStack("bad-deploy", clock=lambda: NOW) as simulated:
        yield simulated


@dataclass(frozen=True)
class Reply:
    status: int
    kind: str
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class Client:
    """Asks a system of the stack by its name."""

    def __init__(self, stack: SimulatedStack, session: aiohttp.ClientSession) -> None:
        self._stack = stack
        self._session = session

    async def get(self, system: str, path: str, *, browser: bool = False, **query: str) -> Reply:
        headers = {"Accept": "text/html" if browser else "application/json"}
        address = self._stack.urls[system] + path
        async with self._session.get(address, params=query, headers=headers) as response:
            return Reply(response.status, response.content_type, await response.text())

    async def send(self, method: str, system: str, path: str, body: Any) -> Reply:
        address = self._stack.urls[system] + path
        async with self._session.request(method, address, json=body) as response:
            return Reply(response.status, response.content_type, await response.text())


@pytest.fixture
async def client(stack: SimulatedStack) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(stack, session)


def story_of(name: str | None, *, seed: int = 1, age: float | None = None) -> Story:
    scenario = SCENARIOS[name] if name else None
    usual = scenario.age if scenario else 0.0
    return Story(SHOP, scenario, NOW.timestamp() - (usual if age is None else age), seed)


def metrics_of(name: str | None, *, seed: int = 1, age: float | None = None) -> Metrics:
    return Metrics(story_of(name, seed=seed, age=age), NOW.timestamp)


def by_service(query: str, metrics: Metrics, ago: float = 0) -> dict[str, float]:
    """Service → value of a query that gives one element each."""
    found = evaluate(query, metrics, NOW.timestamp() - ago)
    assert isinstance(found, list)
    return {each.labels["service"]: each.value for each in found if isinstance(each, Sample)}
