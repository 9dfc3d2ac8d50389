"""One markdown file taken apart: front matter, title, links and fences, each with its line in the file."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import yaml
from markdown_it import MarkdownIt
from markdown_it.token import Token

from app.knowledge.bounded_yaml import load_front_matter
from app.knowledge.models import NOTHING

BOM = "\ufeff"
FENCE = re.compile(r"^[\s>]*(`{3,}|~{3,})(.*)$")
KEY = re.compile(r"^\s*[\"']?[a-zA-Z_][\w -]*+[\"']?\s*+:(\s|$)")
PLAIN_KEY = re.compile(r"^[a-z_][\w-]*:(\s|$)")
PLACEHOLDER = re.compile(r"(?:\$?\{\{[^{}\n]*\}\}|\$\{[^{}\n]*\})+")
"""What a template leaves open: `{{ service }}`, `${SERVICE}`, `${{ env.SERVICE }}`."""
MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Flaw:
    """Something wrong in the text, at a line of the file (1-based)."""

    line: int
    message: str


@dataclass(frozen=True)
class Link:
    """The target of a link or an image as it is written, at a line of the file (1-based)."""

    line: int
    target: str


@dataclass(frozen=True)
class Page:
    """A markdown file: `body` is the text below the front matter and begins at line `first_line`.

    `title` is None when neither the front matter nor a heading gives one. `broken_fence` is an error unless
    `nested_fences`: then every fence has its end, but an inner one ends the outer one.
    """

    body: str
    first_line: int = 1
    front_matter: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    front_matter_flaw: Flaw | None = None
    title: str | None = None
    title_line: int = 1
    links: tuple[Link, ...] = ()
    broken_fence: Flaw | None = None
    nested_fences: bool = False


def take_apart(text: str, *, is_template: bool = False) -> Page:
    """Parse one markdown file; what is wrong with it is part of the result, nothing is raised.

    In a template the front matter may contain placeholders, which are filled in before it is read.
    """
    lines = text.removeprefix(BOM).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    front, first_line, flaw = front_matter(lines, is_template=is_template)
    body_lines = lines[first_line - 1 :]
    body = "\n".join(body_lines)
    tokens = MARKDOWN.parse(body)
    heading, heading_line = first_heading(tokens)
    named = front.get("title")
    fence = unclosed_fence(tokens, body_lines)
    offset = first_line - 1
    return Page(
        body=body,
        first_line=first_line,
        front_matter=front,
        front_matter_flaw=flaw,
        title=named.strip() if isinstance(named, str) and named.strip() else heading,
        title_line=1 if named else heading_line + offset,
        links=tuple(Link(link.line + offset, link.target) for link in links(tokens, body_lines)),
        broken_fence=None if fence is None else Flaw(fence.line + offset, fence.message),
        nested_fences=fence is not None and closed_when_nested(body_lines),
    )


def front_matter(lines: list[str], *, is_template: bool) -> tuple[Mapping[str, Any], int, Flaw | None]:
    """The YAML block at the top, the line at which the rest begins, and what is wrong with the block.

    A markdown file may begin with a horizontal rule, so a block counts as front matter only when it looks
    like one: keys right below the first `---`.
    """
    if lines[0].rstrip() != "---" or len(lines) < 2:
        return NOTHING, 1, None
    end = next((n for n, line in enumerate(lines[1:], start=1) if line.rstrip() in ("---", "...")), None)
    if end is None and PLAIN_KEY.match(lines[1]):
        return NOTHING, 1, Flaw(1, "the front matter is never closed; end it with a line that is `---`")
    if end is None or not lines[1].strip() or not any(KEY.match(line) for line in lines[1:end]):
        return NOTHING, 1, None
    block = "\n".join(lines[1:end])
    try:
        read = load_front_matter(PLACEHOLDER.sub("placeholder", block) if is_template else block)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        line, problem = yaml_problem(error, block)
        return NOTHING, end + 2, Flaw(line + 1, f"the front matter is not valid YAML: {problem}")
    return (read, end + 2, None) if isinstance(read, dict) else (NOTHING, 1, None)


def yaml_problem(error: Exception, text: str) -> tuple[int, str]:
    """The line (1-based) and the reason of an error of the YAML reader."""
    if isinstance(error, yaml.MarkedYAMLError):
        at_the_end = error.problem_mark is None or error.problem_mark.index >= len(text.rstrip())
        mark = (error.context_mark if at_the_end else None) or error.problem_mark
        reason = ", ".join(part for part in (error.context, error.problem) if part)
        last_line = text.rstrip().count("\n") + 1
        return min(mark.line + 1, last_line) if mark else 1, reason
    if isinstance(error, yaml.reader.ReaderError):
        return text.count(
            "\n", 0, error.position
        ) + 1, f"the character #x{error.character:04x} is not allowed"
    if isinstance(error, RecursionError):
        return 1, "it is nested too deeply"
    return 1, str(error)


def first_heading(tokens: list[Token]) -> tuple[str | None, int]:
    """The text of the first heading that has one, and its line in the body."""
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open" and opening.map:
            text = "".join(part.content for part in content.children or () if part.type != "html_inline")
            if text.strip():
                return text.strip(), opening.map[0] + 1
    return None, 1


def links(tokens: list[Token], lines: list[str]) -> Iterator[Link]:
    """Links and images of the body, with the line on which the target stands."""
    for token in tokens:
        if token.type != "inline" or not token.map:
            continue
        start, end = token.map
        for part in token.children or ():
            target = part.attrGet("href") if part.type == "link_open" else None
            target = part.attrGet("src") if part.type == "image" else target
            if isinstance(target, str) and target:
                written = (
                    n
                    for n in range(start, min(end, len(lines)))
                    if target in lines[n] or unquote(target) in lines[n]
                )
                yield Link(next(written, start) + 1, unquote(target))


def unclosed_fence(tokens: list[Token], lines: list[str]) -> Flaw | None:
    """The first code fence that runs into the end of its container, by the rules of CommonMark."""
    for token in tokens:
        if token.type != "fence" or not token.map:
            continue
        start, end = token.map
        closing = FENCE.match(lines[end - 1]) if end - 1 > start else None
        if closing and closing[1].startswith(token.markup) and not closing[2].strip():
            continue
        return Flaw(start + 1, f"the code fence opened here is never closed; add a line {token.markup}")
    return None


def closed_when_nested(lines: list[str]) -> bool:
    """Whether every fence is closed when a fence with a language opens an inner one.

    People write a template with code inside as ```` ```markdown … ```bash … ``` … ``` ````. Markdown ends the
    outer block at the inner end, yet nothing is missing.
    """
    opened: list[str] = []
    for line in lines:
        fence = FENCE.match(line)
        if not fence:
            continue
        if fence[2].strip() or not opened or opened[-1][0] != fence[1][0]:
            opened.append(fence[1])
        else:
            opened.pop()
    return not opened
