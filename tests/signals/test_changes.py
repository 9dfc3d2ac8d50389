"""Change points: found where a level really changed, and nowhere else."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.signals.changes import shift, shifts
from app.signals.models import Series

MINUTE = 60.0


def series(*values: float, step: float = MINUTE) -> Series:
    return Series("latency", tuple((index * step, value) for index, value in enumerate(values)))


def noisy(*parts: tuple[int, float], spread: float = 0.05, seed: int = 1) -> Series:
    chance = random.Random(seed)
    return series(*(level * (1 + chance.gauss(0, spread)) for count, level in parts for _ in range(count)))


def test_a_step_is_found_where_it_is() -> None:
    found = shift(noisy((40, 100), (20, 300)))
    assert found is not None
    assert found.at == 40 * MINUTE
    assert found.direction == "up"
    assert found.before == pytest.approx(100, rel=0.1)
    assert found.after == pytest.approx(300, rel=0.1)
    assert found.ratio == pytest.approx(3, rel=0.2)


def test_a_fall_points_down() -> None:
    found = shift(noisy((40, 100), (20, 30)))
    assert found is not None
    assert found.direction == "down"


def test_a_step_three_points_ago_is_found() -> None:
    found = shift(noisy((57, 100), (3, 300)))
    assert found is not None
    assert found.at == 57 * MINUTE


@pytest.mark.parametrize("seed", range(20))
def test_noise_alone_has_no_change(seed: int) -> None:
    assert shift(noisy((90, 100), spread=0.2, seed=seed)) is None


def test_one_wild_point_is_no_change() -> None:
    values = [100.0 + index % 3 for index in range(60)]
    values[30] = 10_000
    assert shift(series(*values)) is None


def test_a_series_that_never_moves_has_no_change() -> None:
    assert shift(series(*[5.0] * 60)) is None


def test_a_quiet_series_does_not_make_a_wiggle_a_change() -> None:
    assert shift(series(*[100.0] * 30, *[101.0] * 30)) is None


def test_errors_from_nothing_are_a_change_of_finite_size() -> None:
    found = shift(series(*[0.0] * 30, *[0.3] * 10))
    assert found is not None
    assert found.size <= 100
    assert found.ratio == math.inf


def test_of_an_incident_that_is_over_the_beginning_is_told() -> None:
    found = shift(noisy((30, 100), (15, 400), (30, 100)))
    assert found is not None
    assert found.at == 30 * MINUTE
    assert found.direction == "up"


def test_every_change_of_level_is_told_in_order() -> None:
    found = shifts(noisy((30, 100), (15, 400), (30, 100)).points)
    assert [each.direction for each in found] == ["up", "down"]


def test_with_the_split_given_both_sides_are_compared_whatever_the_size() -> None:
    found = shift(series(*[100.0] * 5, *[101.0] * 5), at=5 * MINUTE)
    assert found is not None
    assert found.size == pytest.approx(1 / 2.02)
    assert shift(series(1.0, 2.0), at=-1.0) is None
    assert shift(series(1.0, 2.0), at=1e9) is None


def test_points_outside_the_window_do_not_count() -> None:
    assert shift(noisy((40, 100), (20, 300)), until=39 * MINUTE) is None
    assert shift(noisy((40, 100), (20, 300)), since=41 * MINUTE) is None


def test_what_is_not_a_number_is_passed_over() -> None:
    values = [100.0 + index % 3 for index in range(30)] + [math.nan] * 5 + [300.0 + i % 3 for i in range(30)]
    found = shift(series(*values))
    assert found is not None
    assert found.at == 35 * MINUTE


@given(st.lists(st.floats(), max_size=60), st.one_of(st.none(), st.floats(0, 3600)))
def test_any_series_has_a_change_of_bounded_size_or_none(values: list[float], at: float | None) -> None:
    found = shift(series(*values), at=at)
    assert found is None or 0 <= found.size <= 100


@given(st.lists(st.floats(-1e6, 1e6), min_size=8, max_size=60), st.floats(0.01, 1000))
def test_the_unit_of_a_series_changes_nothing(values: list[float], factor: float) -> None:
    plain, scaled = shift(series(*values)), shift(series(*(value * factor for value in values)))
    if plain is not None and 4.1 < plain.size < 99:
        assert scaled is not None
        assert scaled.at == plain.at
