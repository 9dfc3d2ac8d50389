"""Computes a query over a store, at one moment or along steps."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.playground.stack.promql.functions import (
    KEEPS_NAME,
    OVER_TIME,
    SIMPLE,
    WITH_LIMITS,
    Window,
    from_buckets,
    quantile,
)
from app.playground.stack.promql.kinds import kind
from app.playground.stack.promql.parser import SETS, parse
from app.playground.stack.promql.refused import BadQuery
from app.playground.stack.promql.store import Store, Stored
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
from app.playground.stack.promql.vectors import (
    Key,
    Sample,
    Vector,
    aggregated,
    of_scalars,
    of_sets,
    paired,
    with_scalar,
)

LOOKBACK = 300.0
MOST_POINTS = 11_000
"""Prometheus's own limit on the points of a series in one answer."""


@dataclass(frozen=True)
class Stretch:
    """A series of an answer over a range."""

    labels: Mapping[str, str]
    points: Sequence[tuple[float, float]]


Value = float | Vector | str | list[Stretch]


def evaluate(query: str, store: Store, at: float) -> Value:
    """The value of a query at one moment: a vector, a scalar, a text, or the samples of a range.

    Raises:
        BadQuery: with what is wrong.
    """
    node = parse(query)
    kind(node)
    run = _Run(store, at, at)
    if isinstance(node, Text):
        return node.value
    if isinstance(node, Selector) and node.range is not None:
        found = [(series, run.window(node, series, at)) for series in run.series(node)]
        return [
            Stretch(series.labels, list(zip(window.times, window.values, strict=True)))
            for series, window in found
            if window
        ]
    value = run.value(node, at)
    return _unique(value) if isinstance(value, list) else value


def evaluate_range(query: str, store: Store, start: float, end: float, step: float) -> list[Stretch]:
    """The value of a query at start, start + step … up to end.

    Raises:
        BadQuery: with what is wrong.
    """
    if (end - start) / step >= MOST_POINTS:
        raise BadQuery(
            "exceeded maximum resolution of 11,000 points per timeseries. "
            "Try decreasing the query resolution (?step=XX)"
        )
    node = parse(query)
    if (found := kind(node)) not in ("scalar", "instant vector"):
        raise BadQuery(f"invalid expression type {found!r} for range query, must be Scalar or instant Vector")
    run = _Run(store, start, end)
    lines: dict[Key, tuple[Mapping[str, str], list[tuple[float, float]]]] = {}
    for number in range(int((end - start) / step + 1e-9) + 1):
        at = round(start + number * step, 3)
        value = run.value(node, at)
        for sample in _unique(value) if isinstance(value, list) else [Sample({}, value)]:
            lines.setdefault(sample.key, (sample.labels, []))[1].append((at, sample.value))
    return [Stretch(*lines[key]) for key in sorted(lines)]


def _unique(vector: Vector) -> Vector:
    if len({sample.key for sample in vector}) < len(vector):
        raise BadQuery("vector cannot contain metrics with the same labelset")
    return vector


