"""From a tree of files to `Knowledge`, or to the list of what has to be repaired first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from types import MappingProxyType

from app.errors import AgentError
from app.knowledge.checking import LEVELS, SYSTEM_PROMPT, Repo, Rule, faults_of, read, tier_level
from app.knowledge.models import Document, Fault, Knowledge
from app.storage.tree import Tree


class KnowledgeBroken(AgentError):
    """A revision of the knowledge repo has errors; `faults` are all of them, with file and line."""

    code = "knowledge_broken"

    def __init__(self, revision: str, faults: tuple[Fault, ...]) -> None:
        lines = "\n".join(f"  {fault}" for fault in faults)
        super().__init__(f"Knowledge revision {revision} cannot be used until this is repaired:\n{lines}")
        self.revision = revision
        self.faults = faults


def load(tree: Tree, *, system_prompt: Document | None = None, more: Sequence[Rule] = ()) -> Knowledge:
    """Read all parts of a knowledge repo; every part but the system prompt may be absent.

    `system_prompt` takes the place of the repo's own (`SYSTEM_PROMPT_FILE`); `more` are further rules.

    Raises:
        KnowledgeBroken: when a rule of `app.knowledge.checking`, or one of `more`, finds an error.
    """
    repo = read(tree, needs_system_prompt=system_prompt is None)
    faults = faults_of(repo, more)
    if errors := tuple(fault for fault in faults if fault.severity == "error"):
        raise KnowledgeBroken(tree.revision, errors)
    return Knowledge(
        revision=tree.revision,
        system_prompt=system_prompt or body(repo, SYSTEM_PROMPT),
        standards=bodies(repo, "standards"),
        tiers=MappingProxyType({level: body(repo, path) for level, path in tier_paths(repo)}),
        workflows=tuple(whole(repo, path) for path, _ in repo.under("workflows")),
        artifacts=files(repo, "artifacts"),
        templates=files(repo, "templates"),
        runbooks=bodies(repo, "runbooks"),
        faults=faults,
        web_url=tree.web_url,
        notice=tree.notice,
        commit=tree.commit,
    )


def tier_paths(repo: Repo) -> list[tuple[int, str]]:
    """Level and path of the tier files, by level."""
    named = ((tier_level(path), path) for path, _ in repo.under("tiers"))
    return sorted((level, path) for level, path in named if level is not None and level in LEVELS)


def bodies(repo: Repo, folder: str) -> tuple[Document, ...]:
    return tuple(body(repo, path) for path, page in repo.under(folder) if page.body.strip())


def files(repo: Repo, folder: str) -> tuple[Document, ...]:
    """All files of a folder as they are, whatever their format."""
    return tuple(whole(repo, path) for path, text in repo.tree.under(folder) if "\0" not in text)


def body(repo: Repo, path: str) -> Document:
    """A markdown file without its front matter."""
    page = repo.pages[path]
    return Document(path, title_of(repo, path), page.body, page.front_matter, page.first_line)


def whole(repo: Repo, path: str) -> Document:
    """A file exactly as it is in the repo."""
    text = repo.tree.files[path]
    if path not in repo.pages:
        return Document(path, PurePosixPath(path).name, text)
    return Document(path, title_of(repo, path), text, repo.pages[path].front_matter)


def title_of(repo: Repo, path: str) -> str:
    stem = PurePosixPath(path).stem.replace("-", " ").replace("_", " ")
    return repo.pages[path].title or stem[:1].upper() + stem[1:]
