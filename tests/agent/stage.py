"""A loop with everything real but the model service, which is a fake on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import pytest
from pydantic import BaseModel

from app.agent.answer import Answer
from app.agent.budget import Budget
from app.agent.failures import Backoff
from app.agent.models import ChosenModel, load
from app.agent.prices import Prices
from app.agent.run import Means, RunRequest, run
from app.context.models import Source
from app.settings import ModelSettings
from app.tools.catalogue import Catalogue, Tool, ToolFailed, ToolResult, ToolScope
from tests.agent.memory import MemoryBudget, MemoryProgress, MemoryTranscript
from tests.agent.memory import load as load_row
from tests.fakes.anthropic import FakeAnthropic


class ReadFile(BaseModel):
    path: str


@dataclass
class Shelf:
    """A tool over a dict of files that counts how often it really ran."""

    files: dict[str, str]
    runs: list[str] = field(default_factory=list)
    started: asyncio.Event | None = None
    block: asyncio.Event | None = None

    async def read(self, given: ReadFile, scope: ToolScope) -> ToolResult:
        self.runs.append(given.path)
        if self.started is not None:
            self.started.set()
        if self.block is not None:
            await self.block.wait()
        if given.path not in self.files:
            raise ToolFailed(f"There is no file {given.path}.")
        url = f"https://git.example.com/{given.path}"
        return ToolResult(
            self.files[given.path], (Source(kind="file", title=given.path, path=given.path, url=url),)
        )

    def tool(self) -> Tool[ReadFile]:
        return Tool("read_file", "Read one file of the service.", ReadFile, self.read)


@dataclass
class Stage:
    server: FakeAnthropic
    model: ChosenModel
    transcript: MemoryTranscript = field(default_factory=MemoryTranscript)
    progress: MemoryProgress = field(default_factory=MemoryProgress)
    budget: Budget = field(default_factory=MemoryBudget)
    shelf: Shelf = field(default_factory=lambda: Shelf({"README.md": "Checkout takes payments."}))
    prices: Prices = field(default_factory=Prices)
    waits: list[float] = field(default_factory=list)
    request: RunRequest = field(
        default_factory=lambda: RunRequest(uuid4(), None, 1, "You are the SRE agent. " * 40)
    )

    progress_seen: asyncio.Event | None = None

    def kinds(self) -> list[str]:
        return [load_row(row).kind for row in self.transcript.rows]

    @property
    def means(self) -> Means:
        return Means(
            tools=Catalogue([self.shelf.tool()]),
            budget=self.budget,
            prices=self.prices,
            backoff=Backoff(attempts=3, first_seconds=1),
            sleep=self._sleep,
        )

    async def ask(self, question: str, **changes: Any) -> Answer:
        """A new turn: store the question, run the loop."""
        await self.transcript.ask(question)
        self.progress = MemoryProgress(seen=self.progress_seen)
        return await self.resume(**changes)

    async def resume(self, **changes: Any) -> Answer:
        """Run the loop on the rows there are, as a second attempt does."""
        return await run(
            replace(self.request, **changes),
            model=self.model,
            transcript=self.transcript,
            progress=self.progress,
            means=self.means,
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)


def anthropic_settings(url: str, **more: Any) -> ModelSettings:
    return ModelSettings(
        _env_file=None,
        ANTHROPIC_API_KEY="sk-ant-test",
        ANTHROPIC_BASE_URL=url,
        **{"MODEL": "claude-haiku-5-5", "MODEL_STRONG": "claude-haiku-5-5", **more},
    )


async def wait_for(event: asyncio.Event) -> None:
    async with asyncio.timeout(60):
        await event.wait()


@pytest.fixture
async def silent_stage() -> AsyncIterator[Stage]:
    """A stage whose model is given up after a pause of 0.3 seconds."""
    async with FakeAnthropic() as server:
        models = load(anthropic_settings(server.url), silence_seconds=0.3)
        assert models is not None
        yield Stage(server, models.fast)
        await models.close()


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with FakeAnthropic(key="sk-ant-test") as server:
        models = load(anthropic_settings(server.url), silence_seconds=60)
        assert models is not None
        yield Stage(server, models.fast)
        await models.close()
