"""Reads a query: recursive descent with the precedences of Prometheus (`or` binds least, `^` most)."""

from __future__ import annotations

from dataclasses import replace

from app.playground.stack.promql.functions import ARGUMENTS
from app.playground.stack.promql.lexer import Token, seconds, tokens
from app.playground.stack.promql.refused import BadQuery
from app.playground.stack.promql.store import Matcher
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

PRECEDENCE = (
    ("or",),
    ("and", "unless"),
    ("==", "!=", "<=", "<", ">=", ">"),
    ("+", "-"),
    ("*", "/", "%"),
)
COMPARISONS = frozenset(PRECEDENCE[2])
SETS = frozenset(("or", "and", "unless"))
AGGREGATIONS = frozenset(("sum", "avg", "max", "min", "count", "topk", "bottomk", "quantile"))
WITH_PARAMETER = frozenset(("topk", "bottomk", "quantile"))
NOT_HERE = frozenset(("stddev", "stdvar", "group", "count_values", "limitk", "atan2"))
DEEPEST = 60


def parse(query: str) -> Node:
    """The tree of a query.

    Raises:
        BadQuery: for what cannot be read or is not supported; says which.
    """
    reader = _Reader(query)
    node = reader.expression(0)
    reader.expect_end()
    return node


class _Reader:
    def __init__(self, query: str) -> None:
        self._query = query
        self._tokens = tokens(query)
        self._next = 0
        self._depth = 0

    # --- moving along ------------------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self) -> Token:
        token = self._token
        self._next += 1
        return token

    def _sees(self, *values: str) -> bool:
        return self._token.kind in ("mark", "name") and self._token.value in values

    def _accept(self, value: str) -> bool:
        if self._sees(value):
            self._next += 1
            return True
        return False

    def _expect(self, value: str) -> None:
        if not self._accept(value):
            raise self._unexpected(f"expected {value!r}")

    def expect_end(self) -> None:
        if self._token.kind != "end":
            raise self._unexpected("expected the end or an operator")

    def _unexpected(self, wanted: str) -> BadQuery:
        seen = "end of input" if self._token.kind == "end" else repr(self._token.value)
        return BadQuery.at(self._query, self._token.place, f"unexpected {seen}, {wanted}")

    def _unsupported(self, what: str, token: Token | None = None) -> BadQuery:
        place = (token or self._token).place
        return BadQuery.at(self._query, place, f"{what} is not supported by this simulated Prometheus")

    # --- expressions -------------------------------------------------------------------------------------

    def expression(self, level: int) -> Node:
        if level == len(PRECEDENCE):
            return self._unary()
        left = self.expression(level + 1)
        while self._sees(*PRECEDENCE[level]):
            operator = self._take().value
            as_bool, labels, on = self._matching(operator)
            left = Binary(operator, left, self.expression(level + 1), as_bool, labels, on)
        if self._sees("atan2"):
            raise self._unsupported("atan2")
        return left

    def _matching(self, operator: str) -> tuple[bool, tuple[str, ...] | None, bool]:
        """What may stand between an operator and its right side: bool, on(…), ignoring(…)."""
        as_bool = self._accept("bool")
        if as_bool and operator not in COMPARISONS:
            raise self._unexpected("bool goes with comparisons only")
        labels, on = None, False
        if self._sees("on", "ignoring"):
            on = self._take().value == "on"
            labels = self._label_list()
        if self._sees("group_left", "group_right"):
            raise self._unsupported(self._token.value)
        return as_bool, labels, on

    def _unary(self) -> Node:
        """A sign binds less than ^, so -2^2 is -4."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise BadQuery.at(self._query, self._token.place, "nested too deeply")
        try:
            if self._accept("-"):
                return Negated(self._unary())
            if self._accept("+"):
                return self._unary()
            base = self._postfix()
            return Binary("^", base, self._unary()) if self._accept("^") else base
        finally:
            self._depth -= 1

    def _postfix(self) -> Node:
        """A primary with what may follow it: a range, an offset."""
        begin = self._token
        node = self._primary()
        if self._sees("["):
            node = self._ranged(node, begin)
        if self._sees("offset"):
            token = self._take()
            sign = -1 if self._accept("-") else 1
            if not isinstance(node, Selector):
                raise self._unsupported("offset of anything but a selector", token)
            node = replace(node, offset=sign * self._duration())
        if self._sees("@"):
            raise self._unsupported("the @ modifier")
        return node

    def _ranged(self, node: Node, begin: Token) -> Node:
        self._expect("[")
        length = self._duration()
        if self._sees(":") or (self._token.kind == "name" and self._token.value.startswith(":")):
            raise self._unsupported("a subquery")
        if not isinstance(node, Selector) or node.range is not None:
            raise BadQuery.at(self._query, begin.place, "ranges only allowed for vector selectors")
        self._expect("]")
        return replace(node, range=length)

    def _duration(self) -> float:
        if self._token.kind != "duration":
            raise self._unexpected("expected a duration such as 5m")
        length = seconds(self._token.value)
        if length <= 0:
            raise self._unexpected("expected a duration greater than 0")
        self._next += 1
        return length

    def _primary(self) -> Node:
        token = self._token
        if token.kind == "number":
            self._next += 1
            return Number(float(int(token.value, 16)) if token.value.startswith("0x") else float(token.value))
        if token.kind == "text":
            self._next += 1
            return Text(token.value)
        if self._accept("("):
            node = self.expression(0)
            self._expect(")")
            return node
        if self._sees("{"):
            return self._selector(None)
        if token.kind == "name":
            return self._named()
        raise self._unexpected("expected an expression")

    def _named(self) -> Node:
        token = self._take()
        name = token.value
        if name.lower() in ("inf", "nan") and not self._sees("("):
            return Number(float(name))
        if name in NOT_HERE and self._sees("(", "by", "without"):
            raise self._unsupported(name, token)
        if name in AGGREGATIONS and self._sees("(", "by", "without"):
            return self._aggregation(name)
        if self._sees("("):
            return self._call(name, token)
        return self._selector(name)

    # --- pieces ------------------------------------------------------------------------------------------

    def _aggregation(self, operator: str) -> Node:
        grouping = self._grouping()
        arguments = self._arguments()
        grouping = grouping or self._grouping()
        without, labels = grouping or (False, ())
        wanted = 2 if operator in WITH_PARAMETER else 1
        if len(arguments) != wanted:
            raise BadQuery(
                f"wrong number of arguments for {operator}: expected {wanted}, got {len(arguments)}"
            )
        parameter = arguments[0] if wanted == 2 else None
        return Aggregation(operator, arguments[-1], labels, without, parameter)

    def _grouping(self) -> tuple[bool, tuple[str, ...]] | None:
        if not self._sees("by", "without"):
            return None
        without = self._take().value == "without"
        return without, self._label_list()

    def _label_list(self) -> tuple[str, ...]:
        self._expect("(")
        labels: list[str] = []
        while not self._accept(")"):
            if self._token.kind != "name":
                raise self._unexpected("expected a label")
            labels.append(self._take().value)
            if not self._sees(")"):
                self._expect(",")
        return tuple(labels)

    def _call(self, name: str, token: Token) -> Node:
        if name not in ARGUMENTS:
            raise BadQuery.at(
                self._query,
                token.place,
                f"function {name!r} is unknown or not supported by this simulated Prometheus",
            )
        arguments = self._arguments()
        fewest, most = ARGUMENTS[name]
        if not fewest <= len(arguments) <= most:
            raise BadQuery.at(
                self._query,
                token.place,
                f"expected {most} argument(s) in call to {name!r}, got {len(arguments)}",
            )
        return Call(name, arguments)

    def _arguments(self) -> tuple[Node, ...]:
        self._expect("(")
        arguments: list[Node] = []
        while not self._accept(")"):
            arguments.append(self.expression(0))
            if not self._sees(")"):
                self._expect(",")
        return tuple(arguments)

    def _selector(self, name: str | None) -> Node:
        begin = self._token
        matchers = [Matcher("__name__", "=", name)] if name else []
        if self._accept("{"):
            while not self._accept("}"):
                matchers.append(self._matcher())
                if not self._sees("}"):
                    self._expect(",")
        if all(matcher.fits({}) for matcher in matchers):
            problem = "vector selector must contain at least one non-empty matcher"
            raise BadQuery.at(self._query, begin.place, problem)
        return Selector(tuple(matchers))

    def _matcher(self) -> Matcher:
        if self._token.kind != "name":
            raise self._unexpected("expected a label")
        label = self._take().value
        if not self._sees("=", "!=", "=~", "!~"):
            raise self._unexpected("expected one of = != =~ !~")
        operator = self._take().value
        if self._token.kind != "text":
            raise self._unexpected("expected a quoted value")
        return Matcher(label, operator, self._take().value)
