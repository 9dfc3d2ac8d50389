"""What was rolled out, and what came with it: Argo CD's rollouts with the commits GitHub has between them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from app.errors import AgentError
from app.signals.models import Change
from app.sources.argocd import ArgoCd, Rollout
from app.sources.changed import Changed, kind_of
from app.sources.commits import why
from app.sources.github_changes import Compared, GitHubChanges

MOST_COMPARED = 4
"""Newest rollouts whose commits are asked for; each costs GitHub two requests."""
COMPARE_SECONDS = 1.5
"""What a comparison may take: rollouts without their commits are worth more than no rollouts."""


@dataclass(frozen=True)
class Rollouts:
    argocd: ArgoCd
    github: GitHubChanges | None = None

    async def between(self, start: float, end: float, around: Collection[str]) -> Changed:
        """The rollouts of all services between two times; those of the services `around` with their commits.

        Raises:
            SourceFailed: Argo CD gives no usable answer.
        """
        rollouts = await self.argocd.rollouts(start, end)
        near = sorted(
            (each for each in rollouts if each.change.service in around), key=lambda each: -each.change.at
        )
        compared = await asyncio.gather(*(self._compared(each) for each in near[:MOST_COMPARED]))
        brought = {id(each): found for each, found in zip(near, compared, strict=False)}
        changes: list[Change] = []
        for rollout in rollouts:
            found = brought.get(id(rollout))
            if not isinstance(found, Compared):
                changes.append(rollout.change)
                continue
            whole = _with(rollout.change, found)
            changes.append(whole)
            if whole.kind == "deploy":
                changes += [replace(each, service=rollout.change.service) for each in found.changes]
        missing = (
            ("github", f"could not tell what rollouts brought: {each}")
            for each in compared
            if isinstance(each, str)
        )
        return Changed(tuple(changes), tuple(dict.fromkeys(missing)))

    async def _compared(self, rollout: Rollout) -> Compared | str | None:
        """What a rollout brought; why that cannot be told; None where there is nothing to compare."""
        if self.github is None or rollout.previous is None or rollout.repo is None:
            return None
        try:
            async with asyncio.timeout(COMPARE_SECONDS):
                return await self.github.compared(_slug(rollout.repo), rollout.previous, rollout.change.id)
        except (AgentError, TimeoutError) as error:
            return why(error, COMPARE_SECONDS)


def _with(change: Change, found: Compared) -> Change:
    """A rollout with what it brought."""
    commits = tuple(each.id for each in found.changes)
    diff = "\n".join(each.diff for each in found.changes if each.diff) or None
    kind = kind_of(found.files, diff, change.kind)
    return replace(change, commits=commits, files=found.files, diff=diff, kind=kind)


def _slug(repo: str) -> str:
    """`acme/checkout` of the address a rollout names."""
    path = urlsplit(repo).path if "://" in repo else repo.rpartition(":")[2]
    return "/".join(path.strip("/").removesuffix(".git").split("/")[-2:])
