"""The knowledge in force, and the older revisions that sessions are still pinned to.

A broken revision never serves: the last good one stays in force, here and in every process that starts
meanwhile, and the refusal is told once.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Protocol

import structlog

from app.errors import AgentError
from app.knowledge.checking import Rule
from app.knowledge.loading import KnowledgeBroken, load
from app.knowledge.models import Document, Fault, Knowledge
from app.knowledge.packaged import packaged_path
from app.storage.errors import DatabaseUnavailable
from app.storage.tree import Tree, read_folder

log = structlog.get_logger(__name__)

LARGE = 100_000
"""Characters; a tree above this is parsed in a thread, because it would hold the event loop for too long."""

MOST_NAMED = 5
"""Errors of a refused revision that are named where there is little room."""

Loaded = Callable[[Knowledge, float], Awaitable[None]]
Refused = Callable[[str, tuple[Fault, ...], float], Awaitable[None]]
"""Listeners; the last argument is how many seconds ago it happened."""
Clock = Callable[[], float]


class Source(Protocol):
    """Where trees come from: a git mirror or a local folder."""

    async def refresh(self) -> Tree:
        """The newest tree that can be had; raises AgentError or OSError when there is none."""
        ...

    async def tree_at(self, revision: str) -> Tree | None:
        """The tree at an older revision, given as such or as the whole id of its commit, or None when it is
        gone."""
        ...


class History(Protocol):
    """What the replicas had in force before."""

    async def last_good(self, *, besides: str) -> str | None:
        """The newest revision in force but for `besides`, as the whole id of its commit where that is
        known."""
        ...

    async def commit_of(self, revision: str) -> str | None:
        """The whole id of a revision's commit, where it is known."""
        ...


class NoHistory:
    """The history of a keeper without a database."""

    async def last_good(self, *, besides: str) -> str | None:
        return None

    async def commit_of(self, revision: str) -> str | None:
        return None


class NothingLoaded(AgentError):
    """Somebody asked for knowledge before any was loaded."""

    code = "knowledge_not_loaded"
    status = 503


@dataclass(frozen=True)
class Refusal:
    """The newest revision is not in force, because of these errors."""

    revision: str
    faults: tuple[Fault, ...]


async def tell_nobody(*_: object) -> None:
    """The listener of a keeper without listeners."""


