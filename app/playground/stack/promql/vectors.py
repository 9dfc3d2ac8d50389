"""Vectors: samples with labels, joined by operators and gathered by aggregations."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from app.playground.stack.promql.functions import quantile
from app.playground.stack.promql.refused import BadQuery
from app.playground.stack.promql.syntax import Aggregation, Binary

Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Sample:
    """One element of a vector: its labels (`__name__` among them) and its value."""

    labels: Mapping[str, str]
    value: float

    @property
    def key(self) -> Key:
        return tuple(sorted(self.labels.items()))

    def without_name(self) -> Mapping[str, str]:
        return {label: value for label, value in self.labels.items() if label != "__name__"}


Vector = list[Sample]


def _divided(left: float, right: float) -> float:
    if right:
        return left / right
    return (
        math.nan if left == 0 or math.isnan(left) else math.copysign(math.inf, left) * math.copysign(1, right)
    )


def _raised(left: float, right: float) -> float:
    try:
        return math.pow(left, right)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.nan


def _rest(left: float, right: float) -> float:
    return math.fmod(left, right) if right and math.isfinite(left) else math.nan


ARITHMETIC: Mapping[str, Callable[[float, float], float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divided,
    "%": _rest,
    "^": _raised,
}
COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def of_scalars(node: Binary, left: float, right: float) -> float:
    if node.operator in COMPARISONS:
        return float(COMPARISONS[node.operator](left, right))
    return ARITHMETIC[node.operator](left, right)


def _combined(node: Binary, left: float, right: float, kept: float) -> float | None:
    """None when a comparison drops the element; `kept` is its value when it does not."""
    if node.operator in ARITHMETIC:
        return ARITHMETIC[node.operator](left, right)
    holds = COMPARISONS[node.operator](left, right)
    if node.as_bool:
        return float(holds)
    return kept if holds else None


def _drops_name(node: Binary) -> bool:
    return node.operator in ARITHMETIC or node.as_bool


def with_scalar(node: Binary, vector: Vector, scalar: float, *, vector_left: bool) -> Vector:
    found = []
    for sample in vector:
        left, right = (sample.value, scalar) if vector_left else (scalar, sample.value)
        value = _combined(node, left, right, sample.value)
        if value is not None:
            found.append(Sample(sample.without_name() if _drops_name(node) else sample.labels, value))
    return found


def _signature(node: Binary, labels: Mapping[str, str]) -> Key:
    """What two elements must have in common to be a pair."""
    named = node.labels or ()
    if node.on:
        return tuple((label, labels[label]) for label in sorted(named) if labels.get(label))
    dropped = {"__name__", *named}
    return tuple(sorted((label, value) for label, value in labels.items() if label not in dropped))


def paired(node: Binary, left: Vector, right: Vector) -> Vector:
    """Arithmetic and comparison, one element with one.

    Raises:
        BadQuery: when an element has several partners.
    """
    partners: dict[Key, Sample] = {}
    for sample in right:
        if partners.setdefault(_signature(node, sample.labels), sample) is not sample:
            raise BadQuery(
                "found duplicate series for the match group on the right hand-side of the operation; "
                "many-to-many matching not allowed: matching labels must be unique on one side"
            )
    found, seen = [], set()
    for sample in left:
        signature = _signature(node, sample.labels)
        if (partner := partners.get(signature)) is None:
            continue
        value = _combined(node, sample.value, partner.value, sample.value)
        if value is None:
            continue
        if signature in seen:
            raise BadQuery(
                "multiple matches for labels: many-to-one matching must be explicit "
                "(group_left/group_right), which this simulated Prometheus does not support"
            )
        seen.add(signature)
        found.append(Sample(_paired_labels(node, sample), value))
    return found


def _paired_labels(node: Binary, sample: Sample) -> Mapping[str, str]:
    labels = sample.without_name() if _drops_name(node) else sample.labels
    if node.labels is None:
        return labels
    return {name: value for name, value in labels.items() if (name in node.labels) == node.on}


def of_sets(node: Binary, left: Vector, right: Vector) -> Vector:
    there = {_signature(node, sample.labels) for sample in (left if node.operator == "or" else right)}
    if node.operator == "or":
        return left + [sample for sample in right if _signature(node, sample.labels) not in there]
    return [s for s in left if (_signature(node, s.labels) in there) == (node.operator == "and")]


def aggregated(node: Aggregation, vector: Vector, parameter: float) -> Vector:
    groups: dict[Key, Vector] = {}
    for sample in vector:
        groups.setdefault(_group(node, sample.labels), []).append(sample)
    if node.operator in ("topk", "bottomk"):
        picked = [_extremes(group, parameter, node.operator == "topk") for group in groups.values()]
        return [sample for group in picked for sample in group]
    return [
        Sample(dict(key), _gathered(node.operator, [sample.value for sample in group], parameter))
        for key, group in groups.items()
    ]


def _group(node: Aggregation, labels: Mapping[str, str]) -> Key:
    if node.without:
        dropped = {"__name__", *node.labels}
        return tuple(sorted(item for item in labels.items() if item[0] not in dropped))
    return tuple((label, labels[label]) for label in sorted(set(node.labels)) if labels.get(label))


def _extremes(group: Vector, count: float, largest: bool) -> Vector:
    """NaN is farthest from either end."""
    sign = -1 if largest else 1
    ordered = sorted(group, key=lambda each: (math.isnan(each.value), sign * each.value))
    return ordered[: max(int(count), 0)]


def _gathered(name: str, values: Sequence[float], parameter: float) -> float:
    numbers = [value for value in values if not math.isnan(value)]
    match name:
        case "sum":
            return _sum(values)
        case "avg":
            return _sum(values) / len(values)
        case "count":
            return float(len(values))
        case "max":
            return max(numbers, default=math.nan)
        case "min":
            return min(numbers, default=math.nan)
        case _:
            return quantile(parameter, values)


def _sum(values: Iterable[float]) -> float:
    """math.fsum refuses infinities of both signs; here they make NaN."""
    listed = list(values)
    return math.fsum(listed) if all(map(math.isfinite, listed)) else sum(listed)
