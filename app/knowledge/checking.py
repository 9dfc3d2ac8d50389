"""What can be wrong with a knowledge repo: one small rule each, every fault with its file and line."""

from __future__ import annotations

import difflib
import json
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import urlsplit

import yaml

from app.knowledge.bounded_yaml import compose_all
from app.knowledge.models import Fault, Severity
from app.knowledge.pages import BOM, PLACEHOLDER, Page, take_apart, yaml_problem
from app.storage.tree import LARGEST_FILE, Tree

SYSTEM_PROMPT = "system-prompt.md"
LONGEST_SYSTEM_PROMPT = 40_000
"""Characters, about 10,000 tokens: it is sent with every step of every turn."""
FOLDERS = ("standards", "tiers", "workflows", "artifacts", "templates", "runbooks")
NOT_READ = ("golden",)
"""Folders that are the repo's own business: conversations that its changes are checked with."""
TEMPLATE_FOLDERS = ("artifacts/", "templates/")
LEVELS = range(1, 5)
TIER_NAME = re.compile(r"^(?:tier[-_ ]?(\d+)(?!\d).*|(\d))\.md$", re.IGNORECASE)
DATA_SUFFIXES = (".yaml", ".yml", ".json")
TEXT_SUFFIXES = (".md", ".txt", *DATA_SUFFIXES)


@dataclass(frozen=True)
class Repo:
    """A tree with its markdown files taken apart once, for all rules and for the loader."""

    tree: Tree
    pages: Mapping[str, Page]
    needs_system_prompt: bool = True

    def under(self, folder: str) -> Iterator[tuple[str, Page]]:
        """The markdown files of a folder in path order; a README is for people and is left out."""
        for path, _ in self.tree.under(folder, ".md"):
            if PurePosixPath(path).stem.lower() != "readme":
                yield path, self.pages[path]


Rule = Callable[[Repo], Iterator[Fault]]


def read(tree: Tree, *, needs_system_prompt: bool = True) -> Repo:
    """Take the files apart that belong to knowledge."""
    pages = {
        path: take_apart(text, is_template=path.startswith(TEMPLATE_FOLDERS))
        for path, text in tree.files.items()
        if is_ours(path) and path.endswith(".md")
    }
    return Repo(tree, pages, needs_system_prompt)


def is_ours(path: str) -> bool:
    """Files at the top and below the folders we know; other folders are nobody's business here."""
    folder, slash, _ = path.partition("/")
    return not slash or folder in FOLDERS


def check(tree: Tree, *, needs_system_prompt: bool = True, more: Sequence[Rule] = ()) -> tuple[Fault, ...]:
    """All faults of a tree, errors and warnings, by path and line.

    `needs_system_prompt` is False when the prompt comes from elsewhere (`SYSTEM_PROMPT_FILE`); `more` are the
    rules of those who read what is nobody's business here, such as workflows.
    """
    return faults_of(read(tree, needs_system_prompt=needs_system_prompt), more)


def faults_of(repo: Repo, more: Sequence[Rule] = ()) -> tuple[Fault, ...]:
    """All faults of a repo that was read already."""
    return tuple(sorted({fault for rule in (*RULES, *more) for fault in rule(repo)}))


def error(path: str, line: int, message: str) -> Fault:
    return Fault(path, line, "error", message)


def warning(path: str, line: int, message: str) -> Fault:
    return Fault(path, line, "warning", message)


def system_prompt(repo: Repo) -> Iterator[Fault]:
    """There is one, it says something, and it leaves room for the question."""
    if not repo.needs_system_prompt or SYSTEM_PROMPT in repo.tree.left_out:
        return
    page = repo.pages.get(SYSTEM_PROMPT)
    if page is None:
        yield error(SYSTEM_PROMPT, 1, f"is missing; the repo needs it at its top{where_it_may_be(repo.tree)}")
    elif not page.body.strip():
        yield error(SYSTEM_PROMPT, 1, "is empty; it must say how to answer")
    elif len(page.body) > LONGEST_SYSTEM_PROMPT:
        line = page.first_line + page.body.count("\n", 0, LONGEST_SYSTEM_PROMPT)
        yield error(
            SYSTEM_PROMPT,
            line,
            f"has {len(page.body):,} characters, {LONGEST_SYSTEM_PROMPT:,} are allowed; "
            "move rules into standards/, which are read when they matter",
        )


