"""Mirrors of git repositories: the newest tree that can be had, and a plain word when it is not the newest.

Replicas and processes may share a mirror's folder: whoever changes or reads it holds a lock on a file
beside it.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import structlog
from pydantic import SecretStr

from app.context.addresses import Address, parse
from app.context.bare import COMMIT, Bare, Entry, GitFailed
from app.context.folder import Folder
from app.errors import AgentError
from app.standing import STANDINGS
from app.storage.tree import LARGEST_FILE, Tree

__all__ = ["Copy", "Folder", "Mirror", "MirrorUnavailable", "watch"]

log = structlog.get_logger(__name__)

T = TypeVar("T")
LARGEST_TREE = 64 * 1024 * 1024
"""Bytes of text; files beyond it are left out and named in `Tree.left_out`."""
STAMP = "asked"
"""A file of a mirror whose time of change is when its remote last answered."""
SHORT = 12
"""Hexadecimal digits of a revision: unique in any repository of documents, and readable."""


class MirrorUnavailable(AgentError):
    """A repository has never been reached, so there is no copy to fall back to."""

    code = "mirror_unavailable"
    status = 503


@dataclass(frozen=True)
class Copy:
    """What a mirror holds; `notice` is a sentence when the remote could not be asked for newer."""

    revision: str
    notice: str | None = None


class Mirror:
    """A shallow bare copy of one branch or tag (`HEAD`: the default branch), in `folder`.

    `token` is sent to the host of `github_api_url` alone: a repo elsewhere is fetched without it. Credentials
    inside `url` are sent to its host. `seconds` bounds each git command.
    """

    def __init__(
        self,
        url: str | Address,
        ref: str,
        folder: Path,
        *,
        token: SecretStr | None = None,
        github_api_url: str = "https://api.github.com",
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        seconds: float = 120,
        largest_tree: int = LARGEST_TREE,
    ) -> None:
        address = parse(url) if isinstance(url, str) else url
        self.address = address.with_token(token, github_api_url)
        self._ref = ref
        self._bare = Bare(folder, self.address, seconds)
        self._clock = clock
        self._largest_tree = largest_tree
        self._lock = asyncio.Lock()
        self._tree: Tree | None = None
        self._copy: Copy | None = None
        self._asked_at: datetime | None = None
        self._away_since: datetime | None = None
        self._woken = False

    @property
    def folder(self) -> Path:
        return self._bare.folder

    @property
    def _dependency(self) -> str:
        return f"git:{self.address.name}"

    async def refresh(self) -> Tree:
        """The newest tree that can be had; the same object as before while nothing has changed.

        Raises:
            MirrorUnavailable: the remote cannot be reached and there is no earlier copy.
        """
        async with self._lock:
            return await asyncio.to_thread(self._refresh)

    async def pull(self, *, max_age: float = 0) -> Copy:
        """Bring the copy on disk up to date without reading it; asked within `max_age` seconds, it is taken
        as it is.

        Raises:
            MirrorUnavailable: the remote cannot be reached and there is no earlier copy.
        """
        async with self._lock:
            if self._copy is None or self._is_stale(max_age):
                self._woken = False
                self._copy = await asyncio.to_thread(self._pull)
                self._asked_at = self._clock()
            return self._copy

    def _is_stale(self, max_age: float) -> bool:
        """Another process that shares the folder may have removed the copy to make room."""
        age = (self._clock() - self._asked_at).total_seconds() if self._asked_at else None
        return self._woken or age is None or age > max_age or not self.folder.exists()

    async def tree_at(self, revision: str) -> Tree | None:
        """The tree at an older revision; None when it cannot be had.

        One that the mirror does not have is asked for, which takes the whole id of its commit.
        """
        if self._tree is not None and self._tree.revision == revision[:SHORT]:
            return replace(self._tree, notice=None)
        async with self._lock:
            return await asyncio.to_thread(self._tree_at, revision)

    async def read(self, work: Callable[[Bare], T]) -> T:
        """Do some reading of the copy on disk in a thread, while nobody changes it."""

        def locked() -> T:
            with held(lock_of(self.folder)):
                return work(self._bare)

        return await asyncio.to_thread(locked)

    def wake(self) -> None:
        """The remote changed: the next pull asks it, whatever the age of the copy."""
        self._woken = True

    def _refresh(self) -> Tree:
        copy = self._pull()
        known = self._tree
        if known is None or known.revision != copy.revision[:SHORT]:
            with held(lock_of(self.folder)):
                known = self._whole(copy.revision)
        if known.notice != copy.notice:
            known = replace(known, notice=copy.notice)
        self._tree = known
        return known

    def _tree_at(self, revision: str) -> Tree | None:
        with held(lock_of(self.folder)):
            full = self._bare.revision(revision) or self._asked_for(revision)
            return self._read_tree(self._bare, full) if full else None

    def _asked_for(self, revision: str) -> str | None:
        """The mirror is shallow: what another copy of it has had since long may be new to this one."""
        if not COMMIT.fullmatch(revision):
            return None
        try:
            self._bare.fetch_commit(revision)
        except GitFailed as error:
            log.warning("revision_not_fetched", repo=self.address.name, reason=error.sentence)
        return self._bare.revision(revision)

    def _pull(self) -> Copy:
        with held(lock_of(self.folder)):
            began = time.monotonic()
            try:
                revision, name = self._bare.remote_revision(self._ref)
                if self._bare.revision() != revision:
                    self._fetch(name)
            except GitFailed as error:
                return self._last_good(error)
            self._away_since = None
            STANDINGS.answered(self._dependency, time.monotonic() - began)
            stamp = self.folder / STAMP
            stamp.touch()
            os.utime(stamp, (self._clock().timestamp(),) * 2)
            return Copy(self._bare.revision() or revision)

    def _fetch(self, name: str) -> None:
        """Fetch into the copy; a copy that is broken is replaced, but only once the new one is complete."""
        try:
            self._bare.fetch(name)
        except GitFailed as error:
            log.warning("mirror_rebuilt", repo=self.address.name, reason=error.sentence)
            self._rebuild(name)

    def _rebuild(self, name: str) -> None:
        folder = self._bare.folder
        fresh = replace(self._bare, folder=folder.with_name(folder.name + ".fresh"))
        fresh.remove()
        try:
            fresh.fetch(name)
            shutil.rmtree(folder, ignore_errors=True)
            fresh.folder.rename(folder)
        finally:
            fresh.remove()

    def _last_good(self, error: GitFailed) -> Copy:
        """The copy on disk with a word about its age, or the error when there is none."""
        now = self._clock()
        STANDINGS.failed(self._dependency, error.sentence)
        if self._away_since is None:
            # Once per outage: a poll a minute would fill the log with the same line.
            log.warning("mirror_away", repo=self.address.name, reason=error.sentence)
            self._away_since = now
        revision = self._bare.revision()
        if revision is None:
            raise MirrorUnavailable(
                f"The repo {self.address.name} could not be fetched and there is no earlier copy: "
                f"{error.sentence}"
            ) from error
        asked = asked_at(self.folder)
        age = f"the copy of {moment(asked, now)}, " if asked else ""
        return Copy(
            revision,
            f"The {self.address.name} repo could not be reached since {moment(self._away_since, now)} UTC; "
            f"this is {age}revision {revision[:7]}.",
        )

    def _whole(self, revision: str) -> Tree:
        """The tree of a revision, from a fresh copy when the one on disk turns out to be broken."""
        try:
            return self._read_tree(self._bare, revision)
        except GitFailed as error:
            log.warning("mirror_rebuilt", repo=self.address.name, reason=error.sentence)
            try:
                self._rebuild(self._bare.remote_revision(self._ref)[1])
                return self._read_tree(self._bare, self._bare.revision() or revision)
            except GitFailed as again:
                if self._tree is not None:
                    return self._tree
                raise MirrorUnavailable(
                    f"The copy of {self.address.name} is broken and could not be fetched again: "
                    f"{again.sentence}"
                ) from again

    def _read_tree(self, bare: Bare, revision: str) -> Tree:
        wanted, left_out = worth_reading(bare.entries(revision), self._largest_tree)
        files: dict[str, str] = {}
        for entry, content in zip(wanted, bare.blobs(e.object_id for e in wanted), strict=True):
            try:
                if b"\0" in content:
                    raise ValueError("binary")
                files[entry.path] = content.decode("utf-8")
            except ValueError:
                left_out.append(entry.path)
        short = revision[:SHORT]
        page = self.address.page_at(short)
        return Tree(
            short,
            MappingProxyType(files),
            web_url=page,
            left_out=tuple(sorted(left_out)),
            commit=revision,
        )


def worth_reading(entries: Iterator[Entry], most: int) -> tuple[list[Entry], list[str]]:
    """The files to read, and the paths of those that are too large; hidden files are nobody's business."""
    wanted: list[Entry] = []
    left_out: list[str] = []
    for entry in entries:
        if any(part.startswith(".") for part in entry.path.split("/")):
            continue
        if not entry.is_plain or entry.size > LARGEST_FILE or entry.size > most:
            left_out.append(entry.path)
            continue
        most -= entry.size
        wanted.append(entry)
    return wanted, left_out


