"""The evaluator on small series whose answers one can work out by hand, and what it refuses."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from app.playground.stack.promql import BadQuery, Matcher, Sample, Stored, evaluate, evaluate_range

TIMES = [float(at) for at in range(0, 601, 15)]


class Table:
    """A store of a few series."""

    def __init__(self, *series: Stored) -> None:
        self._series = series

    def select(self, matchers: Sequence[Matcher], start: float, end: float) -> list[Stored]:
        found = []
        for each in self._series:
            if all(matcher.fits(each.labels) for matcher in matchers):
                pairs = [(t, v) for t, v in zip(each.times, each.values, strict=True) if start <= t <= end]
                if pairs:
                    times, values = zip(*pairs, strict=True)
                    found.append(Stored(each.labels, times, values, each.ended))
        return found


def line(name: str, per_second: float = 1.0, ended: float | None = None, **labels: str) -> Stored:
    return Stored({"__name__": name, **labels}, TIMES, [1000 + at * per_second for at in TIMES], ended)


STORE = Table(
    line("hits", 2, service="a", status="200"),
    line("hits", 1, service="a", status="503"),
    line("hits", 4, service="b", status="200"),
    line("size", 0, service="a"),
    line("size", 0, service="b"),
    line("limit", 1, service="a"),
    line("dead", 0, 400.0, service="a"),
    Stored({"__name__": "reset"}, [0, 15, 30, 45, 60], [100, 130, 10, 40, 70]),
    *[
        Stored({"__name__": "took_bucket", "le": bound}, TIMES, [at * count for at in TIMES])
        for bound, count in (("0.1", 1), ("0.5", 3), ("1", 4), ("+Inf", 4))
    ],
)


def values(query: str, at: float = 600) -> dict[tuple[tuple[str, str], ...], float]:
    found = evaluate(query, STORE, at)
    assert isinstance(found, list)
    return {each.key: round(each.value, 9) for each in found if isinstance(each, Sample)}


def only(query: str, at: float = 600) -> float:
    found = list(values(query, at).values())
    assert len(found) == 1
    return found[0]


A, B = (("service", "a"),), (("service", "b"),)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum by (service) (rate(hits[5m]))", {A: 3, B: 4}),
        ("sum without (status) (rate(hits[5m]))", {A: 3, B: 4}),
        ("sum(rate(hits[5m])) by (service)", {A: 3, B: 4}),
        ('sum(rate(hits{status=~"5.."}[5m])) by (service) / sum(rate(hits[5m])) by (service)', {A: 1 / 3}),
        ("count by (service) (hits)", {A: 2, B: 1}),
        ("max by (service) (rate(hits[2m]))", {A: 2, B: 4}),
        ("sum by (service) (rate(hits[5m])) > 3", {B: 4}),
        ("sum by (service) (rate(hits[5m])) >bool 3", {A: 0, B: 1}),
        ("3 < sum by (service) (rate(hits[5m]))", {B: 4}),
        ("topk(1, sum by (service) (rate(hits[5m])))", {B: 4}),
        ("bottomk(1, sum by (service) (rate(hits[5m])))", {A: 3}),
        ("size / on (service) size", {A: 1, B: 1}),
        ("size + ignoring (status) size", {A: 2000, B: 2000}),
        ("-size", {A: -1000, B: -1000}),
        ("size * 0 + 2 ^ 3 ^ 0", {A: 2, B: 2}),
        ("size * 0 - 2 ^ 2", {A: -4, B: -4}),
        ("sum by (service) (size) and on (service) limit", {A: 1000}),
        ("sum by (service) (size) unless on (service) limit", {B: 1000}),
        ("sum by (service) (limit) or sum by (service) (size)", {A: 1600, B: 1000}),
        ("clamp_max(size, 7)", {A: 7, B: 7}),
        ("quantile by (service) (0.5, rate(hits[1m]))", {A: 1.5, B: 4}),
    ],
)
def test_a_query_gives_what_one_works_out_by_hand(query: str, expected: dict[object, float]) -> None:
    assert values(query) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum(increase(hits{service='b'}[5m]))", 1200),
        ("sum(irate(hits{service='b'}[5m]))", 4),
        ("avg(avg_over_time(limit[1m]))", 1570),
        ("max(max_over_time(limit[1m]))", 1600),
        ("min(min_over_time(limit[1m]))", 1540),
        ("sum(limit offset 5m)", 1300),
        ("sum(delta(limit[5m]))", 300),
        ("sum(deriv(limit[5m]))", 1),
        ("count(hits)", 3),
        ("histogram_quantile(0.5, rate(took_bucket[5m]))", 0.3),
        ("histogram_quantile(0.99, rate(took_bucket[5m]))", 0.98),
        ("scalar(limit) + vector(1)", 1601),
        ("absent(nothing)", 1),
        ("round(avg(limit) / 7, 0.5)", 228.5),
    ],
)
def test_a_query_gives_one_number(query: str, expected: float) -> None:
    assert only(query) == pytest.approx(expected)


def test_a_counter_that_falls_began_again_at_zero() -> None:
    # 30 to 130, then 10, 30 and 30 more: a hundred in the 60 seconds that samples cover.
    assert only("increase(reset[1m])", at=60) == pytest.approx(100)


def test_a_sample_older_than_five_minutes_is_not_shown() -> None:
    assert values("limit", at=890)
    assert not values("limit", at=910)


def test_a_series_that_has_ended_is_gone_at_once() -> None:
    assert values("dead", at=399)
    assert not values("dead", at=401)


def test_a_range_query_gives_a_point_at_every_step() -> None:
    found = evaluate_range("sum by (service) (rate(hits[1m]))", STORE, 300, 600, 60)
    assert [(dict(each.labels), len(each.points)) for each in found] == [
        ({"service": "a"}, 6),
        ({"service": "b"}, 6),
    ]
    assert found[0].points[0] == (300, pytest.approx(3))


def test_a_scalar_over_a_range_is_one_line_without_labels() -> None:
    found = evaluate_range("1 + 1", STORE, 0, 60, 30)
    assert [(each.labels, each.points) for each in found] == [({}, [(0, 2), (30, 2), (60, 2)])]


def test_division_by_nothing_is_infinite_and_of_nothing_no_number() -> None:
    assert evaluate("1 / 0", STORE, 0) == math.inf
    assert math.isnan(evaluate("0 / 0", STORE, 0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", "unexpected end of input"),
        ("sum(", "unexpected end of input"),
        ("hits{service=a}", "quoted"),
        ('{service=~".*"}', "non-empty matcher"),
        ("hits[5m]]", "unexpected ']'"),
        ("rate(hits)", "expected type range vector"),
        ("hits[5m] + 1", "only scalar and instant vector"),
        ("sum(1)", "expected type instant vector"),
        ("1 > 2", "BOOL"),
        ("predict_linear(hits[5m], 60)", "predict_linear"),
        ('label_replace(hits, "a", "b", "c", "d")', "label_replace"),
        ("max_over_time(rate(hits[5m])[1h:1m])", "subquery"),
        ("hits @ 100", "@ modifier"),
        ("size / on (service) group_left limit", "group_left"),
        ("stddev(hits)", "stddev"),
        ('hits{service=~"("}', "invalid regular expression"),
        ("size / on () hits", "many-to-many"),
        ("sum(hits, hits)", "wrong number of arguments"),
        ("hits offset 0s", "greater than 0"),
        ("histogram_quantile(took_bucket)", "expected 2 argument"),
        ("ä", "unexpected character"),
        ("(" * 200 + "1" + ")" * 200, "nested too deeply"),
    ],
)
def test_what_cannot_be_answered_is_refused_by_name(query: str, names: str) -> None:
    with pytest.raises(BadQuery) as refused:
        evaluate(query, STORE, 600)
    assert names in refused.value.sentence


def test_too_many_points_are_refused() -> None:
    with pytest.raises(BadQuery, match="11,000"):
        evaluate_range("up", STORE, 0, 12_000, 1)
