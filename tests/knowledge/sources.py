"""Sources for a keeper: a real folder and a real git repo, read as a mirror reads them."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

from app.errors import AgentError
from app.playground.example import git
from app.storage.tree import Tree, read_folder


class Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    async def refresh(self) -> Tree:
        return await asyncio.to_thread(read_folder, self.path)

    async def tree_at(self, revision: str) -> Tree | None:
        return None


class GitRepo:
    """The head of a repo and every commit below it; `is_away` makes it refuse as a dead remote does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.is_away = False

    async def refresh(self) -> Tree:
        if self.is_away:
            raise AgentError("git.example does not answer")
        return self.read(self.output("rev-parse", "HEAD").strip())

    async def tree_at(self, revision: str) -> Tree | None:
        if self.is_away:
            raise AgentError("git.example does not answer")
        try:
            return self.read(revision)
        except subprocess.CalledProcessError:
            return None

    def read(self, revision: str) -> Tree:
        paths = self.output("ls-tree", "-r", "--name-only", revision).splitlines()
        return Tree(revision, {path: self.output("show", f"{revision}:{path}") for path in paths})

    def commit(self, path: str, text: str) -> str:
        """Commit one file; the new revision."""
        file = self.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        git(self.path, "add", "--all")
        git(self.path, "commit", "--quiet", "--allow-empty", "--message", f"Change {path}")
        return self.output("rev-parse", "HEAD").strip()

    def output(self, *arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=self.path, check=True, capture_output=True, text=True)
        return done.stdout
