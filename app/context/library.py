"""The library: the newest blueprints at hand, and for each question the context that is packed from them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from app.context.models import Context, Readme, Resolution, Service
from app.knowledge.models import Knowledge
from app.storage.tree import Tree


class TreeSource(Protocol):
    """Where the blueprints come from: a git mirror or a local folder."""

    async def refresh(self) -> Tree: ...

    async def tree_at(self, revision: str) -> Tree | None: ...


class ReadmeSource(Protocol):
    """Where the READMEs of services come from."""

    async def readme(self, service: Service) -> Readme: ...


class Library:
    """`blueprints` is None when none are configured: the catalog is empty then, and standards still serve."""

    def __init__(
        self,
        blueprints: TreeSource | None,
        *,
        readmes: ReadmeSource | None = None,
        readme_seconds: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._blueprints = blueprints
        self._readmes = readmes
        self._readme_seconds = readme_seconds
        self._clock = clock
        self.is_loaded = blueprints is None

    async def refresh(self) -> None:
        """Read the blueprints again; the last good ones stay when they cannot be read."""

    async def context_for(
        self,
        question: str,
        *,
        thread_service: str | None,
        channel: str | None,
        knowledge: Knowledge,
        budget_tokens: int = 8000,
        given: frozenset[str] = frozenset(),
    ) -> Context:
        """What is known for a question; `given` are ids of sections that this conversation has already."""
        return Context(resolution=Resolution())
