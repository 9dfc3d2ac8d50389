"""What the team's own pages say about a matter: sections, lines, sentences, quoted and not judged. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.workflows.wants.standard import table_rows

HEADING = re.compile(r"^(#{1,6})\s+(.*)$")
BULLET = re.compile(r"^\s*[-*]\s+(.*)$")
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z`*])")
LONGEST = 400
DENIED = re.compile(
    r"\b(?:no|not|none|never|nothing|missing|nobody|without|todo|tbd|planned|yet)\b|\*\*missing\*\*", re.I
)


def section(text: str, *words: str) -> str:
    """The text below the first heading that holds one of the words, without deeper headings' marks."""
    depth, found = 0, []
    for line in text.splitlines():
        heading = HEADING.match(line)
        if heading and depth and len(heading[1]) <= depth:
            break
        if heading and not depth and any(word in heading[2].lower() for word in words):
            depth = len(heading[1])
        elif depth:
            found.append(line)
    return "\n".join(found).strip()


def opening(text: str) -> str:
    """The paragraph below the title, before any section."""
    lines = text.strip().splitlines()
    if lines and HEADING.match(lines[0]):
        lines = lines[1:]
    paragraph = "\n".join(lines).strip().split("\n\n")[0]
    return "" if HEADING.match(paragraph) else short(paragraph)


def bullets(text: str) -> Iterator[str]:
    """The entries of a list, each on one line."""
    entry = ""
    for line in [*text.splitlines(), "- "]:
        if match := BULLET.match(line):
            if entry:
                yield entry
            entry = match[1].strip()
        elif entry and line.startswith((" ", "\t")):
            entry += " " + line.strip()
        elif entry and not line.strip():
            continue
        elif entry:
            yield entry
            entry = ""


def rows_about(text: str, *words: str) -> list[str]:
    """The rows of tables whose first cell holds one of the words, as “matter: what is said”."""
    return [
        f"{row[0]}: {'; '.join(cell for cell in row[1:] if cell)}"
        for row in table_rows(text)
        if any(word in row[0].lower() for word in words) and any(row[1:])
    ]


def sentences(text: str) -> list[str]:
    """The sentences of prose and lists; tables, headings and fenced blocks are left out."""
    prose: list[str] = []
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        if fenced or line.lstrip().startswith(("|", "#", "```", "~~~")) or not line.strip():
            prose.append("")
            continue
        bullet = BULLET.match(line)
        if bullet:
            prose.append("")
        prose.append(bullet[1] if bullet else line.strip())
    paragraphs = "\n".join(prose).split("\n\n")
    return [
        part.strip() for each in paragraphs for part in SENTENCE.split(" ".join(each.split())) if part.strip()
    ]


def about(text: str, *words: str, most: int = 2) -> str:
    """The first sentences that hold one of the words; empty when none does."""
    pattern = re.compile("|".join(rf"\b{re.escape(word)}" for word in words), re.IGNORECASE)
    return short(" ".join([each for each in sentences(text) if pattern.search(each)][:most]))


def is_denied(said: str) -> bool:
    """Whether a statement says that something is not there, or only asks."""
    return bool(DENIED.search(said)) or said.rstrip("*_` ").endswith("?")


def short(said: str, longest: int = LONGEST) -> str:
    line = " ".join(said.split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"