class Keeper:
    """Holds the knowledge in force; `refresh` is called by whoever polls or hears of a push.

    `on_loaded` and `on_refused` are told of each change once; a call that fails is repeated at the next
    refresh, so a database that is away costs no audit row. `remembered` is how many older revisions stay in
    memory. `history` knows the last good revision where the source's newest is broken at the first refresh;
    `fallback` is the folder that serves while no good revision can be had; `rules` are checked besides those
    of this room.
    """

    def __init__(
        self,
        source: Source,
        *,
        on_loaded: Loaded = tell_nobody,
        on_refused: Refused = tell_nobody,
        system_prompt: Document | None = None,
        history: History | None = None,
        fallback: Path | None = None,
        rules: Sequence[Rule] = (),
        remembered: int = 16,
        clock: Clock = time.monotonic,
    ) -> None:
        self._source = source
        self._on_loaded = on_loaded
        self._on_refused = on_refused
        self._system_prompt = system_prompt
        self._history = history or NoHistory()
        self._fallback = fallback or packaged_path()
        self._rules = rules
        self._remembered = remembered
        self._clock = clock
        self._recent: OrderedDict[str, Knowledge] = OrderedDict()
        self._untold: deque[tuple[float, Callable[[float], Awaitable[None]]]] = deque()
        self._refreshing = asyncio.Lock()
        self._recalling = asyncio.Lock()
        self._in_force: Knowledge | None = None
        self._is_fallback = False
        self._is_away = False
        self.refusal: Refusal | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether there is knowledge in force (`readyz` asks)."""
        return self._in_force is not None

    def notices(self) -> tuple[str, ...]:
        """What is the matter with the knowledge in force, and with the revision that is not."""
        said = (self._in_force.notice,) if self._in_force and self._in_force.notice else ()
        if self.refusal is None:
            return said
        errors = "; ".join(str(fault) for fault in self.refusal.faults[:MOST_NAMED])
        return (*said, f"Knowledge revision {self.refusal.revision} was refused: {errors}.")

    @property
    def current(self) -> Knowledge:
        """The knowledge in force.

        Raises:
            NothingLoaded: before the first `refresh` has come back.
        """
        if self._in_force is None:
            raise NothingLoaded("The knowledge repo is still being read; try again in a few seconds.")
        return self._in_force

    async def refresh(self) -> Knowledge:
        """Ask the source for its newest revision and put it in force when it is good.

        What a listener raises comes out of here after the change is in force.

        Raises:
            KnowledgeBroken, OSError: at the first call, when even the fallback cannot be used.
        """
        async with self._refreshing:
            try:
                tree = await self._source.refresh()
            except (AgentError, OSError) as error:
                self._away(str(error))
                if self._in_force is None:
                    await self._fall_back(f"The knowledge repo cannot be reached ({error}).")
            else:
                self._is_away = False
                await self._take(tree)
            await self._tell()
            return self.current

    async def at(self, revision: str | None) -> Knowledge:
        """The knowledge a session is pinned to; the one in force, with a notice, when that is gone.

        Raises:
            DatabaseUnavailable: what the revision abbreviates could not be looked up.
        """
        current = self.current
        if revision is None or revision == current.revision:
            return current
        known = self._recent.get(revision)
        if known is None:
            async with self._recalling:
                known = self._recent.get(revision) or await self._recall(revision)
        if known:
            self._remember(known)
            return known
        return replace(
            current,
            notice=f"The knowledge revision this conversation began with ({revision}) cannot be read "
            f"any more; revision {current.revision} is used instead.",
        )

    async def _take(self, tree: Tree) -> None:
        """Put a tree in force, or refuse it."""
        if self._in_force and tree.revision == self._in_force.revision:
            # The same revision may come with another notice, such as "the remote cannot be reached since …".
            self._in_force = replace(self._in_force, notice=tree.notice, web_url=tree.web_url)
            if self.refusal:
                self.refusal = None
                self._tell_of(self._in_force)
            return
        if not (self.refusal and tree.revision == self.refusal.revision):
            try:
                knowledge = await self._load(tree)
            except KnowledgeBroken as broken:
                self._refuse(broken)
            else:
                self.refusal = None
                self._put_in_force(knowledge)
                self._tell_of(knowledge)
                return
        if self._in_force is None or self._is_fallback:
            await self._take_last_good(tree.revision)

    def _away(self, reason: str) -> None:
        # Once per outage: a poll a minute would fill the log with the same line.
        if not self._is_away:
            log.warning("knowledge_source_away", reason=reason)
        self._is_away = True

    def _refuse(self, broken: KnowledgeBroken) -> None:
        refusal = self.refusal = Refusal(broken.revision, broken.faults)
        log.error(
            "knowledge_refused",
            revision=refusal.revision,
            in_force=self._in_force.revision if self._in_force else None,
            faults=[str(fault) for fault in refusal.faults],
        )
        self._untold.append((self._clock(), partial(self._on_refused, refusal.revision, refusal.faults)))

    async def _take_last_good(self, refused: str) -> None:
        """Serve what the other replicas have in force, and this one had before its restart: nobody is told,
        for to them nothing has changed."""
        revision = await self._history.last_good(besides=refused)
        try:
            tree = await self._source.tree_at(revision) if revision else None
            if tree is not None:
                self._put_in_force(await self._load(tree))
                return
        except (AgentError, OSError) as error:
            log.warning("last_good_knowledge_gone", revision=revision, reason=str(error))
        if self._in_force is None:
            await self._fall_back(
                f"Revision {refused} of the knowledge repo has errors, and no good one before it can be read."
            )

    async def _fall_back(self, reason: str) -> None:
        tree = await asyncio.to_thread(read_folder, self._fallback)
        notice = f"{reason} The knowledge that comes with the program is used instead."
        knowledge = await self._load(replace(tree, notice=notice))
        self._put_in_force(knowledge)
        self._is_fallback = True
        self._tell_of(knowledge)

    def _put_in_force(self, knowledge: Knowledge) -> None:
        if self._in_force:
            self._remember(self._in_force)
        self._in_force = knowledge
        self._is_fallback = False
        log.info(
            "knowledge_loaded",
            revision=knowledge.revision,
            notice=knowledge.notice,
            warnings=[str(fault) for fault in knowledge.faults],
        )

    def _tell_of(self, knowledge: Knowledge) -> None:
        self._untold.append((self._clock(), partial(self._on_loaded, knowledge)))

    async def _tell(self) -> None:
        while self._untold:
            since, tell = self._untold[0]
            await tell(self._clock() - since)
            self._untold.popleft()

    async def _load(self, tree: Tree) -> Knowledge:
        if sum(map(len, tree.files.values())) < LARGE:
            return load(tree, system_prompt=self._system_prompt, more=self._rules)
        return await asyncio.to_thread(load, tree, system_prompt=self._system_prompt, more=self._rules)

    async def _recall(self, revision: str) -> Knowledge | None:
        """Read an older revision again, which another replica or an earlier process had in force."""
        try:
            tree = await self._source.tree_at(revision)
            if tree is None and revision.startswith("local-"):
                tree = await asyncio.to_thread(read_folder, self._fallback)
            elif tree is None and (commit := await self._history.commit_of(revision)):
                tree = await self._source.tree_at(commit)
            if tree is not None and tree.revision == revision:
                return await self._load(tree)
        except DatabaseUnavailable:
            raise
        except (AgentError, OSError) as error:
            log.warning("knowledge_revision_gone", revision=revision, reason=str(error))
        return None

    def _remember(self, knowledge: Knowledge) -> None:
        self._recent[knowledge.revision] = knowledge
        self._recent.move_to_end(knowledge.revision)
        while len(self._recent) > self._remembered:
            self._recent.popitem(last=False)
