"""Markdown cut into sections at its headings, each verbatim and with the line it begins at."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.knowledge.pages import BOM, front_matter

CHARACTERS_PER_TOKEN = 3.5
LARGEST_SECTION = 1200
"""Tokens; a longer section is cut between its blocks, so that one page cannot fill a whole context."""
LONGEST_HEADING = 300
"""Characters; taking the marks out of thousands of brackets takes seconds."""
BLOCKS = MarkdownIt("commonmark").enable("table").disable("inline")
INLINE = MarkdownIt("commonmark")
Heading = tuple[int, int, str]
"""Line (0-based), level and text."""


@dataclass(frozen=True)
class Part:
    """One section of a text; `heading` is None above the first heading, and `line` is 1-based.

    The heading of a section below another one names both: `Failure modes › Card declined`.
    """

    heading: str | None
    text: str
    line: int


def tokens_of(text: str) -> int:
    """The size of a text in tokens, estimated from its characters."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


@lru_cache(maxsize=1024)
def cut(text: str, *, first_line: int = 1) -> tuple[Part, ...]:
    """Cut a markdown text at its headings; front matter and headings with nothing below them are left out.

    `first_line` is the line of the file at which `text` begins. Results are kept, because most pages stay
    as they are from one revision to the next.
    """
    lines = text.removeprefix(BOM).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    _, begin, _ = front_matter(lines, is_template=False)
    lines = [""] * (begin - 1) + lines[begin - 1 :]
    tokens = BLOCKS.parse("\n".join(lines))
    parts = parts_of(lines, tokens, list(headings_of(tokens)))
    return tuple(replace(part, line=part.line + first_line - 1) for part in parts)


def headings_of(tokens: Sequence[Token]) -> Iterator[Heading]:
    """The headings that stand on their own, not those inside lists and quotes."""
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open" and opening.level == 0 and opening.map:
            yield opening.map[0], int(opening.tag[1]), plain(content.content)


@lru_cache(maxsize=4096)
def plain(heading: str) -> str:
    """A heading as it is read, without its marks."""
    if len(heading) > LONGEST_HEADING or not re.search(r"[*_`\[\]<>&\\!]", heading):
        return heading.strip()[:LONGEST_HEADING]
    children = INLINE.parseInline(heading)[0].children or []
    return "".join(child.content for child in children if child.type != "html_inline").strip()


def parts_of(lines: Sequence[str], tokens: Sequence[Token], headings: Sequence[Heading]) -> Iterator[Part]:
    if not headings or headings[0][0] > 0:
        end = headings[0][0] if headings else len(lines)
        yield from pieces(lines, tokens, 0, end, None)
    # A heading that is underlined has two lines.
    below = {t.map[0]: t.map[1] for t in tokens if t.type == "heading_open" and t.map}
    above: list[tuple[int, str]] = []
    for at, (start, level, heading) in enumerate(headings):
        end = headings[at + 1][0] if at + 1 < len(headings) else len(lines)
        above = [each for each in above if each[0] < level] + [(level, heading)]
        # The title of the document is in its source; repeating it in every heading says nothing.
        trail = [text for depth, text in above if text and (depth > 1 or depth == level)]
        if any(line.strip() for line in lines[below[start] : end]):
            yield from pieces(lines, tokens, start, end, " › ".join(trail) or None)


def pieces(
    lines: Sequence[str], tokens: Sequence[Token], start: int, end: int, heading: str | None
) -> Iterator[Part]:
    """The lines from `start` to `end` as one part, or as several when they are too long for one."""
    if len("\n".join(lines[start:end])) <= LARGEST_SECTION * CHARACTERS_PER_TOKEN:
        ends = [end]
    else:
        ends = list(cuts(lines, tokens, start, end))
    for until in ends:
        text = "\n".join(lines[start:until])
        if text.strip():
            blank = len(text) - len(text.lstrip("\n"))
            yield Part(heading, text.strip("\n"), start + blank + 1)
        start = until


def cuts(lines: Sequence[str], tokens: Sequence[Token], start: int, end: int) -> Iterator[int]:
    """The lines to cut before: between blocks, and inside a block only when it alone is too long."""
    limit = LARGEST_SECTION * CHARACTERS_PER_TOKEN
    blocks = {t.map[0] for t in tokens if t.map and t.level == 0 and start < t.map[0] < end}
    size, last_block = 0, start
    for at in range(start, end):
        if at in blocks:
            last_block = at
        size += len(lines[at]) + 1
        while size > limit and at > start:
            yield (start := last_block if last_block > start else at)
            size = sum(len(line) + 1 for line in lines[start : at + 1])
    yield end
