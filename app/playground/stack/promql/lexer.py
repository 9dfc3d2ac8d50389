"""A query cut into tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.playground.stack.promql.refused import BadQuery

UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0, "w": 604_800.0, "y": 31_536_000.0}
DURATION = r"(?:\d+(?:ms|[smhdwy]))+"
TOKEN = re.compile(
    rf"""
    (?P<blank>\s+|\#[^\n]*)
  | (?P<duration>{DURATION}(?![\w.]))
  | (?P<number>0x[0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)
  | (?P<name>[a-zA-Z_:][\w:]*)
  | (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
  | (?P<mark>=~|!~|==|!=|>=|<=|[=<>+\-*/%^(){{}}\[\],:@])
    """,
    re.VERBOSE,
)
ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|[0-7]{3}|.)", re.DOTALL)
SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


@dataclass(frozen=True)
class Token:
    """`kind` is duration, number, name, text, mark or end; the value of a text is without its quotes."""

    kind: str
    value: str
    place: int


def tokens(query: str) -> list[Token]:
    """All tokens and an `end`.

    Raises:
        BadQuery: at a character that begins no token.
    """
    found: list[Token] = []
    place = 0
    while place < len(query):
        match = TOKEN.match(query, place)
        if match is None:
            raise BadQuery.at(query, place, f"unexpected character: {query[place]!r}")
        kind = match.lastgroup or ""
        if kind == "text":
            found.append(Token(kind, _unquoted(match.group()), place))
        elif kind != "blank":
            found.append(Token(kind, match.group(), place))
        place = match.end()
    return [*found, Token("end", "", place)]


def seconds(duration: str) -> float:
    """`1h30m` → 5400."""
    return sum(float(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)(ms|[smhdwy])", duration))


def _unquoted(text: str) -> str:
    return text[1:-1] if text[0] == "`" else ESCAPE.sub(_unescaped, text[1:-1])


def _unescaped(match: re.Match[str]) -> str:
    what = match.group(1)
    if what[0] in "xu" and len(what) > 1:
        return chr(int(what[1:], 16))
    return chr(int(what, 8)) if len(what) == 3 else SIMPLE.get(what, what)
