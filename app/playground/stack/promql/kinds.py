"""What kind of value each part of a query gives, checked before anything is computed."""

from __future__ import annotations

from typing import Literal

from app.playground.stack.promql.functions import OVER_TIME
from app.playground.stack.promql.refused import BadQuery
from app.playground.stack.promql.syntax import (
    Aggregation,
    Binary,
    Call,
    Negated,
    Node,
    Number,
    Selector,
    Text,
)

Kind = Literal["scalar", "string", "instant vector", "range vector"]
TAKES_SCALAR = {"vector": 0, "histogram_quantile": 0, "quantile_over_time": 0}
SETS = ("and", "or", "unless")
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def kind(node: Node) -> Kind:
    """The kind of a query's value.

    Raises:
        BadQuery: where a part is of another kind than its place wants.
    """
    if isinstance(node, Number | Text):
        return "scalar" if isinstance(node, Number) else "string"
    if isinstance(node, Selector):
        return "instant vector" if node.range is None else "range vector"
    if isinstance(node, Negated):
        return _number(node.body)
    if isinstance(node, Binary):
        return _binary(node)
    return _call(node) if isinstance(node, Call) else _aggregation(node)


def _aggregation(node: Aggregation) -> Kind:
    _wants(node.body, "instant vector", f"aggregation {node.operator}")
    if node.parameter is not None:
        _wants(node.parameter, "scalar", f"aggregation parameter of {node.operator}")
    return "instant vector"


def _number(node: Node) -> Kind:
    found = kind(node)
    if found not in ("scalar", "instant vector"):
        raise BadQuery(f"unary expression only allowed on scalar or instant vector, got {found}")
    return found


def _wants(node: Node, wanted: Kind, where: str) -> None:
    found = kind(node)
    if found != wanted:
        raise BadQuery(f"expected type {wanted} in {where}, got {found}")


def _call(node: Call) -> Kind:
    where = f"call to function {node.function!r}"
    for place, argument in enumerate(node.arguments):
        scalar = TAKES_SCALAR.get(node.function) == place or (
            place > 0 and node.function not in ("histogram_quantile", "quantile_over_time")
        )
        ranged = node.function in OVER_TIME or node.function == "quantile_over_time"
        _wants(argument, "scalar" if scalar else "range vector" if ranged else "instant vector", where)
    return "scalar" if node.function in ("time", "scalar") else "instant vector"


def _binary(node: Binary) -> Kind:
    sides = [kind(node.left), kind(node.right)]
    for side in sides:
        if side not in ("scalar", "instant vector"):
            raise BadQuery(f"binary expression must contain only scalar and instant vector types, got {side}")
    both = sides.count("instant vector") == 2
    if node.operator in SETS and not both:
        raise BadQuery(f"set operator {node.operator!r} not allowed in binary scalar expression")
    if node.labels is not None and not both:
        raise BadQuery("vector matching only allowed between instant vectors")
    if node.operator in COMPARISONS and sides == ["scalar", "scalar"] and not node.as_bool:
        raise BadQuery("comparisons between scalars must use BOOL modifier")
    return "instant vector" if "instant vector" in sides else "scalar"
