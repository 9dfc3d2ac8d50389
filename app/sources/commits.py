"""What was merged, where no system tells what was rolled out: the commits of services on GitHub."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from app.errors import AgentError
from app.signals.models import Change
from app.sources.changed import Changed, kind_of
from app.sources.failures import NotThere
from app.sources.github_changes import GitHubChanges

MOST_REPOS = 4
"""Nearest services whose repositories are asked; each costs GitHub two requests."""
MOST_DETAILED = 6
"""Newest commits whose files are asked for, one request each."""
DETAIL_SECONDS = 1.5
"""What those may take: commits without their files are worth more than no commits."""


@dataclass(frozen=True)
class Commits:
    """`repo_of` gives a service's repository on that GitHub, `owner/name`; None when the catalog has none."""

    github: GitHubChanges
    repo_of: Callable[[str], str | None]

    async def between(self, start: float, end: float, around: Collection[str]) -> Changed:
        """The commits of the services `around`, nearest first, that reached their default branches.

        Raises:
            SourceFailed: GitHub gives no usable answer, or the catalog names no repository of any of them.
        """
        repos = {name: slug for name in around if (slug := self.repo_of(name))}
        if not repos:
            names = ", ".join(list(around)[:3]) or "this"
            raise NotThere("github", f"cannot be asked: the catalog names no repository of {names} on it.")
        near = list(repos.items())[:MOST_REPOS]
        answers = await asyncio.gather(*(self.github.recent(slug, start, end) for _, slug in near))
        found = [
            (slug, replace(each, service=name))
            for (name, slug), changes in zip(near, answers, strict=True)
            for each in changes
        ]
        return await self._detailed(sorted(found, key=lambda pair: -pair[1].at))

    async def _detailed(self, found: Sequence[tuple[str, Change]]) -> Changed:
        """With the files and the diff of the newest ones."""
        newest, rest = found[:MOST_DETAILED], found[MOST_DETAILED:]
        missing: dict[tuple[str, str], None] = {}

        async def one(slug: str, change: Change) -> Change:
            try:
                async with asyncio.timeout(DETAIL_SECONDS):
                    files, diff = await self.github.touched(slug, change.id)
            except (AgentError, TimeoutError) as error:
                missing["github", f"could not tell what commits touch: {why(error, DETAIL_SECONDS)}"] = None
                return change
            return replace(change, files=files, diff=diff, kind=kind_of(files, diff, change.kind))

        told = await asyncio.gather(*(one(*each) for each in newest))
        changes = (*told, *(change for _, change in rest))
        return Changed(tuple(sorted(changes, key=lambda each: each.at)), tuple(missing))


def why(error: AgentError | TimeoutError, seconds: float) -> str:
    """The reason in words; what took too long says how long that was."""
    return error.sentence if isinstance(error, AgentError) else f"no answer within {seconds:g} s"
