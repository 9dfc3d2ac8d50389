"""The documents the settings name, read: knowledge, the library of blueprints, the repos of services."""

from __future__ import annotations

import asyncio
from typing import Protocol

from sqlalchemy.ext.asyncio import AsyncEngine

from app.context.addresses import AddressRefused, parse
from app.context.library import Library
from app.context.mirrors import Folder, Mirror
from app.context.reachable import is_of_this_machine
from app.context.repos import Repos
from app.knowledge.history import StoredHistory
from app.knowledge.keeping import Keeper, Loaded, Refused, tell_nobody
from app.knowledge.models import Document
from app.knowledge.packaged import packaged_path
from app.settings import Settings, SettingsError
from app.storage.tree import Tree
from app.workflows.checking import RULES as workflow_rules

Documents = tuple[Keeper, Library, Repos]


class TreeSource(Protocol):
    async def refresh(self) -> Tree: ...

    async def tree_at(self, revision: str) -> Tree | None: ...


async def read(
    settings: Settings,
    engine: AsyncEngine,
    *,
    on_loaded: Loaded = tell_nobody,
    on_refused: Refused = tell_nobody,
) -> Documents:
    """Read once; whoever goes on running refreshes them.

    Raises:
        SettingsError: SYSTEM_PROMPT_FILE cannot be read, or git must not have the address of a repo.
        AgentError: there is no usable knowledge.
    """
    keeper = Keeper(
        _knowledge(settings),
        on_loaded=on_loaded,
        on_refused=on_refused,
        system_prompt=_system_prompt(settings),
        history=StoredHistory(engine),
        rules=workflow_rules,
    )
    blueprints = _blueprints(settings)
    repos = _repos(settings, engine)
    library = Library(blueprints, readmes=repos)
    await asyncio.gather(keeper.refresh(), library.refresh())
    return keeper, library, repos


def _knowledge(settings: Settings) -> TreeSource:
    git = settings.git
    if git.knowledge_repo_url:
        return _mirror(settings, "knowledge", git.knowledge_repo_url, git.knowledge_repo_ref)
    return Folder(git.knowledge_path or packaged_path())


def _blueprints(settings: Settings) -> TreeSource | None:
    git = settings.git
    if git.blueprints_repo_url:
        return _mirror(settings, "blueprints", git.blueprints_repo_url, git.blueprints_repo_ref)
    return Folder(git.blueprints_path) if git.blueprints_path else None


def _mirror(settings: Settings, name: str, url: str, ref: str) -> Mirror:
    git = settings.git
    try:
        parse(url)
    except AddressRefused as error:
        raise SettingsError([f"{name.upper()}_REPO_URL: {error.sentence}"]) from error
    place = settings.storage.home / "mirrors" / name
    return Mirror(url, ref, place, token=git.github_token, github_api_url=git.github_api_url)


def _repos(settings: Settings, engine: AsyncEngine) -> Repos:
    git = settings.git
    return Repos(
        settings.storage.home / "mirrors" / "services",
        engine,
        github_api_url=git.github_api_url,
        token=git.github_token,
        local_too=git.blueprints_repo_url is None or is_of_this_machine(parse(git.blueprints_repo_url)),
    )


def _system_prompt(settings: Settings) -> Document | None:
    if (file := settings.model.system_prompt_file) is None:
        return None
    try:
        return Document(file.name, "System prompt", file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError([f"SYSTEM_PROMPT_FILE: {file} cannot be read ({error})"]) from error
