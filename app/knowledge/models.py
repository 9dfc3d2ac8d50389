"""What the knowledge repo says at one revision, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

Severity = Literal["error", "warning"]
NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Document:
    """One file: its path in the repo, its title (front matter, first heading or name) and its text.

    The system prompt, standards, tiers and runbooks come without their front matter; `first_line` is then
    the line of the file at which `text` begins, so that links to lines stay right. Workflows, artifacts and
    templates are as they are in the repo.
    """

    path: str
    title: str
    text: str
    front_matter: Mapping[str, Any] = field(default_factory=lambda: NOTHING, hash=False)
    first_line: int = 1


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong at one line (1-based). An error refuses the revision, a warning does not."""

    path: str
    line: int
    severity: Severity
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.severity}: {self.message}"


@dataclass(frozen=True)
class Knowledge:
    """Everything that shapes behaviour, at one revision.

    `web_url` is the folder's address for people, as in `Tree`; `notice` is a sentence for the reader when
    this is not the newest revision; `faults` are warnings only: errors never become a `Knowledge`; `commit`
    is the whole id of the revision's git commit.
    """

    revision: str
    system_prompt: Document
    standards: tuple[Document, ...] = ()
    tiers: Mapping[int, Document] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    workflows: tuple[Document, ...] = ()
    artifacts: tuple[Document, ...] = ()
    templates: tuple[Document, ...] = ()
    runbooks: tuple[Document, ...] = ()
    faults: tuple[Fault, ...] = ()
    web_url: str | None = None
    notice: str | None = None
    commit: str | None = None

    def url(self, document: Document) -> str | None:
        """The address of a document at this revision, or None when the repo has no web page."""
        return None if self.web_url is None else f"{self.web_url}/{document.path}"
