"""Log templates: lines that differ in numbers and names are one kind; new and rising kinds come first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.signals.models import LogLine
from app.signals.templates import templates


def lines(*texts: str, start: float = 0.0, service: str = "payments", level: str = "info") -> list[LogLine]:
    return [LogLine(start + index, text, service, level) for index, text in enumerate(texts)]


def test_lines_that_differ_in_numbers_are_one_template() -> None:
    found = templates(lines(*(f"request {n} took {n * 3}ms" for n in range(10))))
    assert [(each.text, each.count) for each in found] == [("request <*> took <*>", 10)]


def test_words_that_differ_are_placeholders() -> None:
    found = templates(
        lines(*(f"user {name} logged in from the web" for name in ("ann", "bob", "eve", "joe")))
    )
    assert [(each.text, each.count) for each in found] == [("user <*> logged in from the web", 4)]


def test_services_and_levels_stay_apart() -> None:
    found = templates(
        [*lines("cannot connect", service="a", level="error"), *lines("cannot connect", service="b")]
    )
    assert {(each.service, each.level) for each in found} == {("a", "error"), ("b", "info")}


def test_what_appears_after_the_split_is_new_and_comes_first() -> None:
    usual = lines(*["request served"] * 100)
    found = templates(
        [*usual, *lines("connection refused by 10.0.0.7", start=80, level="error")], split_at=60
    )
    assert (found[0].text, found[0].is_new, found[0].first_at) == ("connection refused by <*>", True, 80)
    assert found[0].example == "connection refused by 10.0.0.7"
    assert (found[1].before, found[1].after, found[1].is_new, found[1].rising) == (60, 40, False, False)


def test_a_rate_that_triples_is_rising() -> None:
    before = [LogLine(at, "slow query", "db", "warn") for at in (0, 30, 60)]
    after = [LogLine(100 + at, "slow query", "db", "warn") for at in range(20)]
    (found,) = templates([*before, *after], split_at=100)
    assert found.rising
    assert not found.is_new


def test_without_a_split_nothing_is_new() -> None:
    (found,) = templates(lines("hello"))
    assert not found.is_new
    assert not found.rising


def test_nothing_is_new_when_nothing_was_read_before() -> None:
    (found,) = templates(lines("hello", start=100), split_at=50)
    assert not found.is_new


def test_no_lines_have_no_templates() -> None:
    assert templates([]) == ()


def test_the_most_that_are_wanted_are_told() -> None:
    assert len(templates(lines("one thing", "another matter entirely", "x"), most=2)) == 2


@given(
    st.lists(
        st.builds(
            LogLine,
            at=st.floats(0, 1e9),
            text=st.text(max_size=40),
            service=st.sampled_from([None, "a", "b"]),
            level=st.sampled_from(["", "error"]),
        ),
        max_size=30,
    ),
    st.one_of(st.none(), st.floats(0, 1e9)),
    st.randoms(use_true_random=False),
)
def test_every_line_is_counted_once_in_whatever_order_they_come(found_lines, split_at, chance) -> None:
    found = templates(found_lines, split_at)
    assert sum(each.count for each in found) == len(found_lines)
    assert all(each.before + each.after == each.count for each in found)
    chance.shuffle(found_lines)
    assert templates(found_lines, split_at) == found