def where_it_may_be(tree: Tree) -> str:
    """A hint for the two usual mistakes: one folder too deep, and another spelling."""
    deeper = [path for path in sorted(tree.files) if path.endswith("/" + SYSTEM_PROMPT)]
    spelled = difflib.get_close_matches(
        SYSTEM_PROMPT, [path.lower().replace("_", "-") for path in tree.files if "/" not in path], 1, 0.8
    )
    written = [path for path in sorted(tree.files) if path.lower().replace("_", "-") in spelled]
    found = (deeper + written)[:1]
    return f" (there is {found[0]})" if found else ""


def front_matter(repo: Repo) -> Iterator[Fault]:
    """Front matter is optional, but what is there must be readable."""
    for path, page in repo.pages.items():
        if page.front_matter_flaw:
            yield error(path, page.front_matter_flaw.line, page.front_matter_flaw.message)


def tiers(repo: Repo) -> Iterator[Fault]:
    """One file for each level from 1 to 4, which its name gives."""
    seen: dict[int, str] = {}
    for path, page in repo.under("tiers"):
        level = tier_level(path)
        if level is None:
            yield warning(
                path, 1, "is not read; a tier's file is called tier-1.md, tier-2.md, tier-3.md or tier-4.md"
            )
        elif level not in LEVELS:
            yield error(path, 1, f"tier {level} does not exist; tiers are 1 to 4")
        elif level in seen:
            yield error(path, 1, f"tier {level} is already in {seen[level]}; keep one of them")
        else:
            seen[level] = path
            yield from contradicting_level(path, page, level)


def tier_level(path: str) -> int | None:
    """The level in the name of a file directly in tiers/, such as 2 for tiers/tier-2.md."""
    name = PurePosixPath(path)
    match = TIER_NAME.match(name.name) if name.parent == PurePosixPath("tiers") else None
    return int(match[1] or match[2]) if match else None


def contradicting_level(path: str, page: Page, level: int) -> Iterator[Fault]:
    """Front matter may repeat the level, but not change it."""
    for key in ("tier", "level"):
        said = page.front_matter.get(key)
        if said is not None and str(said).strip() != str(level):
            yield error(path, 1, f"the front matter says {key} {said}, the name of the file says {level}")


def structured_files(repo: Repo) -> Iterator[Fault]:
    """YAML and JSON of artifacts and templates can be read once their placeholders are filled in."""
    for folder in TEMPLATE_FOLDERS:
        for path, text in repo.tree.under(folder):
            if path.endswith(DATA_SUFFIXES) and "\0" not in text:
                yield from structured_file(path, text.removeprefix(BOM))


def structured_file(path: str, text: str) -> Iterator[Fault]:
    # With control tags the file is a program: nobody knows its output before it has run.
    if "{%" in text:
        return
    if path.endswith(".json"):
        try:
            json.loads(PLACEHOLDER.sub("0", text))
        except json.JSONDecodeError as problem:
            yield error(path, problem.lineno, f"is not valid JSON: {problem.msg}")
        except RecursionError:
            yield error(path, 1, "is not valid JSON: it is nested too deeply")
        return
    filled = PLACEHOLDER.sub("placeholder", text)
    try:
        # Composing checks the syntax and leaves tags alone, such as CloudFormation's `!Ref`.
        for _ in compose_all(filled):
            pass
    except (yaml.YAMLError, RecursionError) as problem:
        line, reason = yaml_problem(problem, filled)
        yield error(path, line, f"is not valid YAML: {reason}")


