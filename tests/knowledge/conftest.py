"""A knowledge repo to change, and a listener that writes down what a keeper tells."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.knowledge.models import Fault, Knowledge
from app.playground.example import write_repos
from app.storage.engine import create_engine
from tests.knowledge.sources import GitRepo


class Listener:
    def __init__(self) -> None:
        self.loaded: list[str] = []
        self.refused: list[tuple[str, tuple[Fault, ...]]] = []
        self.is_broken = False

    async def on_loaded(self, knowledge: Knowledge, age: float) -> None:
        self.fail_when_broken()
        self.loaded.append(knowledge.revision)

    async def on_refused(self, revision: str, faults: tuple[Fault, ...], age: float) -> None:
        self.fail_when_broken()
        self.refused.append((revision, faults))

    def fail_when_broken(self) -> None:
        if self.is_broken:
            raise ConnectionError("the database is away")


@pytest.fixture
def listener() -> Listener:
    return Listener()


@pytest.fixture
def repo(tmp_path: Path) -> GitRepo:
    """The example's knowledge repo: one commit of the shipped knowledge."""
    write_repos(tmp_path)
    return GitRepo(tmp_path / "knowledge")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, pool_size=2)
    yield engine
    await engine.dispose()
