"""The blueprints repo at one revision: which document is about which service."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import PurePosixPath
from typing import Any

from app.context.catalog import NOT_A_SERVICE, Catalog, pages, read_catalog
from app.context.models import Service, Source
from app.context.names import slug
from app.context.papers import Paper, Papers, Passage, passage
from app.context.sections import cut
from app.knowledge.pages import BOM, front_matter
from app.storage.tree import Tree

NOTHING = Tree("none", {})
LONGEST_SUMMARY = 200
"""Characters of a blueprint's first sentence."""
TO = re.compile(r"[-_ ]to[-_ ]", re.IGNORECASE)
HEADING = re.compile(r"^#{1,6}[ \t]++(?!#+[ \t]*$)(\S.*)$", re.MULTILINE)
CLOSING_MARKS = re.compile(r"(?<![ \t])[ \t]++#+[ \t]*$")


@dataclass(frozen=True)
class Contract:
    """A document between two services; `parties` are those its file name tells."""

    path: str
    parties: frozenset[str]


@dataclass(frozen=True)
class Blueprints:
    """A tree with its catalog, and what is found out about it while questions are answered."""

    tree: Tree = NOTHING
    catalog: Catalog = field(default_factory=Catalog)
    _naming: dict[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    def page(self, service: Service) -> str | None:
        """The path of a service's blueprint."""
        return next((self._pages[s] for s in spellings(service) if s in self._pages), None)

    def contracts(self, service: Service) -> tuple[Contract, ...]:
        """The contracts a service is a party of, by path."""
        return tuple(each for each in self._contracts if service.name in each.parties)

    def naming(self, service: Service) -> tuple[str, ...]:
        """The paths of contracts between others that mention the service."""
        if service.name not in self._naming:
            name = as_whole_words(service)
            self._naming[service.name] = tuple(
                each.path
                for each in self._contracts
                if service.name not in each.parties and name.search(self._lower[each.path])
            )
        return self._naming[service.name]

    def general(self) -> tuple[tuple[str, str], ...]:
        """Kind and path of the documents that are about no service alone."""
        return self._general

    def paper(self, kind: str, path: str, papers: Papers) -> Paper:
        """A markdown document of the repo, cut."""
        text = self.tree.files[path]
        return papers.of(self.source(kind, path, title(text, path)), text)

    def declaration(self, service: Service) -> Passage | None:
        """The lines of the YAML file that declare a service; None when only its page does."""
        path, first, last = self.catalog.declarations.get(service.name, ("", 0, 0))
        if not path.endswith((".yaml", ".yml")):
            return None
        lines = self.tree.files[path].split("\n")[first - 1 : last]
        return passage(self.source("catalog", path, path), service.name, "\n".join(lines), first)

    @cached_property
    def summaries(self) -> Mapping[str, Passage]:
        """One line on each service, by name, for questions that are not about a single one."""
        return {service.name: self._summary(service) for service in self.catalog}

    def prepare(self) -> None:
        """Find out now what questions need, in whichever thread this is."""
        _ = self.summaries, self._lower, self.catalog.spellings
        for _, path in self.general():
            cut(self.tree.files[path])

    def _summary(self, service: Service) -> Passage:
        path, line, _ = self.catalog.declarations.get(service.name, ("", 1, 1))
        facts = [
            f"tier {service.tier}" if service.tier else "no tier",
            f"team {service.team}" if service.team else "no team",
            *([f"depends on {', '.join(service.depends_on)}"] if service.depends_on else []),
        ]
        page = self.page(service)
        about = first_sentence(self.tree.files[page]) if page else ""
        text = f"{service.name}: {', '.join(facts)}. {about}".strip()
        return passage(self.source("catalog", path, path), service.name, text, line)

    def source(self, kind: str, path: str, name: str) -> Source:
        return Source(kind=kind, title=name, path=path, url=self.tree.url(path), revision=self.tree.revision)

    @cached_property
    def _general(self) -> tuple[tuple[str, str], ...]:
        top = [("architecture", "architecture.md")] if "architecture.md" in self.tree.files else []
        folders = (("architecture", "architecture"), ("conventions", "convention"))
        below = ((kind, path) for folder, kind in folders for path, _ in self.tree.under(folder, ".md"))
        return (*top, *(each for each in below if not is_about_its_folder(each[1])))

    @cached_property
    def _pages(self) -> dict[str, str]:
        return {slug(name): path for path, name in pages(self.tree)}

    @cached_property
    def _contracts(self) -> tuple[Contract, ...]:
        found = (path for path, _ in self.tree.under("contracts", ".md") if not is_about_its_folder(path))
        return tuple(Contract(path, self._parties(path)) for path in found)

    @cached_property
    def _lower(self) -> dict[str, str]:
        return {each.path: self.tree.files[each.path].lower() for each in self._contracts}

    def _parties(self, path: str) -> frozenset[str]:
        """The services in `<a>-to-<b>`; a name may hold a "to" itself, so every place to part is tried."""
        stem = PurePosixPath(path).stem
        known: list[frozenset[str]] = [frozenset()]
        for found in TO.finditer(stem):
            sides = (stem[: found.start()], stem[found.end() :])
            names = (self.catalog.spellings.get(slug(side)) for side in sides)
            known.append(frozenset(name for name in names if name))
        return max(known, key=len)


def read_blueprints(tree: Tree) -> Blueprints:
    """The blueprints of a tree, its catalog read."""
    return Blueprints(tree, read_catalog(tree))


def spellings(service: Service) -> tuple[str, ...]:
    return tuple(dict.fromkeys(slug(name) for name in (service.name, *service.aliases)))


def as_whole_words(service: Service) -> re.Pattern[str]:
    """Any spelling of a service's names in lower case prose, not as a part of a longer name."""
    names = "|".join(r"[-_ ]?".join(map(re.escape, each.split("-"))) for each in spellings(service))
    return re.compile(rf"(?<![\w-])(?:{names})(?![\w-])")


@lru_cache(maxsize=2048)
def title(text: str, path: str) -> str:
    """The front matter's title, else the first heading, else a name made of the file's."""
    front, body = without_front_matter(text)
    if isinstance(named := front.get("title"), str) and named.strip():
        return named.strip()
    if found := HEADING.search(body):
        return CLOSING_MARKS.sub("", found[1].rstrip())
    stem = PurePosixPath(path).stem.replace("-", " ").replace("_", " ")
    return stem[:1].upper() + stem[1:]


def first_sentence(text: str) -> str:
    """The first sentence of a page's prose: no heading, list, table, quote or code."""
    for line in without_front_matter(text)[1].split("\n"):
        if line[:1].isalpha():
            end = line.find(". ")
            return (line if end < 0 else line[: end + 1])[:LONGEST_SUMMARY].strip()
    return ""


def without_front_matter(text: str) -> tuple[Mapping[str, Any], str]:
    lines = text.removeprefix(BOM).replace("\r\n", "\n").split("\n")
    front, first_line, _ = front_matter(lines, is_template=False)
    return front, "\n".join(lines[first_line - 1 :])


def is_about_its_folder(path: str) -> bool:
    """A README or a template explains the folder it is in."""
    return NOT_A_SERVICE.match(PurePosixPath(path).stem) is not None
