"""The small language of templates: placeholders, `for`, `if` and `include`, parsed once; filling them in
(`filling`) runs nothing.

`{{ name }}` is a placeholder, `{{ name | slug }}` one with a filter; `{% for x in list %}`, `{% if name %}`,
`{% else %}`, `{% endif %}`, `{% endfor %}` and `{% include "artifacts/file.yaml" %}` are tags. Everything
else, such as `{{ $labels.job }}` of Prometheus, is left as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.errors import AgentError
from app.workflows.in_words import FILTERS, MISSING

Syntax = Literal["text", "markdown", "yaml", "json"]
Spot = Literal["double", "single", "whole", "line", "block", "row"]
"""Where a placeholder stands, which decides how a value has to be written there: inside of quotes, as all of
a YAML or JSON value, within a line, as lines of their own, in a row of a table."""
Path = tuple[str, ...]

DEEPEST_INCLUDE = 8
DEEPEST_TAG = 20
MOST_NODES = 5_000
LARGEST_TEMPLATE = 500_000
"""Characters with all that is included, each time it is."""
LONGEST_LINE = 20_000
"""Characters of a line with placeholders: where each of them stands is found out from what is before it."""
NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
PATH = rf"{NAME}(?:\.{NAME})*"
STRICT = re.compile(
    rf"(?P<value>\{{\{{\s*(?P<path>{PATH})\s*(?P<filters>(?:\|\s*{NAME}\s*)*)\}}\}})"
    r"|(?P<tag>\{%-?(?P<said>[^%\n]*+)%\})"
)
# What other authors write: ${NAME}, {name}, <the name>, [The name]; no link, no checkbox, no tag of HTML.
LOOSE = re.compile(
    STRICT.pattern
    + r"|(?P<dollar>\$\{(?P<d>[A-Za-z_][A-Za-z0-9_]*)\})"
    + r"|(?<![\w${])\{(?P<brace>[a-z][A-Za-z0-9_ -]{1,40})\}(?!\})"
    + r"|(?<![\w\\<])<(?P<angle>[A-Za-z][A-Za-z0-9_ -]{1,40})>(?!>)"
)
BRACKETS = re.compile(
    LOOSE.pattern + r"|(?<![\w!\]\\])\[(?P<bracket>[A-Za-z][A-Za-z0-9_ /-]{2,60})\](?![\[(:])"
)
HTML = frozenset(
    [
        *("br", "hr", "b", "i", "em", "strong", "sub", "sup", "p", "div", "span", "details", "summary"),
        *("code", "pre", "ul", "ol", "li", "table", "tr", "td", "th"),
    ]
)
ALONE = re.compile(r"^[ \t]*(\{%[^%\n]*%\})[ \t]*$")

FOR = re.compile(rf"^for\s+({NAME})\s+in\s+({PATH})$")
IF = re.compile(rf"^if\s+(not\s+)?({PATH})(?:\s*==\s*[\"']([^\"']*)[\"'])?$")
INCLUDE = re.compile(r"^include\s+[\"']([^\"']+)[\"']$")


Scope = Callable[[Path], Any]
"""The value of a name, or `MISSING`."""


class TemplateBroken(AgentError):
    """A template cannot be read; `line` is 1-based in the file `path`, None for the text itself."""

    code = "template_broken"

    def __init__(self, line: int, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.message = message
        self.path = path


@dataclass(frozen=True)
class Ref:
    """A name that a template refers to; `local` are the names that loops around it give."""

    path: Path
    line: int
    file: str | None
    local: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Text:
    text: str


@dataclass(frozen=True)
class Value:
    """`written` is the placeholder as it stands; `kept` says that it stays when it has no value."""

    path: Path
    filters: tuple[str, ...]
    spot: Spot
    indent: str
    line: int
    file: str | None
    written: str
    kept: bool = False


@dataclass(frozen=True)
class Loop:
    name: str
    path: Path
    body: tuple[Node, ...]
    line: int
    file: str | None


@dataclass(frozen=True)
class If:
    path: Path
    negated: bool
    equals: str | None
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]
    line: int
    file: str | None


Node = Text | Value | Loop | If


@dataclass(frozen=True)
class Template:
    """A parsed template; `source` is its text."""

    source: str
    nodes: tuple[Node, ...]
    syntax: Syntax = "text"

    def refs(self) -> tuple[Ref, ...]:
        """All names it refers to, in order."""
        return tuple(_refs(self.nodes, frozenset()))

    def known(self, scope: Scope) -> bool:
        """Whether all of its placeholders have values."""
        return all(scope(ref.path) is not MISSING for ref in self.refs())

    def sole(self) -> Value | None:
        """The placeholder it consists of, when it is nothing else: its value then keeps its type."""
        only = self.nodes[0] if len(self.nodes) == 1 else None
        return only if isinstance(only, Value) and not only.filters else None


def _refs(nodes: Sequence[Node], local: frozenset[str]) -> Iterator[Ref]:
    for node in nodes:
        if isinstance(node, Value):
            if not node.kept:
                yield Ref(node.path, node.line, node.file, local)
        elif isinstance(node, Loop):
            yield Ref(node.path, node.line, node.file, local)
            yield from _refs(node.body, local | {node.name})
        elif isinstance(node, If):
            yield Ref(node.path, node.line, node.file, local)
            yield from _refs((*node.then, *node.otherwise), local)


def parse(
    text: str,
    *,
    syntax: Syntax = "text",
    loose: bool = False,
    keep: bool = False,
    files: Mapping[str, str] | None = None,
    file: str | None = None,
    first_line: int = 1,
) -> Template:
    """Read a template. `loose` takes the placeholders of other authors too, and `keep` leaves those as they
    stand that have no value; `files` are what `include` finds.

    Raises:
        TemplateBroken: a tag that is unknown, open or in the wrong place; an include that is missing, goes in
            a circle or too deep.
    """
    parser = _Parser(syntax, loose, keep, files or {})
    return Template(text, parser.nodes(text, file, first_line, ()), syntax)


class _Parser:
    def __init__(self, syntax: Syntax, loose: bool, keep: bool, files: Mapping[str, str]) -> None:
        self.files = files
        self.keep = keep
        self.syntax: Syntax = syntax
        self.pattern = STRICT if not loose else BRACKETS if syntax == "markdown" else LOOSE
        self.count = 0
        self.length = 0

    def nodes(
        self, text: str, file: str | None, first_line: int, within: tuple[str, ...]
    ) -> tuple[Node, ...]:
        self.length += len(text)
        if self.length > LARGEST_TEMPLATE:
            raise TemplateBroken(
                first_line, f"the template has more than {LARGEST_TEMPLATE:,} characters", file
            )
        pieces = _Pieces(list(self._pieces(text, file, first_line)), file)
        return tuple(self._block(pieces, within, ()))

    def _pieces(
        self, text: str, file: str | None, first_line: int
    ) -> Iterator[tuple[int, str | Value | None]]:
        """Text, values and tags (as their words behind a None marker) with their lines."""
        for number, line in enumerate(text.splitlines(keepends=True), first_line):
            if (alone := ALONE.match(line.rstrip("\r\n"))) and (tag := STRICT.match(alone[1])) and tag["tag"]:
                yield number, "\0" + _said(tag["said"])
                continue
            end = 0
            quotes = _Quotes()
            for match in self.pattern.finditer(line):
                if len(line) > LONGEST_LINE:
                    raise TemplateBroken(number, f"a line may have {LONGEST_LINE:,} characters", file)
                piece = self._piece(match, line, number, file, quotes)
                if piece is None:
                    continue
                yield number, line[end : match.start()]
                yield number, piece
                end = match.end()
            yield number, line[end:]

    def _piece(
        self, match: re.Match[str], line: str, number: int, file: str | None, quotes: _Quotes
    ) -> str | Value | None:
        found = {key: said for key, said in match.groupdict().items() if said is not None}
        if "tag" in found:
            return "\0" + _said(found["said"])
        said = found.get("path") or found.get("d")
        kept = self.keep or "dollar" in found
        if said is None:
            words = found.get("brace") or found.get("angle") or found.get("bracket") or ""
            if words.lower() in HTML or words.strip().upper().startswith("TODO"):
                return None
            said = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")
        filters = tuple(each.strip() for each in found.get("filters", "").split("|") if each.strip())
        for name in filters:
            if name not in FILTERS:
                raise TemplateBroken(
                    number, f"there is no filter {name}; there are {', '.join(FILTERS)}", file
                )
        before, after = line[: match.start()], line[match.end() :]
        spot = _spot(self.syntax, before, after, quotes)
        indent = re.match(r"[ \t]*(?:[-*] )?", before)[0]  # type: ignore[index]
        return Value(tuple(said.split(".")), filters, spot, " " * len(indent), number, file, match[0], kept)

    def _block(self, pieces: _Pieces, within: tuple[str, ...], until: tuple[str, ...]) -> Iterator[Node]:
        while (piece := pieces.next()) is not None:
            line, said = piece
            self.count += 1
            if self.count > MOST_NODES:
                raise TemplateBroken(line, f"the template has more than {MOST_NODES:,} parts", pieces.file)
            if isinstance(said, Value):
                yield said
            elif not said.startswith("\0"):
                if said:
                    yield Text(said)
            elif (tag := said[1:]) in until:
                pieces.ended_by = tag
                return
            else:
                yield from self._tag(tag, line, pieces, within)
        if until:
            raise TemplateBroken(pieces.opened.pop(), f"this tag has no {{% {until[-1]} %}}", pieces.file)

    def _tag(self, tag: str, line: int, pieces: _Pieces, within: tuple[str, ...]) -> Iterator[Node]:
        if len(pieces.opened) >= DEEPEST_TAG:
            raise TemplateBroken(line, f"tags are nested deeper than {DEEPEST_TAG}", pieces.file)
        if match := FOR.match(tag):
            pieces.opened.append(line)
            body = tuple(self._block(pieces, within, ("endfor",)))
            pieces.opened.pop()
            yield Loop(match[1], tuple(match[2].split(".")), body, line, pieces.file)
        elif match := IF.match(tag):
            pieces.opened.append(line)
            then = tuple(self._block(pieces, within, ("else", "endif")))
            otherwise: tuple[Node, ...] = ()
            if pieces.ended_by == "else":
                otherwise = tuple(self._block(pieces, within, ("endif",)))
            pieces.opened.pop()
            path = tuple(match[2].split("."))
            yield If(path, bool(match[1]), match[3], then, otherwise, line, pieces.file)
        elif match := INCLUDE.match(tag):
            yield from self._include(match[1], line, pieces.file, within)
        else:
            raise TemplateBroken(
                line,
                f"{{% {tag} %}} is not understood; there are for … in …, if …, else, endif, endfor and "
                'include "…"',
                pieces.file,
            )

    def _include(self, path: str, line: int, file: str | None, within: tuple[str, ...]) -> tuple[Node, ...]:
        here = (*within, *((file,) if file else ()))
        if path in here:
            circle = " → ".join((*here[here.index(path) :], path))
            raise TemplateBroken(line, f"the template includes itself: {circle}", file)
        if len(here) >= DEEPEST_INCLUDE:
            raise TemplateBroken(line, f"includes go deeper than {DEEPEST_INCLUDE} files", file)
        if path not in self.files:
            raise TemplateBroken(line, f"there is no file {path} to include", file)
        return self.nodes(self.files[path], path, 1, here)


class _Pieces:
    """The pieces of one text, taken one by one, and the lines of the tags that are open."""

    def __init__(self, pieces: list[tuple[int, Any]], file: str | None) -> None:
        self._pieces = iter(pieces)
        self.file = file
        self.opened: list[int] = []
        self.ended_by = ""

    def next(self) -> tuple[int, Any] | None:
        return next(self._pieces, None)


def _said(tag: str) -> str:
    """The words of a tag."""
    return tag.strip().removesuffix("-").rstrip()


def _spot(syntax: Syntax, before: str, after: str, quotes: _Quotes) -> Spot:
    if syntax == "markdown":
        return "row" if before.lstrip().startswith("|") else "block"
    if syntax == "text":
        return "block"
    quoted = quotes.open_behind(before)
    if quoted:
        return "double" if quoted == '"' else "single"
    return "whole" if syntax == "json" else _spot_of_yaml(before, after)


def _spot_of_yaml(before: str, after: str) -> Spot:
    if re.search(r"(?:^|\s)#", before):
        return "line"
    if re.search(r"(?::\s+|^\s*(?:- )+)$", before) and re.match(r"\s*(?:#.*)?$", after):
        return "whole"
    return "line" if re.match(r"\s*(?:- )*[\w.\"'/-]+:\s", before) else "block"


class _Quotes:
    """Which quotation mark is open in a line, read from left to right once for all its placeholders."""

    def __init__(self) -> None:
        self._at = 0
        self._open = ""
        self._escaped = False
        self._comment = False

    def open_behind(self, before: str) -> str:
        """The mark that is open at the end of the line's beginning `before`; empty when none is."""
        for at in range(self._at, len(before)):
            self._read(before[at], before[at - 1 : at])
        self._at = len(before)
        return self._open

    def _read(self, letter: str, previous: str) -> None:
        if self._comment:
            return
        if self._escaped:
            self._escaped = False
        elif letter == "\\" and self._open == '"':
            self._escaped = True
        elif self._open:
            self._open = "" if letter == self._open else self._open
        elif letter == '"' or (letter == "'" and not re.match(r"\w", previous)):
            self._open = letter
        elif letter == "#":
            self._comment = True
