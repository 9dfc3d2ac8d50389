"""A local folder as a source of trees, read again only when something in it has changed."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from app.errors import AgentError
from app.storage.tree import Tree, read_folder


class FolderMissing(AgentError):
    """The configured folder is not there."""

    code = "folder_missing"


class Folder:
    """What `Mirror` is for a repository, for a folder of this machine."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: frozenset[tuple[str, int, int]] = frozenset()
        self._tree: Tree | None = None
        self._reading = asyncio.Lock()

    async def refresh(self) -> Tree:
        """The folder as it is now; the same object as before when nothing has changed.

        Raises:
            FolderMissing: when there is no such folder.
        """
        async with self._reading:
            try:
                seen = await asyncio.to_thread(stamps, self._path)
                if self._tree is None or seen != self._seen:
                    tree = await asyncio.to_thread(read_folder, self._path)
                    if self._tree is None or tree.revision != self._tree.revision:
                        self._tree = tree
                    self._seen = seen
            except OSError as error:
                raise FolderMissing(f"The folder {self._path} cannot be read: {error.strerror}.") from error
            return self._tree

    async def tree_at(self, revision: str) -> Tree | None:
        """The folder when it is still at that revision; a folder has no past."""
        tree = await self.refresh()
        return tree if tree.revision == revision else None


def stamps(folder: Path) -> frozenset[tuple[str, int, int]]:
    """Path, time of change and size of every file.

    Raises:
        OSError: when the folder cannot be listed.
    """
    found: set[tuple[str, int, int]] = set()
    waiting = [folder]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(Path(entry.path))
                else:
                    status = entry.stat(follow_symlinks=False)
                    found.add((entry.path, status.st_mtime_ns, status.st_size))
    return frozenset(found)
