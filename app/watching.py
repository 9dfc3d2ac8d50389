"""Documents are kept as fresh as their repos, and every revision of knowledge is written down and told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace

from sqlalchemy.ext.asyncio import AsyncEngine

from app import documents
from app.chores import in_background
from app.context.mirrors import watch
from app.context.pushed import concerns
from app.knowledge.models import Fault, Knowledge
from app.knowledge.packaged import packaged_path
from app.knowledge.repository import record
from app.settings import Settings
from app.storage.announcements import Announcements, announce
from app.storage.audit import write_audit
from app.storage.engine import begin
from app.storage.tree import read_folder
from app.tools.masking import mask

PUSHED = "sre_agent_pushed"

TellRefusal = Callable[[str, str], Awaitable[None]]
"""Of a revision, what is wrong with it."""
TellStandIn = Callable[[str], Awaitable[None]]
"""What stands in for what."""


async def announce_push(engine: AsyncEngine, repo: str) -> None:
    """`repo`, `owner/name`, changed on GitHub: whichever door that comes to, every process hears of it."""
    async with begin(engine) as connection:
        await announce(connection, PUSHED, repo)


@dataclass
class Watching:
    """Reads the documents of the settings, and again when a poll is due or a push was announced."""

    settings: Settings
    engine: AsyncEngine
    tell_refusal: TellRefusal
    tell_stand_in: TellStandIn
    _knowledge_pushed: asyncio.Event = field(default_factory=asyncio.Event)
    _blueprints_pushed: asyncio.Event = field(default_factory=asyncio.Event)
    _read: documents.Documents | None = None

    async def start(self, stack: AsyncExitStack, url: str) -> documents.Documents:
        """Read once, and go on until the stack is closed. Raises as `documents.read` does."""
        # Before anything is read: what is pushed meanwhile is read again.
        announcements = Announcements(url, PUSHED, heard=self._changed, missed=self._something_changed)
        await announcements.start()
        stack.push_async_callback(announcements.stop)
        self._read = await documents.read(
            self.settings, self.engine, on_loaded=self._loaded, on_refused=self._refused
        )
        keeper, library, _ = self._read
        for refresh, wake in (
            (keeper.refresh, self._knowledge_pushed),
            (library.refresh, self._blueprints_pushed),
        ):
            in_background(stack, watch(refresh, seconds=self.settings.git.poll_seconds, wake=wake))
        return self._read

    async def _changed(self, repo: str) -> None:
        """Look now instead of at the next poll."""
        git = self.settings.git
        for url, wake in (
            (git.knowledge_repo_url, self._knowledge_pushed),
            (git.blueprints_repo_url, self._blueprints_pushed),
        ):
            if concerns(repo, url):
                wake.set()
        if self._read:
            _, library, repos = self._read
            await repos.wake(repo)
            library.wake(repo)  # after the repos: it would be given the old README once more

    def _something_changed(self) -> None:
        """We were cut off from the others, and may have missed which. READMEs are asked for soon anyway."""
        self._knowledge_pushed.set()
        self._blueprints_pushed.set()

    async def _refused(self, revision: str, faults: tuple[Fault, ...], age: float) -> None:
        """A broken revision is written down and told to people once, each time it comes, by whichever
        replica is first."""
        faults = tuple(replace(fault, path=mask(fault.path), message=mask(fault.message)) for fault in faults)
        said = "\n".join(str(fault) for fault in faults[:20])
        packaged = (await asyncio.to_thread(read_folder, packaged_path())).revision
        async with begin(self.engine) as connection:
            if not await record(
                connection, revision, accepted=False, faults=faults, age=age, besides=packaged
            ):
                return
            await write_audit(
                connection, "knowledge_refused", knowledge_revision=revision, response_text=said
            )
        await self.tell_refusal(revision, said)

    async def _loaded(self, loaded: Knowledge, age: float) -> None:
        """Like `_refused`; people are told when what is in force now only stands in."""
        notice = mask(loaded.notice) if loaded.notice else None
        async with begin(self.engine) as connection:
            if not await record(
                connection,
                loaded.revision,
                accepted=True,
                faults=loaded.faults,
                commit=loaded.commit,
                age=age,
            ):
                return
            await write_audit(
                connection, "knowledge_reload", knowledge_revision=loaded.revision, response_text=notice
            )
        if notice:
            await self.tell_stand_in(notice)
