"""The small language of templates: placeholders, `for`, `if` and `include`, parsed once and filled in without
running anything.

`{{ name }}` is a placeholder, `{{ name | slug }}` one with a filter; `{% for x in list %}`, `{% if name %}`,
`{% else %}`, `{% endif %}`, `{% endfor %}` and `{% include "artifacts/file.yaml" %}` are tags. Everything
else, such as `{{ $labels.job }}` of Prometheus, is left as it stands.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.errors import AgentError

Syntax = Literal["text", "markdown", "yaml", "json"]
Spot = Literal["double", "single", "whole", "line", "block", "row"]
"""Where a placeholder stands, which decides how a value has to be written there: inside of quotes, as all of
a YAML or JSON value, within a line, as lines of their own, in a row of a table."""
Path = tuple[str, ...]

DEEPEST_INCLUDE = 8
DEEPEST_TAG = 20
MOST_NODES = 5_000
LARGEST_OUTPUT = 500_000
"""Characters that a template may render to."""

NAME = r"[A-Za-z_][A-Za-z0-9_-]*"
PATH = rf"{NAME}(?:\.{NAME})*"
STRICT = re.compile(
    rf"(?P<value>\{{\{{\s*(?P<path>{PATH})\s*(?P<filters>(?:\|\s*{NAME}\s*)*)\}}\}})"
    r"|(?P<tag>\{%-?\s*(?P<said>[^%\n]*?)\s*-?%\})"
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


class _Missing:
    """What a scope answers for a name that has no value yet."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()
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


# -- parsing -------------------------------------------------------------------------------------------------


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

    def nodes(
        self, text: str, file: str | None, first_line: int, within: tuple[str, ...]
    ) -> tuple[Node, ...]:
        pieces = _Pieces(list(self._pieces(text, file, first_line)), file)
        return tuple(self._block(pieces, within, ()))

    def _pieces(
        self, text: str, file: str | None, first_line: int
    ) -> Iterator[tuple[int, str | Value | None]]:
        """Text, values and tags (as their words behind a None marker) with their lines."""
        for number, line in enumerate(text.splitlines(keepends=True), first_line):
            if (alone := ALONE.match(line.rstrip("\r\n"))) and (tag := STRICT.match(alone[1])) and tag["tag"]:
                yield number, "\0" + tag["said"]
                continue
            end = 0
            for match in self.pattern.finditer(line):
                piece = self._piece(match, line, number, file)
                if piece is None:
                    continue
                yield number, line[end : match.start()]
                yield number, piece
                end = match.end()
            yield number, line[end:]

    def _piece(self, match: re.Match[str], line: str, number: int, file: str | None) -> str | Value | None:
        found = {key: said for key, said in match.groupdict().items() if said is not None}
        if "tag" in found:
            return "\0" + found["said"]
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
        spot = _spot(self.syntax, before, after)
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


def _spot(syntax: Syntax, before: str, after: str) -> Spot:
    if syntax == "markdown":
        return "row" if before.lstrip().startswith("|") else "block"
    if syntax == "text":
        return "block"
    quoted = _quoted(before)
    if quoted:
        return "double" if quoted == '"' else "single"
    return "whole" if syntax == "json" else _spot_of_yaml(before, after)


def _spot_of_yaml(before: str, after: str) -> Spot:
    if re.search(r"(?:^|\s)#", before):
        return "line"
    if re.search(r"(?::\s+|^\s*(?:- )+)$", before) and re.match(r"\s*(?:#.*)?$", after):
        return "whole"
    return "line" if re.match(r"\s*(?:- )*[\w.\"'/-]+:\s", before) else "block"


def _quoted(before: str) -> str:
    """The quotation mark that is open at the end of a line's beginning; empty when none is."""
    open_mark = ""
    escaped = False
    for letter in before:
        if escaped:
            escaped = False
        elif letter == "\\" and open_mark == '"':
            escaped = True
        elif open_mark:
            open_mark = "" if letter == open_mark else open_mark
        elif letter == '"' or (letter == "'" and not re.search(r"\w$", before[: before.index(letter)])):
            open_mark = letter
        elif letter == "#":
            return ""
    return open_mark


# -- filling in ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rendered:
    """The text, the names that had no value, in order, and all that placeholders were filled with, each once:
    values as people read them, also as a filter made them, and markers."""

    text: str
    missing: tuple[Path, ...]
    filled: tuple[str, ...] = ()


class TooLarge(AgentError):
    """A template grew beyond `LARGEST_OUTPUT`."""

    code = "artifact_too_large"


def render(template: Template, scope: Scope, *, marker: Callable[[Path], str]) -> Rendered:
    """Fill in what `scope` knows; what it does not know becomes `marker` of its name.

    Raises:
        TooLarge: loops over loops made it longer than anybody reads.
    """
    filling = _Filling(template.syntax, marker)
    filling.nodes(template.nodes, scope)
    return Rendered("".join(filling.parts), tuple(dict.fromkeys(filling.missing)), tuple(filling.filled))


def plain(template: Template, scope: Scope) -> str:
    """The text with what has no value left out: for questions and titles."""
    return " ".join(render(template, scope, marker=lambda path: "…").text.split(" ")).strip()


