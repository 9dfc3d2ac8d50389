"""The blueprints repo at one revision: which document is about which service."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

from app.context.catalog import Catalog, pages, read_catalog
from app.context.models import Service, Source
from app.context.names import slug
from app.context.papers import Paper, Papers
from app.storage.tree import Tree

NOTHING = Tree("none", {})
TO = re.compile(r"[-_ ]to[-_ ]", re.IGNORECASE)
HEADING = re.compile(r"^#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", re.MULTILINE)


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
                if service.name not in each.parties and name.search(self.tree.files[each.path])
            )
        return self._naming[service.name]

    def general(self) -> Iterator[tuple[str, str]]:
        """Kind and path of the documents that are about no service alone."""
        if "architecture.md" in self.tree.files:
            yield "architecture", "architecture.md"
        for folder, kind in (("architecture", "architecture"), ("conventions", "convention")):
            for path, _ in self.tree.under(folder, ".md"):
                yield kind, path

    def paper(self, kind: str, path: str, papers: Papers) -> Paper:
        """A markdown document of the repo, cut."""
        text = self.tree.files[path]
        return papers.of(self.source(kind, path, title(text, path)), text)

    def declaration(self, service: Service) -> tuple[Source, str, int] | None:
        """The lines of the YAML file that declare a service; None when only its page does."""
        path, first, last = self.catalog.declarations.get(service.name, ("", 0, 0))
        if not path.endswith((".yaml", ".yml")):
            return None
        lines = self.tree.files[path].split("\n")[first - 1 : last]
        return self.source("catalog", path, f"{service.name} in {path}"), "\n".join(lines), first

    def source(self, kind: str, path: str, name: str) -> Source:
        return Source(kind=kind, title=name, path=path, url=self.tree.url(path), revision=self.tree.revision)

    @cached_property
    def _pages(self) -> dict[str, str]:
        return {slug(name): path for path, name in pages(self.tree)}

    @cached_property
    def _contracts(self) -> tuple[Contract, ...]:
        found = (path for path, _ in self.tree.under("contracts", ".md"))
        return tuple(Contract(path, self._parties(path)) for path in found)

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
    """Any spelling of a service's names, not as a part of a longer name."""
    names = "|".join(r"[-_ ]?".join(map(re.escape, each.split("-"))) for each in spellings(service))
    return re.compile(rf"(?<![\w-])(?:{names})(?![\w-])", re.IGNORECASE)


def title(text: str, path: str) -> str:
    """The first heading, or a name made of the file's."""
    if found := HEADING.search(text):
        return found[1]
    stem = PurePosixPath(path).stem.replace("-", " ").replace("_", " ")
    return stem[:1].upper() + stem[1:]
