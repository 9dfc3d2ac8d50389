"""The tool that tells what was deployed and what came with it: Argo CD's rollouts, GitHub's commits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest

from pydantic import BaseModel, Field

from app.context.addresses import of_service
from app.context.library import Library
from app.context.models import Source
from app.errors import AgentError
from app.signals.models import Change
from app.sources.argocd import LONGEST_HOURS, ApplicationSet, ArgoCd, Rollout
from app.sources.failures import SourceFailed
from app.sources.github_changes import Compared, GitHubChanges
from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope
from app.tools.read_service_file import service_of
from app.tools.shaping import fitted, plural, shortened
from app.tools.window import UNTIL, told_window, window

MOST_COMPARED = 4
"""Newest rollouts whose commits are asked for; each costs GitHub two requests."""
COMMITS_SHOWN = 5
FILES_SHOWN = 8
ALL = "all"
DESCRIPTION = (
    "What was deployed, newest first, with the commits and pull requests each rollout brought; or, with base "
    "and head, the commits between two revisions. A deploy shortly before the onset is a hint and no proof: "
    "look for what speaks against it too."
)


class DeployHistory(BaseModel):
    service: str | None = Field(
        None, max_length=100, description="Default: the service talked about; “all” for every service"
    )
    hours: float = Field(24, gt=0, le=LONGEST_HOURS, description="How far back")
    until: datetime | None = Field(None, description=UNTIL)
    base: str | None = Field(None, max_length=100, description="Older revision, to compare with head")
    head: str | None = Field(None, max_length=100, description="Newer revision")


@dataclass(frozen=True)
class Systems:
    """Who can be asked; one of them is there."""

    argocd: ArgoCd | None
    github: GitHubChanges | None
    library: Library | None


def tool(parts: object) -> Tool[DeployHistory] | None:
    argocd, github, library = (getattr(parts, name, None) for name in ("argocd", "github_changes", "library"))
    systems = Systems(
        argocd if isinstance(argocd, ArgoCd) else None,
        github if isinstance(github, GitHubChanges) else None,
        library if isinstance(library, Library) else None,
    )
    if systems.argocd is None and (systems.github is None or systems.library is None):
        return None

    async def run(asked: DeployHistory, scope: ToolScope) -> ToolResult:
        try:
            if asked.base or asked.head:
                return await _between(systems, asked, scope)
            if systems.argocd is not None:
                return await _deployed(systems, systems.argocd, asked, scope)
            return await _committed(systems, asked, scope)
        except AgentError as error:
            raise ToolFailed(error.sentence) from error

    return Tool("deploy_history", DESCRIPTION, DeployHistory, run, deadline_seconds=20)


# --- rollouts -----------------------------------------------------------------------------------------------


async def _deployed(systems: Systems, argocd: ArgoCd, asked: DeployHistory, scope: ToolScope) -> ToolResult:
    start, end = window(asked.hours * 60, asked.until, scope)
    service = _wanted(asked, scope)
    rollouts, sets = await asyncio.gather(argocd.rollouts(start, end, service), _sets(argocd))
    newest = sorted(rollouts, key=lambda each: -each.change.at)
    compared = await asyncio.gather(*(_brought(systems, each) for each in newest[:MOST_COMPARED]))
    blocks = [_block(each, brought) for each, brought in zip_longest(newest, compared)]
    whose = f"of {service}" if service else "of all services"
    head = f"{plural(len(newest), 'rollout')} {whose}, {told_window(start, end)}:"
    if not newest:
        head = f"Argo CD shows no rollout {whose}, {told_window(start, end)}."
    notices = [argocd.http.clock_notice(), *_faults(sets)]
    text, _ = fitted("\n".join(filter(None, [*notices, head])), blocks, scope.limit_bytes, "older rollouts")
    sources = tuple(dict.fromkeys(_source(each.change) for each in newest[:10]))
    title = f"Looked at deploys: {plural(len(newest), 'rollout')}"
    return ToolResult(text, sources, title, full="\n".join([head, *blocks]) if blocks else None)


async def _sets(argocd: ArgoCd) -> tuple[ApplicationSet, ...]:
    """Their troubles stand beside the rollouts; a token that may not list them costs nothing else."""
    try:
        return await argocd.sets()
    except SourceFailed:
        return ()


def _faults(sets: Sequence[ApplicationSet]) -> list[str]:
    return [
        f"ApplicationSet {each.name} ({plural(len(each.applications), 'application')}) fails: {problem}"
        for each in sets
        for problem in each.problems
    ]


async def _brought(systems: Systems, rollout: Rollout) -> Compared | None:
    """What came between a rollout and the one before it, where GitHub can tell."""
    if systems.github is None or rollout.previous is None or rollout.repo is None:
        return None
    try:
        slug = _slug(rollout.repo, systems.github)
        return await systems.github.compared(slug, rollout.previous, rollout.change.id) if slug else None
    except AgentError:
        return None


def _block(rollout: Rollout, brought: Compared | None) -> str:
    change = rollout.change
    by = f", by {change.author}" if change.author else ""
    lines = [f"- {_day_time(change.at)} {shortened(change.title, 300)}{by}"]
    if rollout.previous:
        lines.append(f"  replaced {rollout.previous[:12]}")
    if brought is not None:
        lines += _commits(brought)
    return "\n".join(lines)


# --- commits ------------------------------------------------------------------------------------------------


async def _between(systems: Systems, asked: DeployHistory, scope: ToolScope) -> ToolResult:
    if not (asked.base and asked.head):
        raise ToolFailed("Give both revisions, base and head, or neither.")
    github, slug = _repo(systems, asked, scope)
    compared = await github.compared(slug, asked.base, asked.head)
    head = f"{plural(compared.total, 'commit')} of {slug} after {asked.base} up to {asked.head}"
    if compared.files:
        head += f"\nFiles: {', '.join(compared.files)}"
    blocks = [_commit(each) for each in reversed(compared.changes)]
    blocks += [each.diff for each in compared.changes if each.diff]
    text, _ = fitted(head, blocks, scope.limit_bytes, "commits")
    source = Source(kind="change", title=f"{slug} {asked.base}…{asked.head}", path=slug, url=compared.link)
    full = "\n".join([head, *blocks])
    return ToolResult(text, (source,), f"Compared {slug}: {plural(compared.total, 'commit')}", full=full)


async def _committed(systems: Systems, asked: DeployHistory, scope: ToolScope) -> ToolResult:
    """Without Argo CD: what reached the default branch, which is not what runs, and says so."""
    github, slug = _repo(systems, asked, scope)
    start, end = window(asked.hours * 60, asked.until, scope)
    changes = await github.recent(slug, start, end)
    head = (
        f"No Argo CD is configured, so rollouts are not known. {plural(len(changes), 'commit')} reached the "
        f"default branch of {slug}, {told_window(start, end)}{', newest first:' if changes else '.'}"
    )
    blocks = [_commit(each) for each in reversed(changes)]
    text, _ = fitted(head, blocks, scope.limit_bytes, "older commits")
    sources = tuple(_source(each) for each in reversed(changes[-10:]))
    title = f"Looked at {plural(len(changes), 'commit')} of {slug}"
    return ToolResult(text, sources, title, full="\n".join([head, *blocks]))


def _commits(compared: Compared) -> list[str]:
    shown = [f"  {_commit(each)}" for each in compared.changes[::-1][:COMMITS_SHOWN]]
    left = compared.total - len(shown)
    more = [f"  (and {left} more commits)"] if left > 0 else []
    names = ", ".join(compared.files[:FILES_SHOWN]) + (" …" if len(compared.files) > FILES_SHOWN else "")
    return [*shown, *more, *([f"  files: {names}"] if names else [])]


def _commit(change: Change) -> str:
    by = f" — {change.author}" if change.author else ""
    return f"- {change.id[:8]} {_day_time(change.at)} {shortened(change.title, 160)}{by}"


def _wanted(asked: DeployHistory, scope: ToolScope) -> str | None:
    """The service asked about; None for all of them."""
    return None if (asked.service or "").lower() == ALL else asked.service or scope.service


def _repo(systems: Systems, asked: DeployHistory, scope: ToolScope) -> tuple[GitHubChanges, str]:
    """The GitHub repo of the service asked about.

    Raises:
        ToolFailed: no GitHub is configured, or the service has no repo there.
    """
    if systems.github is None or systems.library is None:
        raise ToolFailed("Commits cannot be looked at: no GitHub is configured.")
    service = service_of(_wanted(asked, scope), scope, systems.library)
    slug = _slug(service.repo, systems.github) if service.repo else None
    if slug is None:
        raise ToolFailed(f"The catalog names no GitHub repository of {service.name}.")
    return systems.github, slug


def _slug(repo: str, github: GitHubChanges) -> str | None:
    """`owner/name` of a repo on that GitHub; None for one elsewhere.

    Raises:
        AddressRefused: it is no address of a repo.
    """
    address = of_service(repo, github.api_url)
    return address.slug if address.is_on(github.api_url) else None


def _source(change: Change) -> Source:
    return Source(
        kind="change",
        title=shortened(change.title, 100),
        path=change.id,
        url=change.link,
        revision=change.id[:12],
    )


def _day_time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
