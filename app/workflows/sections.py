"""A workflow's markdown by its headings: phases, guidance, fenced blocks and quoted prompts, with lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(.*)$")
PHASE = re.compile(r"^phase\b[\s.:–—-]*(?:(?:\d+|[ivxlc]+|[a-z])\b[\s.:)–—-]*)?(.*)$", re.IGNORECASE)
FENCE = re.compile(r"^\s*(`{3,}|~{3,})\s*([\w+-]*)(.*)$")
QUOTED = re.compile(r"[\"“„]([^\"“”„]{3,2000})[\"”]", re.DOTALL)
LABEL = re.compile(r"^[*_]*(?:ask|prompt|question|say)\s*:[*_]*", re.IGNORECASE)
WRAPPED = {"markdown", "md", ""}


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and the line of the file at which the text begins."""

    language: str
    text: str
    line: int


@dataclass(frozen=True)
class Section:
    """What stands below one heading; `phase` is the name of a phase, None for guidance. `prose` is the text
    without its fenced blocks."""

    heading: str
    phase: str | None
    prose: str
    blocks: tuple[Block, ...]
    line: int


def sections(body: str, first_line: int = 1) -> tuple[Section, ...]:
    """The sections of a markdown body, which begins at `first_line` of its file.

    A phase holds the headings below its own; only headings that begin with “Phase” make phases.
    """
    lines = body.split("\n")
    fences = list(_fenced(lines))
    inside = {n for start, end, _ in fences for n in range(start, end)}
    starts = list(_starts(lines, inside))
    ends = [start for start, _, _ in starts[1:]] + [len(lines)]
    return tuple(
        Section(
            heading,
            phase,
            _prose(lines, start + bool(heading), end, inside),
            tuple(
                Block(language, "\n".join(lines[opened + 1 : closed - 1]), opened + 1 + first_line)
                for opened, closed, language in fences
                if start <= opened < end
            ),
            start + first_line,
        )
        for (start, heading, phase), end in zip(starts, ends, strict=True)
    )


def _starts(lines: Sequence[str], inside: set[int]) -> Iterator[tuple[int, str, str | None]]:
    """Where sections begin, with their headings; the first begins at the top."""
    level = 0
    yield 0, "", None
    for number, line in enumerate(lines):
        match = HEADING.match(line) if number not in inside else None
        if match is None:
            continue
        depth, words = len(match[1]), re.sub(r"[*_`]", "", match[2].rstrip().rstrip("#").rstrip())
        if phase := PHASE.match(words):
            level = depth
            yield number, words, phase[1].strip() or words
        elif depth <= level or not level:
            level = 0
            yield number, words, None


def _prose(lines: Sequence[str], start: int, end: int, inside: set[int]) -> str:
    return "\n".join(lines[n] for n in range(start, end) if n not in inside).strip()


def _fenced(lines: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """First line, line behind the last, and language of each fenced block.

    In a block of markdown, a fence with a language opens a block within, as people write templates.
    """
    number = 0
    while number < len(lines):
        opening = FENCE.match(lines[number])
        if opening is None:
            number += 1
            continue
        end = _closing(lines, number, opening[1], opening[2].lower())
        yield number, end, opening[2].lower()
        number = end


def _closing(lines: Sequence[str], start: int, mark: str, language: str) -> int:
    inner: list[str] = []
    for number in range(start + 1, len(lines)):
        fence = FENCE.match(lines[number])
        if fence is None or fence[1][0] != mark[0]:
            continue
        bare = not fence[2] and not fence[3].strip()
        if not bare:
            if language in WRAPPED:
                inner.append(fence[1])
        elif inner:
            inner.pop()
        elif len(fence[1]) >= len(mark):
            return number + 1
    return len(lines)


def prompt(prose: str) -> str | None:
    """What a phase asks in its author's words: its quotation, else the first thing in quotation marks that
    asks, else the first that is a sentence."""
    quotation: list[str] = []
    for line in prose.split("\n"):
        if line.lstrip().startswith(">"):
            quotation.append(line.lstrip()[1:].strip())
        elif quotation:
            break
    if quoted := _unquoted("\n".join(quotation)):
        return quoted
    said = [" ".join(match.split()) for match in QUOTED.findall(prose)]
    asking = [each for each in said if each.rstrip(" *_").endswith("?")]
    sentences = [each for each in said if len(each.split()) >= 4]
    return next(iter((*asking, *sentences)), None)


def _unquoted(text: str) -> str:
    text = LABEL.sub("", text.strip()).strip()
    if len(text) > 1 and text[0] in '"“„' and text[-1] in '"”':
        text = text[1:-1].strip()
    return text
