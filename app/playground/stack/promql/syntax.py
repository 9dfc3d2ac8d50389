"""The tree a query is read into. `place` is where in the text a node begins."""

from __future__ import annotations

from dataclasses import dataclass

from app.playground.stack.promql.store import Matcher


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Text:
    value: str


@dataclass(frozen=True)
class Selector:
    """An instant vector; with `range` (seconds) a range vector. `offset` looks back by seconds."""

    matchers: tuple[Matcher, ...]
    range: float | None = None
    offset: float = 0.0


@dataclass(frozen=True)
class Call:
    function: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True)
class Aggregation:
    """`labels` are kept, or dropped when `without`; `parameter` is the k of topk or the φ of quantile."""

    operator: str
    body: Node
    labels: tuple[str, ...] = ()
    without: bool = False
    parameter: Node | None = None


@dataclass(frozen=True)
class Negated:
    body: Node


@dataclass(frozen=True)
class Binary:
    """`labels` is None for matching on all labels; `on` says whether they are matched on or ignored."""

    operator: str
    left: Node
    right: Node
    as_bool: bool = False
    labels: tuple[str, ...] | None = None
    on: bool = False


Node = Number | Text | Selector | Call | Aggregation | Negated | Binary
