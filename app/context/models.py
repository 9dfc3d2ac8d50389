"""What the context room hands to others: services, sources, sections, and one assembled context."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, PlainSerializer

from app.frozen import Frozen

How = Literal["name", "alias", "thread", "channel", "word", "typo", "none", "ambiguous"]
Labels = Annotated[
    Mapping[str, str],
    AfterValidator(lambda value: MappingProxyType(dict(value))),
    PlainSerializer(dict, return_type=dict[str, str]),
]


class Source(Frozen):
    """Where a statement comes from: a document at a revision, with the address a person opens.

    `kind` is blueprint, contract, readme, tier, standard, architecture, convention, catalog, code,
    knowledge …
    """

    kind: str
    title: str
    path: str
    url: str | None = None
    revision: str | None = None


class Service(Frozen):
    """One service of the catalog; `declared_in` is the file and line that declares it."""

    name: str
    aliases: tuple[str, ...] = ()
    tier: int | None = Field(None, ge=1, le=4)
    team: str | None = None
    slack_channel: str | None = None
    repo: str | None = None
    depends_on: tuple[str, ...] = ()
    labels: Labels = Field(default_factory=lambda: MappingProxyType({}))
    dashboards: tuple[str, ...] = ()
    runbooks: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    declared_in: str = ""


class Resolution(Frozen):
    """Which service a message is about and how that was found out.

    `candidates` are names: all that were meant for `ambiguous`, the nearest ones for `none`. `word` is an
    everyday word that stood where a name stands.
    """

    service: Service | None = None
    how: How = "none"
    candidates: tuple[str, ...] = ()


class Readme(Frozen):
    """The README of a service's repo; `notice` says why there is none, or that it is an older copy."""

    text: str | None = None
    source: Source | None = None
    notice: str | None = None


class Section(Frozen):
    """One part of a document, verbatim; it begins at `line` (1-based), and so does `source.url`."""

    source: Source
    heading: str
    text: str
    score: float = 0.0
    tokens: int = 0
    line: int = 1

    @property
    def id(self) -> str:
        """`path#line@revision`: the same section of the same text, in whichever turn it is used."""
        return f"{self.source.path}#{self.line}@{self.source.revision or ''}"


class Context(Frozen):
    """What the agent is given for one question.

    `sources` are the documents of the sections, each once. `held` are sections that the conversation has
    already, while they are as they were, with their documents. `missing` are facts that no document states,
    `notices` say when a copy is not the newest one; both are sentences for the reader.
    """

    resolution: Resolution = Resolution()
    sections: tuple[Section, ...] = ()
    sources: tuple[Source, ...] = ()
    held: tuple[Section, ...] = ()
    held_sources: tuple[Source, ...] = ()
    missing: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()

    @property
    def service(self) -> Service | None:
        return self.resolution.service

    @property
    def all_sources(self) -> tuple[Source, ...]:
        """The documents of all sections at hand, the new ones first."""
        return tuple(dict.fromkeys((*self.sources, *self.held_sources)))

    def refs(self) -> list[dict[str, Any]]:
        """What was at hand, as JSON for `sessions.context_refs`: each document once, with its revision, the
        headings and the ids of its sections."""
        return [
            {
                **source.model_dump(include={"kind", "path", "revision", "url"}),
                "headings": [section.heading for section in self._sections_of(source)],
                "sections": [section.id for section in self._sections_of(source)],
            }
            for source in self.all_sources
        ]

    def _sections_of(self, source: Source) -> list[Section]:
        return [
            section
            for section in (*self.sections, *self.held)
            if (section.source.kind, section.source.path) == (source.kind, source.path)
        ]