@contextmanager
def held(lock_file: Path, *, seconds: float = 300) -> Iterator[None]:
    """Hold a lock that other processes on this machine (and on most shared volumes) respect.

    Raises:
        MirrorUnavailable: somebody else has not let go of it in time, or the folder cannot be written.
    """
    try:
        lock_file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        reason = f"The folder for git mirrors, {lock_file.parent}, cannot be written: {error.strerror}."
        raise MirrorUnavailable(reason) from error
    try:
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > deadline:
                    message = f"Another process has been working on {lock_file} for {seconds:g} s."
                    raise MirrorUnavailable(message) from error
                time.sleep(0.02)
        yield
    finally:
        os.close(handle)


def lock_of(folder: Path) -> Path:
    return folder.with_name(folder.name + ".lock")


def asked_at(folder: Path) -> datetime | None:
    """When the remote of a mirror last answered, to whichever process."""
    try:
        return datetime.fromtimestamp((folder / STAMP).stat().st_mtime, UTC)
    except OSError:
        return None


def moment(when: datetime, now: datetime) -> str:
    """The time of day, with the date unless it is today's."""
    return when.strftime("%H:%M" if when.date() == now.date() else "%Y-%m-%d %H:%M")


async def watch(
    refresh: Callable[[], Awaitable[Any]], *, seconds: float, wake: asyncio.Event | None = None
) -> None:
    """Call `refresh` every so many seconds, and at once when `wake` is set, until cancelled.

    A refresh that fails is logged and tried again: whatever it was, the poll must outlive it.
    """
    bell = wake or asyncio.Event()
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(bell.wait(), seconds)
        bell.clear()
        try:
            await refresh()
        except Exception as error:
            log.warning("refresh_failed", reason=str(error), kind=type(error).__name__)
