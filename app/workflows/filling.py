"""Templates filled in: each value is written so that it changes nothing around the place where it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from app.errors import AgentError
from app.workflows.in_words import FILTERS, MISSING, dig, key_of, legible_in, listed, text_of
from app.workflows.templates import If, Loop, Node, Path, Scope, Syntax, Template, Text, Value

LARGEST_OUTPUT = 500_000
"""Characters that a template may render to."""
MOST_STEPS = 50_000
"""Parts and entries of lists on the way there; loops that write nothing go on for ever, too."""


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


STAND_IN = "xvalue"


def probe(template: Template, scope: Scope, *, marker: Callable[[Path], str]) -> str:
    """The text with words of no meaning instead of values: what a file looks like whatever anybody said."""
    filling = _Filling(template.syntax, marker, stands_in=True)
    filling.nodes(template.nodes, scope)
    return "".join(filling.parts)


def render(template: Template, scope: Scope, *, marker: Callable[[Path], str]) -> Rendered:
    """Fill in what `scope` knows; what it does not know becomes `marker` of its name.

    Raises:
        TooLarge: loops over loops made it longer than anybody reads.
    """
    filling = _Filling(template.syntax, marker)
    filling.nodes(template.nodes, scope)
    return Rendered("".join(filling.parts), tuple(dict.fromkeys(filling.missing)), tuple(filling.filled))


def plain(template: Template, scope: Scope) -> str:
    """The text with what has no value left out, for questions and titles. What grows too large is cut."""
    filling = _Filling(template.syntax, lambda path: "…")
    with suppress(TooLarge):
        filling.nodes(template.nodes, scope)
    return " ".join("".join(filling.parts).split(" ")).strip()


class _Filling:
    def __init__(self, syntax: Syntax, marker: Callable[[Path], str], *, stands_in: bool = False) -> None:
        self.stands_in = stands_in
        self.syntax = syntax
        self.marker = marker
        self.parts: list[str] = []
        self.missing: list[Path] = []
        self.filled: dict[str, None] = {}
        self.length = 0
        self.steps = 0

    def step(self) -> None:
        self.steps += 1
        if self.steps > MOST_STEPS:
            raise TooLarge(f"Its loops took more than {MOST_STEPS:,} steps.")

    def nodes(self, nodes: Sequence[Node], scope: Scope) -> None:
        for node in nodes:
            self.step()
            if isinstance(node, Text):
                self.add(node.text)
            elif isinstance(node, Value):
                self.value(node, scope)
            elif isinstance(node, Loop):
                for item in listed(scope(node.path)):
                    self.step()
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
        self.add(write(self.stand_in(found) if self.stands_in else found, self.syntax, node))

    def stand_in(self, value: Any) -> Any:
        if isinstance(value, str) and value.strip():
            self.step()
            return f"{STAND_IN}{self.steps}x"
        return [self.stand_in(each) for each in value] if isinstance(value, list) else value

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


def holds(node: If, value: Any) -> bool:
    if node.equals is not None:
        true = value is not MISSING and text_of(value) == node.equals
    else:
        true = value is not MISSING and value not in ("", None, False, [], ())
    return true is not node.negated


PLAIN_YAML = re.compile(r"^[A-Za-z_/][\w ./@+-]*$")
WORDS_OF_YAML = frozenset(["true", "false", "yes", "no", "on", "off", "null", "y", "n"])


def write(value: Any, syntax: Syntax, node: Value) -> str:
    """A value as it has to be written where its placeholder stands, so that it changes nothing else."""
    if syntax != "json":
        value = legible_in(value)
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
            return "<br>".join(re.sub(r"(\\*)\|", r"\1\1\\|", said).split("\n"))
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