class _Run:
    """One evaluation. Each selector asks the store once, for all steps."""

    def __init__(self, store: Store, start: float, end: float) -> None:
        self._store = store
        self._start = start
        self._end = end
        self._found: dict[Selector, list[Stored]] = {}

    def series(self, node: Selector) -> list[Stored]:
        if node not in self._found:
            back = node.range if node.range is not None else LOOKBACK
            start, end = self._start - node.offset - back, self._end - node.offset
            self._found[node] = self._store.select(node.matchers, start, end)
        return self._found[node]

    def value(self, node: Node, at: float) -> float | Vector:
        match node:
            case Number():
                return node.value
            case Selector():
                return self._instant(node, at)
            case Negated():
                return self._negated(self.value(node.body, at))
            case Call():
                return self._call(node, at)
            case Aggregation():
                parameter = self._scalar(node.parameter, at) if node.parameter else math.nan
                return aggregated(node, self._vector(node.body, at), parameter)
            case Binary():
                return self._binary(node, at)
            case Text():
                raise BadQuery("a text is no number")

    def _vector(self, node: Node, at: float) -> Vector:
        value = self.value(node, at)
        assert isinstance(value, list)
        return value

    def _scalar(self, node: Node, at: float) -> float:
        value = self.value(node, at)
        assert isinstance(value, float)
        return value

    # --- samples -----------------------------------------------------------------------------------------

    def _instant(self, node: Selector, at: float) -> Vector:
        """The last sample of each series that is not older than five minutes."""
        return [Sample(series.labels, value) for series, _, value in self._latest(node, at)]

    def _latest(self, node: Selector, at: float) -> list[tuple[Stored, float, float]]:
        moment = at - node.offset
        found = []
        for series in self.series(node):
            place = bisect_right(series.times, moment) - 1
            if place < 0 or series.times[place] < moment - LOOKBACK:
                continue
            if series.ended is None or moment < series.ended:
                found.append((series, series.times[place], series.values[place]))
        return found

    def window(self, node: Selector, series: Stored, at: float) -> Window | None:
        """The samples of a series in the range of a selector, both ends included."""
        assert node.range is not None
        end = at - node.offset
        start = end - node.range
        first, last = bisect_left(series.times, start), bisect_right(series.times, end)
        return (
            Window(series.times[first:last], series.values[first:last], start, end) if first < last else None
        )

    # --- functions ---------------------------------------------------------------------------------------

    def _call(self, node: Call, at: float) -> float | Vector:
        name, arguments = node.function, node.arguments
        if name in OVER_TIME or name == "quantile_over_time":
            return self._over_time(node, at)
        if name in SIMPLE:
            return [Sample(s.without_name(), SIMPLE[name](s.value)) for s in self._vector(arguments[0], at)]
        if name in WITH_LIMITS:
            limits = [self._scalar(argument, at) for argument in arguments[1:]]
            vector = self._vector(arguments[0], at)
            return [Sample(s.without_name(), WITH_LIMITS[name](s.value, *limits)) for s in vector]
        if name == "histogram_quantile":
            return _from_histograms(self._scalar(arguments[0], at), self._vector(arguments[1], at))
        return self._rest(node, at)

    def _over_time(self, node: Call, at: float) -> Vector:
        selector = node.arguments[-1]
        assert isinstance(selector, Selector)
        part = self._scalar(node.arguments[0], at) if node.function == "quantile_over_time" else 0.0
        found = []
        for series in self.series(selector):
            window = self.window(selector, series, at)
            if window is None:
                continue
            compute = OVER_TIME.get(node.function)
            value = compute(window) if compute else quantile(part, window.values)
            if value is not None:
                sample = Sample(series.labels, value)
                keeps = node.function in KEEPS_NAME
                found.append(sample if keeps else Sample(sample.without_name(), value))
        return found

    def _rest(self, node: Call, at: float) -> float | Vector:
        match node.function:
            case "time":
                return at
            case "vector":
                return [Sample({}, self._scalar(node.arguments[0], at))]
            case "timestamp":
                return self._timestamps(node.arguments[0], at)
            case _:
                return _of_vector(node, self._vector(node.arguments[0], at))

    def _timestamps(self, argument: Node, at: float) -> Vector:
        if isinstance(argument, Selector):
            latest = self._latest(argument, at)
            return [Sample(Sample(series.labels, 0).without_name(), when) for series, when, _ in latest]
        return [Sample(sample.without_name(), at) for sample in self._vector(argument, at)]

    # --- operators ---------------------------------------------------------------------------------------

    @staticmethod
    def _negated(value: float | Vector) -> float | Vector:
        if isinstance(value, float):
            return -value
        return [Sample(sample.without_name(), -sample.value) for sample in value]

    def _binary(self, node: Binary, at: float) -> float | Vector:
        left, right = self.value(node.left, at), self.value(node.right, at)
        if isinstance(left, list) and isinstance(right, list):
            return of_sets(node, left, right) if node.operator in SETS else paired(node, left, right)
        if isinstance(left, list):
            assert isinstance(right, float)
            return with_scalar(node, left, right, vector_left=True)
        if isinstance(right, list):
            return with_scalar(node, right, left, vector_left=False)
        return of_scalars(node, left, right)


def _from_histograms(part: float, vector: Vector) -> Vector:
    """One quantile for each set of labels besides `le`; buckets without a number there do not count."""
    groups: dict[Key, tuple[Mapping[str, str], list[tuple[float, float]]]] = {}
    for sample in vector:
        try:
            bound = float(sample.labels.get("le", ""))
        except ValueError:
            continue
        labels = {name: value for name, value in sample.without_name().items() if name != "le"}
        groups.setdefault(Sample(labels, 0).key, (labels, []))[1].append((bound, sample.value))
    return [Sample(labels, from_buckets(part, buckets)) for labels, buckets in groups.values()]


def _of_vector(node: Call, vector: Vector) -> float | Vector:
    """`scalar`, `absent` and the two ways to sort."""
    if node.function == "scalar":
        return vector[0].value if len(vector) == 1 else math.nan
    if node.function == "absent":
        return [] if vector else [Sample(_asked_for(node.arguments[0]), 1.0)]
    return sorted(vector, key=lambda each: each.value, reverse=node.function == "sort_desc")


def _asked_for(node: Node) -> Mapping[str, str]:
    """The labels a selector fixes, for what `absent` answers."""
    if not isinstance(node, Selector):
        return {}
    equal = [matcher for matcher in node.matchers if matcher.operator == "=" and matcher.label != "__name__"]
    return {matcher.label: matcher.value for matcher in equal}
