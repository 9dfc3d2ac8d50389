"""The library: the newest blueprints at hand, and for each question the context that is packed from them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from typing import Protocol

import structlog

from app.context.assembler import assemble
from app.context.blueprints import Blueprints, read_blueprints
from app.context.catalog import Catalog
from app.context.models import Context, Readme, Service
from app.context.papers import Papers
from app.context.pushed import concerns
from app.context.resolve import resolve
from app.errors import AgentError
from app.knowledge.models import Knowledge
from app.storage.tree import Tree

log = structlog.get_logger(__name__)

README_FRESH_SECONDS = 60.0
"""So long a README is used without asking again; a lively thread asks once a minute, not once a turn."""
READMES_KEPT = 256


class TreeSource(Protocol):
    """Where the blueprints come from: a git mirror or a local folder."""

    async def refresh(self) -> Tree: ...

    async def tree_at(self, revision: str) -> Tree | None: ...


class ReadmeSource(Protocol):
    """Where the READMEs of services come from."""

    async def readme(self, service: Service) -> Readme: ...


@dataclass
class Shelved:
    """The last README of a service, and the fetch of the next one while it runs."""

    readme: Readme | None = None
    fetched_at: float = -inf
    fetch: asyncio.Task[Readme] | None = None
    fetch_began: float = 0.0


class Library:
    """`blueprints` is None when none are configured: the catalog is empty then, and standards still serve.

    A README that takes longer than `readme_seconds` is not waited for: the answer goes without it, or with
    the last copy, and says so; the fetch goes on for the next question.
    """

    def __init__(
        self,
        blueprints: TreeSource | None,
        *,
        readmes: ReadmeSource | None = None,
        readme_seconds: float = 2.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = blueprints
        self._readmes = readmes
        self._readme_seconds = readme_seconds
        self._clock = clock
        self._blueprints = Blueprints()
        self._papers = Papers()
        self._shelved: dict[str, Shelved] = {}
        self._notice: str | None = None
        self._is_loaded = blueprints is None

    @property
    def is_loaded(self) -> bool:
        """Whether the blueprints were read once, or there are none to read."""
        return self._is_loaded

    @property
    def blueprints(self) -> Blueprints:
        return self._blueprints

    @property
    def catalog(self) -> Catalog:
        return self._blueprints.catalog

    @property
    def revision(self) -> str:
        """The revision of the blueprints in use."""
        return self._blueprints.tree.revision

    async def refresh(self) -> None:
        """Read the blueprints again; when they cannot be read, the last good ones stay and say so."""
        if self._source is None:
            return
        try:
            tree = await self._source.refresh()
        except (AgentError, OSError) as error:
            reason = error.sentence if isinstance(error, AgentError) else str(error)
            log.warning("blueprints_not_read", reason=reason, serving=self.revision)
            self._notice = f"The blueprints could not be read ({reason})" + (
                "; this is the last good copy." if self._is_loaded else ", so no service is known."
            )
            return
        self._notice = None
        now = self._blueprints.tree
        if self._is_loaded and (tree.revision, tree.notice) == (now.revision, now.notice):
            return
        self._blueprints = await asyncio.to_thread(read_ahead, tree)
        self._is_loaded = True
        faults = self.catalog.faults
        log.info("blueprints_loaded", revision=tree.revision, services=len(self.catalog), faults=len(faults))
        for fault in faults:
            log.warning("catalog_fault", path=fault.path, line=fault.line, reason=fault.message)

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
        blueprints = self._blueprints
        resolution = resolve(question, blueprints.catalog, thread_service=thread_service, channel=channel)
        readme = await self._readme(resolution.service)
        context = assemble(
            question,
            resolution,
            blueprints=blueprints,
            knowledge=knowledge,
            readme=readme,
            papers=self._papers,
            budget_tokens=budget_tokens,
            given=given,
        )
        if self._notice is None:
            return context
        return context.model_copy(update={"notices": (self._notice, *context.notices)})

    # -- READMEs -----------------------------------------------------------------------------------------

    def wake(self, full_name: str) -> None:
        """The repo `owner/name` changed: the next question has its README asked for again.

        A fetch that runs may have read what was there before; it serves those who wait for it, nobody else.
        """
        for repo, shelved in self._shelved.items():
            if concerns(full_name, repo):
                self._shelved[repo] = Shelved(shelved.readme)

    async def _readme(self, service: Service | None) -> Readme | None:
        """The README within the deadline; None when nobody can look for it."""
        if self._readmes is None or service is None or not service.repo:
            return None
        shelved = self._shelf(service.repo)
        if shelved.readme and self._clock() - shelved.fetched_at < README_FRESH_SECONDS:
            return shelved.readme
        if shelved.fetch is None:
            shelved.fetch = asyncio.create_task(self._fetch(self._readmes, service, shelved))
            shelved.fetch_began = self._clock()
        # A fetch that hangs is waited for once, not by every question that comes while it does.
        left = shelved.fetch_began + self._readme_seconds - self._clock()
        done, _ = await asyncio.wait({shelved.fetch}, timeout=max(left, 0))
        if done:
            return shelved.readme
        if shelved.readme and shelved.readme.text:
            late = f"The README of {service.name} could not be checked in time; this is the last copy."
            return shelved.readme.model_copy(update={"notice": late})
        return Readme(notice=f"The README of {service.name} did not come in time, so it is not used here.")

    def _shelf(self, repo: str) -> Shelved:
        shelved = self._shelved.pop(repo, None) or Shelved()
        self._shelved[repo] = shelved
        while len(self._shelved) > READMES_KEPT:
            del self._shelved[next(iter(self._shelved))]
        return shelved

    async def _fetch(self, readmes: ReadmeSource, service: Service, shelved: Shelved) -> Readme:
        """Fetch and keep; what went wrong becomes a notice, beside the last copy when there is one."""
        try:
            readme = await readmes.readme(service)
        except Exception as error:
            # Whatever it is, an answer without the README is better than none.
            reason = error.sentence if isinstance(error, AgentError) else type(error).__name__
            is_bug = not isinstance(error, AgentError)
            log.warning("readme_not_read", service=service.name, reason=reason, exc_info=is_bug)
            old = shelved.readme or Readme()
            notice = f"The README of {service.name} could not be read ({reason})"
            notice += "; this is the last copy." if old.text else "."
            readme = old.model_copy(update={"notice": notice})
        finally:
            shelved.fetch = None
            shelved.fetched_at = self._clock()
        shelved.readme = readme
        return readme


def read_ahead(tree: Tree) -> Blueprints:
    """The blueprints of a tree with all that every question needs, so that the first one does not wait."""
    blueprints = read_blueprints(tree)
    blueprints.prepare()
    return blueprints