class _Filling:
    def __init__(self, syntax: Syntax, marker: Callable[[Path], str]) -> None:
        self.syntax = syntax
        self.marker = marker
        self.parts: list[str] = []
        self.missing: list[Path] = []
        self.filled: dict[str, None] = {}
        self.length = 0

    def nodes(self, nodes: Sequence[Node], scope: Scope) -> None:
        for node in nodes:
            if isinstance(node, Text):
                self.add(node.text)
            elif isinstance(node, Value):
                self.value(node, scope)
            elif isinstance(node, Loop):
                for item in listed(scope(node.path)):
                    self.nodes(node.body, within(scope, node.name, item, node.path))
            elif holds(node, scope(node.path)):
                self.nodes(node.then, scope)
            else:
                self.nodes(node.otherwise, scope)

    def value(self, node: Value, scope: Scope) -> None:
        found = scope(node.path)
        if found is MISSING:
            if node.kept:
                self.add(node.written)
                return
            self.missing.append(node.path)
            found = self.marker(node.path)
            self.filled[found] = None
            self.add(write(found, self.syntax, node))
            return
        self.filled |= dict.fromkeys(map(text_of, listed(found)))
        for name in node.filters:
            found = FILTERS[name](found)
            self.filled |= dict.fromkeys(map(text_of, listed(found)))
        self.add(write(found, self.syntax, node))

    def add(self, text: str) -> None:
        self.length += len(text)
        if self.length > LARGEST_OUTPUT:
            raise TooLarge(f"It grew beyond {LARGEST_OUTPUT:,} characters.")
        self.parts.append(text)


def within(scope: Scope, name: str, item: Any, path: Path = ()) -> Scope:
    """`scope` with an item of a list under a name; what is known of the item is found below the name.

    A scope that keeps answers per item is asked for them with the item in its name: `target` of the item
    `pay` is `("target", "[pay]")`.
    """

    def inner(asked: Path) -> Any:
        if asked[0] != name:
            return scope((*asked, f"[{key_of(item)}]")) if len(asked) == 1 else scope(asked)
        if len(asked) == 1:
            return item
        if isinstance(item, Mapping) and asked[1] in item:
            return dig(item, asked[1:])
        return scope((asked[1], f"[{key_of(item)}]"))

    return inner


def key_of(item: Any) -> str:
    """What an item is known by: its name, or the text it is."""
    if isinstance(item, Mapping):
        named = item.get("name", item.get("id"))
        return text_of(named if named is not None else next(iter(item.values()), ""))
    return text_of(item)


def dig(value: Any, path: Sequence[str]) -> Any:
    """The value below a mapping, or `MISSING`."""
    for name in path:
        if not isinstance(value, Mapping) or value.get(name) is None:
            return MISSING
        value = value[name]
    return value


def listed(value: Any) -> Sequence[Any]:
    if value is MISSING or value is None or value == "":
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def holds(node: If, value: Any) -> bool:
    if node.equals is not None:
        true = value is not MISSING and text_of(value) == node.equals
    else:
        true = value is not MISSING and value not in ("", None, False, [], ())
    return true is not node.negated


def text_of(value: Any) -> str:
    """A value as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").rstrip(".")
    if isinstance(value, list | tuple):
        return ", ".join(key_of(each) if isinstance(each, Mapping) else text_of(each) for each in value)
    if isinstance(value, Mapping):
        return key_of(value)
    return str(value)


PLAIN_YAML = re.compile(r"^[A-Za-z_/][\w ./@+-]*$")
WORDS_OF_YAML = frozenset(["true", "false", "yes", "no", "on", "off", "null", "y", "n"])


def write(value: Any, syntax: Syntax, node: Value) -> str:
    """A value as it has to be written where its placeholder stands, so that it changes nothing else."""
    said = text_of(value)
    match node.spot:
        case "double":
            return json.dumps(said, ensure_ascii=False)[1:-1]
        case "single":
            return " ".join(said.split("\n")).replace("'", "''")
        case "whole":
            return _whole(value, syntax)
        case "line":
            return " ".join(said.split())
        case "row":
            return "<br>".join(said.replace("|", "\\|").split("\n"))
    # Spaces that it begins with would count as the indentation of all that follow in YAML.
    lines = (line if line.strip() else "" for line in said.lstrip().split("\n"))
    return ("\n" + node.indent).join(lines)


def _whole(value: Any, syntax: Syntax) -> str:
    if isinstance(value, str):
        said = value.strip()
        simple = PLAIN_YAML.match(said) and said.lower() not in WORDS_OF_YAML and not said.endswith(" ")
        return said if simple and syntax == "yaml" else json.dumps(value, ensure_ascii=False)
    if isinstance(value, float):
        return text_of(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def slug(value: Any) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text_of(value).lower()).strip("-") or "unnamed"


SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}


def seconds(value: Any) -> float:
    """The seconds of a duration as Prometheus writes it, such as 1h30m; of a number, itself."""
    if isinstance(value, int | float):
        return float(value)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdwy])", text_of(value))
    return sum(float(number) * SECONDS[unit] for number, unit in parts)


def _number(value: Any) -> float:
    try:
        return float(text_of(value))
    except ValueError:
        return 0.0


def _neat(value: float) -> float | int:
    value = round(value, 10)
    return int(value) if value == int(value) else value


FILTERS: Mapping[str, Callable[[Any], Any]] = {
    "slug": slug,
    "lower": lambda value: text_of(value).lower(),
    "upper": lambda value: text_of(value).upper(),
    "bullets": lambda value: "\n".join(f"- {text_of(each)}" for each in listed(value)),
    "numbered": lambda value: "\n".join(f"{n}. {text_of(each)}" for n, each in enumerate(listed(value), 1)),
    "count": lambda value: len(listed(value)),
    "json": lambda value: json.dumps(value, ensure_ascii=False, default=str),
    "seconds": lambda value: _neat(seconds(value)),
    "ms": lambda value: _neat(seconds(value) * 1000),
    "ratio": lambda value: _neat(_number(value) / 100),
    "budget": lambda value: _neat((100 - _number(value)) / 100),
}
"""`ratio` of 99.9 (percent) is 0.999, `budget` is what that leaves: 0.001."""
