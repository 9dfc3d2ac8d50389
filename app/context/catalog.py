"""The catalog: which services there are, read from the blueprints repo one entry at a time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath
from types import MappingProxyType
from urllib.parse import urlsplit

from app.context.backstage import read_backstage
from app.context.entries import Entry, merged, read_entries
from app.context.models import Service
from app.context.names import slug
from app.knowledge.models import Fault
from app.storage.tree import Tree

FILES = ("services.yaml", "services.yml")
NOT_A_SERVICE = re.compile(r"^(readme|index|template|_.*)$", re.IGNORECASE)
SCP_LIKE = re.compile(r"^[\w.-]+@([\w.-]+):")


@dataclass(frozen=True)
class Catalog:
    """The services by name, in the order they are declared, and what is wrong with the files.

    `faults` are sentences with file and line; an entry with a fault keeps what is right about it.
    `declarations` are the lines (first and last, 1-based) of the file that declare a service.
    """

    services: Mapping[str, Service] = field(default_factory=lambda: MappingProxyType({}))
    faults: tuple[Fault, ...] = ()
    declarations: Mapping[str, tuple[str, int, int]] = field(default_factory=lambda: MappingProxyType({}))

    def __len__(self) -> int:
        return len(self.services)

    def __iter__(self) -> Iterator[Service]:
        return iter(self.services.values())

    def get(self, name: str | None) -> Service | None:
        """The service of that name or alias, however it is spelled (`Payment Gateway`, `payment_gateway`)."""
        return self.services.get(self.spellings.get(slug(name), "")) if name else None

    def depends_on(self, name: str) -> tuple[str, ...]:
        """What a service needs, by the catalog's names; a dependency outside the catalog keeps its own."""
        service = self.get(name)
        return tuple(self._known(each) for each in service.depends_on) if service else ()

    def dependents(self, name: str) -> tuple[str, ...]:
        """The services that need this one, in the catalog's order."""
        service = self.get(name)
        return self._dependents.get(service.name if service else name, ())

    def of_channel(self, channel: str) -> tuple[Service, ...]:
        """The services whose channel this is (its id or its name)."""
        wanted = channel.lstrip("#").casefold()
        return tuple(each for each in self if (each.slack_channel or "").casefold() == wanted)

    def hosts(self) -> frozenset[str]:
        """All hosts that dashboards, runbooks, repos and links are on: answers may link there."""
        links = (link for s in self for link in (*s.dashboards, *s.runbooks, *s.links, s.repo or ""))
        return frozenset(host for link in links if (host := host_of(link)))

    @cached_property
    def spellings(self) -> Mapping[str, str]:
        """Names by the slug of every name and alias; a name wins over another service's alias."""
        aliases = {slug(alias): s.name for s in reversed(list(self)) for alias in s.aliases}
        return MappingProxyType(aliases | {slug(each.name): each.name for each in self})

    @cached_property
    def _dependents(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {}
        for service in self:
            for needed in self.depends_on(service.name):
                found.setdefault(needed, []).append(service.name)
        return {name: tuple(needing) for name, needing in found.items()}

    def _known(self, name: str) -> str:
        return self.spellings.get(slug(name), name)


def read_catalog(tree: Tree) -> Catalog:
    """Read `services.yaml`, Backstage files and `services/*.md`; the first to say something is believed.

    A service that only has a page is in the catalog too: with `services.yaml` present that is a fault.
    """
    faults: list[Fault] = []
    declared = next((path for path in FILES if path in tree.files), None)
    entries = list(read_entries(declared, tree.files[declared], faults)) if declared else []
    entries = list(without_doubles(entries, faults))
    known = {slug(entry.service.name): at for at, entry in enumerate(entries)}
    for entry in read_backstage(tree, faults):
        if (at := known.get(slug(entry.service.name))) is not None:
            entries[at] = merged(entries[at], entry)
        else:
            known[slug(entry.service.name)] = len(entries)
            entries.append(entry)
    spelled = known.keys() | {slug(alias) for entry in entries for alias in entry.service.aliases}
    for path, name in pages(tree):
        if slug(name) in spelled:
            continue
        entries.append(Entry(Service(name=name, declared_in=f"{path}:1"), path, 1, 1))
        if declared:
            faults.append(Fault(path, 1, "warning", f"describes {name}, which {declared} does not declare"))
    entries = list(without_clashes(entries, faults))
    faults += unknown_dependencies(entries)
    return Catalog(
        MappingProxyType({entry.service.name: entry.service for entry in entries}),
        tuple(sorted(faults)),
        MappingProxyType({e.service.name: (e.path, e.first_line, e.last_line) for e in entries}),
    )


def pages(tree: Tree) -> Iterator[tuple[str, str]]:
    """Path and service name of the pages `services/<name>.md`."""
    for path, _ in tree.under("services", ".md"):
        name = PurePosixPath(path).stem
        if path.count("/") == 1 and not NOT_A_SERVICE.match(name):
            yield path, name


def without_doubles(entries: Iterable[Entry], faults: list[Fault]) -> Iterator[Entry]:
    """The first entry of each name."""
    first: dict[str, Entry] = {}
    for entry in entries:
        earlier = first.setdefault(slug(entry.service.name), entry)
        if earlier is entry:
            yield entry
        else:
            message = f"{entry.service.name} is declared twice; line {earlier.first_line} is used"
            faults.append(Fault(entry.path, entry.first_line, "error", message))


def without_clashes(entries: list[Entry], faults: list[Fault]) -> Iterator[Entry]:
    """The entries without aliases that are another service's name or earlier alias."""
    owners = {slug(entry.service.name): entry.service.name for entry in entries}
    for entry in entries:
        service, kept = entry.service, []
        for alias in service.aliases:
            owner = owners.setdefault(slug(alias), service.name)
            if owner == service.name:
                kept.append(alias)
            else:
                message = f"the alias {alias} of {service.name} already means {owner}; it is ignored"
                faults.append(Fault(entry.path, entry.first_line, "error", message))
        yield entry.of(service.model_copy(update={"aliases": tuple(kept)}))


def unknown_dependencies(entries: list[Entry]) -> Iterator[Fault]:
    spelled = {slug(n) for entry in entries for n in (entry.service.name, *entry.service.aliases)}
    for entry in entries:
        for needed in entry.service.depends_on:
            if slug(needed) not in spelled:
                message = f"{entry.service.name} depends on {needed}, which the catalog does not declare"
                yield Fault(entry.path, entry.first_line, "warning", message)


def host_of(link: str) -> str | None:
    """The host of an address or of an scp-like git address; None when it names none."""
    if found := SCP_LIKE.match(link):
        return found[1].lower()
    try:
        return urlsplit(link).hostname
    except ValueError:
        return None
