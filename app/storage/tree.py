"""A folder of text files at a revision: what the knowledge and blueprints repos look like to their readers.

Where it comes from (a git mirror, a local folder) is not the readers' business; they get one immutable
`Tree` and parse it with pure functions.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from types import MappingProxyType

LARGEST_FILE = 5 * 1024 * 1024
"""Bytes; a larger file is left out and named in `Tree.left_out`."""


@dataclass(frozen=True)
class Tree:
    """Files by POSIX path relative to the folder, with the revision they were read at.

    `web_url` is the address a person opens for the folder at this revision, such as
    `https://github.com/acme/blueprints/blob/4f1c2ab`; None when there is none (a local folder).
    `notice` is a sentence for the reader when this is a last good copy and not the newest one.
    `commit` is the whole id of the git commit, by which a remote can be asked for it; None for a folder.
    """

    revision: str
    files: Mapping[str, str]
    web_url: str | None = None
    notice: str | None = None
    left_out: tuple[str, ...] = field(default=())
    commit: str | None = None

    def under(self, folder: str, suffix: str = "") -> Iterator[tuple[str, str]]:
        """Paths and texts below `folder` (all for ""), in path order."""
        prefix = folder.rstrip("/") + "/" if folder else ""
        for path in sorted(self.files):
            if path.startswith(prefix) and path.endswith(suffix):
                yield path, self.files[path]

    def url(self, path: str, line: int | None = None) -> str | None:
        """The address of one file, or None when the folder has no web page."""
        if self.web_url is None:
            return None
        return f"{self.web_url}/{path}" + (f"#L{line}" if line else "")


def read_folder(folder: Path) -> Tree:
    """Read a local folder; the revision is a digest of names and contents, `local-` and 12 hex digits.

    Hidden files, symbolic links that leave the folder and files that are not UTF-8 are left out.

    Raises:
        FileNotFoundError: when there is no such folder.
    """
    root = folder.resolve(strict=True)
    files: dict[str, str] = {}
    left_out: list[str] = []
    for path in sorted(root.rglob("*")):
        relative = PurePosixPath(path.relative_to(root).as_posix())
        if any(part.startswith(".") for part in relative.parts) or not path.is_file():
            continue
        if not path.resolve().is_relative_to(root) or path.stat().st_size > LARGEST_FILE:
            left_out.append(str(relative))
            continue
        try:
            files[str(relative)] = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            left_out.append(str(relative))
    return Tree(digest(files), MappingProxyType(files), left_out=tuple(left_out))


def digest(files: Mapping[str, str]) -> str:
    """`local-` and the first 12 hex digits of a SHA-256 over names and contents."""
    seal = hashlib.sha256()
    for path in sorted(files):
        seal.update(f"{path}\0{files[path]}\0".encode())
    return f"local-{seal.hexdigest()[:12]}"