def same_titles(repo: Repo) -> Iterator[Fault]:
    """Answers cite standards by title, so a title names one standard."""
    seen: dict[str, str] = {}
    for path, page in repo.under("standards"):
        if page.title is None:
            continue
        title = " ".join(page.title.casefold().split())
        if title in seen:
            yield error(
                path, page.title_line, f"has the title “{page.title}” of {seen[title]}; rename one of them"
            )
        else:
            seen[title] = path


def fences(repo: Repo) -> Iterator[Fault]:
    """A fence that stays open swallows everything below it."""
    for path, page in repo.pages.items():
        if page.broken_fence and page.nested_fences:
            yield warning(
                path,
                page.broken_fence.line,
                "a code fence inside a code fence ends the outer one; open and close the outer one with ````",
            )
        elif page.broken_fence:
            yield error(path, page.broken_fence.line, page.broken_fence.message)


def links(repo: Repo) -> Iterator[Fault]:
    """Links between the repo's own files lead somewhere."""
    known = {*repo.tree.files, *repo.tree.left_out}
    folders = {str(parent) for path in known for parent in PurePosixPath(path).parents}
    for path, page in repo.pages.items():
        for link in page.links:
            target = local_target(path, link.target)
            if target is not None and target not in known and target not in folders:
                yield warning(path, link.line, f"the link to {link.target} leads to nothing in this repo")


def local_target(path: str, href: str) -> str | None:
    """The path in the repo that a relative link means; None for addresses, anchors and placeholders."""
    if "{" in href:
        return None
    try:
        parts = urlsplit(href)
    except ValueError:
        return None
    if parts.scheme or parts.netloc or not parts.path:
        return None
    if parts.path.startswith("/"):
        return posixpath.normpath(parts.path).lstrip("/") or "."
    return posixpath.normpath(posixpath.join(posixpath.dirname(path), parts.path))


def empty_documents(repo: Repo) -> Iterator[Fault]:
    """A file that says nothing was probably meant to say something."""
    for folder in ("standards", "tiers", "workflows", "runbooks"):
        for path, page in repo.under(folder):
            if not page.body.strip():
                yield warning(path, 1, "is empty")


def unreadable_files(repo: Repo) -> Iterator[Fault]:
    """Files that are too large or no text: an error where text was meant, a warning elsewhere."""
    for path in repo.tree.left_out:
        if is_ours(path):
            yield Fault(
                path,
                1,
                severity_of_unreadable(path),
                "cannot be read: it is no UTF-8 text, larger than 5 MB, or a link that leaves the repo",
            )
    for path, text in repo.tree.files.items():
        if is_ours(path) and "\0" in text:
            line = text.count("\n", 0, text.index("\0")) + 1
            yield Fault(path, line, severity_of_unreadable(path), "is binary; knowledge is text")
        if is_ours(path) and len(text) > LARGEST_FILE // 4 and len(text.encode()) > LARGEST_FILE:
            yield error(path, 1, "is larger than 5 MB; keep what people need to know and link to the rest")


def severity_of_unreadable(path: str) -> Severity:
    return "error" if path.endswith(TEXT_SUFFIXES) else "warning"


def unknown_folders(repo: Repo) -> Iterator[Fault]:
    """A folder nobody reads is either fine or a misspelling; the author knows which."""
    tops = {path.partition("/")[0] for path in repo.tree.files if "/" in path}
    for folder in sorted(tops - {*FOLDERS, *NOT_READ}):
        if folder.startswith("."):
            continue
        near = difflib.get_close_matches(folder.lower(), FOLDERS, 1, 0.7)
        hint = (
            f"did you mean {near[0]}/?"
            if near
            else f"what is read: {', '.join(f'{name}/' for name in FOLDERS)}"
        )
        yield warning(f"{folder}/", 1, f"is not read; {hint}")


RULES: tuple[Rule, ...] = (
    system_prompt,
    front_matter,
    tiers,
    structured_files,
    same_titles,
    fences,
    links,
    empty_documents,
    unreadable_files,
    unknown_folders,
)
