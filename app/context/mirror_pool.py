"""Mirrors of many repositories below one folder; those not used for longest make room for others."""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import structlog

from app.context.addresses import Address
from app.context.mirrors import Mirror, MirrorUnavailable, asked_at, held, lock_of

log = structlog.get_logger(__name__)


class MirrorPool:
    """At most `most` mirrors in memory and on disk, but for those that are being read."""

    def __init__(self, folder: Path, most: int, make: Callable[[Address, Path], Mirror]) -> None:
        self._folder = folder
        self._most = most
        self._make = make
        self._mirrors: dict[str, Mirror] = {}
        """By address, the one used last at the end."""
        self._readers: Counter[str] = Counter()
        self._changing = asyncio.Lock()

    @asynccontextmanager
    async def reading(self, address: Address) -> AsyncIterator[Mirror]:
        """The mirror of a repository, which stays while it is read."""
        url = address.url
        if url not in self._mirrors:
            # Not while room is made: its folder may be the one that goes.
            async with self._changing:
                self._mirrors.setdefault(url, self._make(address, self._folder / folder_name(address)))
        mirror = self._mirrors[url] = self._mirrors.pop(url)
        self._readers[url] += 1
        try:
            yield mirror
        finally:
            self._readers[url] -= 1
            await self._make_room()

    def wake(self, slug: str) -> None:
        """A repository changed: its next reader does not take the copy at hand for new."""
        for mirror in self._mirrors.values():
            if mirror.address.slug.lower() == slug.lower():
                mirror.wake()

    async def _make_room(self) -> None:
        async with self._changing:
            idle = [url for url in self._mirrors if not self._readers[url]]
            for url in idle[: max(len(self._mirrors) - self._most, 0)]:
                del self._mirrors[url], self._readers[url]
            kept = {mirror.folder for mirror in self._mirrors.values()}
            await asyncio.to_thread(make_room, self._folder, self._most, kept)


def folder_name(address: Address) -> str:
    """A name people recognise, and the same in every process."""
    seal = hashlib.sha256(address.url.encode()).hexdigest()[:10]
    return re.sub(r"[^\w.-]", "_", address.name)[:60] + "-" + seal


def make_room(folder: Path, most: int, kept: Collection[Path]) -> None:
    """Remove the mirrors whose remote was not asked for longest, until `most` are left or all are `kept`."""
    asked = {each: asked_at(each) for each in folder.glob("*/")}
    oldest_first = sorted(asked, key=lambda each: (asked[each] or datetime.min.replace(tzinfo=UTC), each))
    for mirror in [each for each in oldest_first if each not in kept][: max(len(asked) - most, 0)]:
        with suppress(MirrorUnavailable), held(lock_of(mirror), seconds=0):
            # Another process may have come to use it since.
            if asked_at(mirror) == asked[mirror]:
                shutil.rmtree(mirror, ignore_errors=True)
                log.info("mirror_removed", folder=mirror.name)
