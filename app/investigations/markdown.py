"""Pieces of markdown that reports are made of: text from outside stays text, links lead to known hosts."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from urllib.parse import urlsplit

from app.agent.links import known
from app.investigations.cleaning import clean, one_line
from app.tools.masking import mask

LONGEST = 1000
NOTHING = "\\-"
"""On a line of its own: a bare - would make a heading of the line before it."""
_MARKS = re.compile(r"(?<!\\)([<|])")
_BLOCK = re.compile(r"(#{1,6}(?!\S)|>|[-+*](?!\S)|(?:[-*_] *){3,}$|`{3}|~{3})|(\d{1,9})(?=[.)](?!\S))")
"""What would begin a heading, a quote, a list, a rule or code at the start of a line or of a list's point."""


def text(value: str, hosts: frozenset[str], *, limit: int = LONGEST) -> str:
    """One line of words; `-` for nothing."""
    line = _MARKS.sub(r"\\\1", clean(value, hosts, limit=limit))
    if begins := _BLOCK.match(line):
        at = begins.end(2) if begins[2] else 0
        line = f"{line[:at]}\\{line[at:]}"
    return line or "-"


def code(value: str, *, limit: int = LONGEST) -> str:
    """A query or an id as inline code, whatever backticks are in it; `-` for nothing."""
    line = mask(one_line(value))[:limit].replace("|", "\\|")
    longest = max((len(run) for run in re.findall(r"`+", line)), default=0)
    ticks = "`" * (longest + 1)
    gap = " " if longest else ""
    return f"{ticks}{gap}{line}{gap}{ticks}" if line.strip() else "-"


def link(words: str, url: str | None, hosts: frozenset[str]) -> str:
    """A link when its host is known and it is plain http(s), else its words."""
    words = text(words, frozenset()).replace("[", "(").replace("]", ")")
    if not url or len(url) > 2000 or not known(url, hosts) or urlsplit(url).scheme not in ("http", "https"):
        return words
    return f"[{words}](<{url}>)"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Cells must be single lines with `|` escaped, as `text` and `code` make them."""
    return [
        f"| {' | '.join(heads)} |",
        f"|{'---|' * len(heads)}",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]


def bullets(lines: Iterable[str]) -> list[str]:
    """A list, or “-” for nothing."""
    return [f"- {line}" for line in lines] or [NOTHING]
