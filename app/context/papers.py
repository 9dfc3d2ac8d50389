"""Documents cut into counted sections once per revision, not once per question."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass

from app.context.models import Section, Source
from app.context.ranking import Terms, terms
from app.context.sections import cut, tokens_of

REMEMBERED = 512
"""Documents; some 30 kB each, so a catalog of any size costs at most some 15 MB."""


@dataclass(frozen=True)
class Passage:
    """One section of the document `source`, as it is handed out (its score still 0), with its terms."""

    source: Source
    section: Section
    terms: Terms


@dataclass(frozen=True)
class Paper:
    """A document with its passages in the order they are written."""

    source: Source
    passages: tuple[Passage, ...]


class Papers:
    """The cut documents of a process: only what questions were about is cut, and the newest are kept."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._known: OrderedDict[tuple[Source, int], Paper] = OrderedDict()
        self._remembered = remembered

    def of(self, source: Source, text: str, *, first_line: int = 1) -> Paper:
        """The paper of a document; `text` begins at line `first_line` of its file."""
        # Two texts may share a source that has no revision; a string keeps its hash, so this costs nothing.
        key = (source, hash(text))
        paper = self._known.get(key)
        if paper is None:
            paper = self._known[key] = Paper(source, tuple(passages(source, text, first_line)))
            if len(self._known) > self._remembered:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(key)
        return paper


def passages(source: Source, text: str, first_line: int) -> Iterator[Passage]:
    for part in cut(text, first_line=first_line):
        yield passage(source, part.heading or source.title, part.text, part.line)


def passage(source: Source, heading: str, text: str, line: int) -> Passage:
    """One part of a document as a passage; its address opens the document at that line."""
    url = f"{source.url}#L{line}" if source.url and "#" not in source.url else source.url
    section = Section(
        source=source.model_copy(update={"url": url}),
        heading=heading,
        text=text,
        tokens=tokens_of(text),
        line=line,
    )
    return Passage(source, section, terms(text, heading, f"{source.kind} {source.title}"))
