"""What an answer is worth: values by type, and refusals with a reason and an example."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.workflows.document import FIELD_TYPES, Choice, Field
from app.workflows.in_words import seconds
from app.workflows.templates import Template
from app.workflows.values import Invalid, parse


def field(kind: str, **more: Any) -> Field:
    return Field("it", Template("", ()), kind, **more)  # type: ignore[arg-type]


OUTPUT = field("choice", choices=(Choice("datadog", "Datadog SLO"), Choice("prometheus", "Prometheus rules")))
LEVELS = field("choice", choices=(Choice("1", "critical"), Choice("3", "minor"), Choice("2", "major")))


@pytest.mark.parametrize(
    ("it", "said", "value"),
    [
        (field("text"), "  “Pay for the cart”  ", "Pay for the cart"),
        (field("number"), "250", 250),
        (field("number"), "about 1,200", 1200),
        (field("number", unit="requests/s"), "300.5 requests/s", 300.5),
        (field("number"), -3, -3),
        (field("percent"), "99.9", 99.9),
        (field("percent"), "99.9 %", 99.9),
        (field("percent"), "99,95%", 99.95),
        (field("percent"), "it's 99.99 percent", 99.99),
        (field("percent"), 100, 100),
        (field("duration"), "300ms", "300ms"),
        (field("duration"), "0.5 s", "500ms"),
        (field("duration"), "1 hour and 30 minutes", "90m"),
        (field("duration"), "120 seconds", "2m"),
        (field("duration"), "2 weeks", "14d"),
        (field("duration", unit="ms"), "250", "250ms"),
        (OUTPUT, "Prometheus", "prometheus"),
        (OUTPUT, "2", "prometheus"),
        (OUTPUT, "the Datadog one please", "datadog"),
        (OUTPUT, "prom", "prometheus"),
        (LEVELS, "3", "3"),
        (LEVELS, "major", "2"),
        (field("list"), "pay, search and log in", ["pay", "search", "log in"]),
        (field("list"), "- pay\n- search, by text\n- pay", ["pay", "search, by text"]),
        (field("list"), "1. pay\n2. search", ["pay", "search"]),
        (field("list"), ["a", "b"], ["a", "b"]),
        (
            field("list"),
            "test it (Ana, 1 March), and tell (Ben and Ana)",
            ["test it (Ana, 1 March)", "tell (Ben and Ana)"],
        ),
        (field("list"), "no, none and nothing", ["no", "none", "nothing"]),
        (field("list", required=False), "None of them.", []),
        (field("list", required=False), "nothing else", []),
        (field("list", required=False), "nothing but trouble", ["nothing but trouble"]),
        (field("list", required=False, choices=(Choice("none", "No cache"),)), "none", ["none"]),
        (field("list", choices=OUTPUT.choices), "both? no: Datadog, prometheus", ["datadog", "prometheus"]),
        (field("yes_no"), "Yes, it does", True),
        (field("yes_no"), "nope", False),
        (field("yes_no"), True, True),
        (field("service"), "checkout", "checkout"),
    ],
)
def test_an_answer_becomes_a_value(it: Field, said: Any, value: Any) -> None:
    assert parse(it, said) == value
    assert parse(it, parse(it, said)) == value  # what is shown back may be said again


@pytest.mark.parametrize(
    ("it", "said", "reason"),
    [
        (field("text"), "   ", "That is empty. For example: a sentence"),
        (field("text"), "x" * 8_001, "at most 8,000 are kept"),
        (field("text", maximum=10), "x" * 11, "A text of 11 characters is above 10 characters"),
        (field("number", unit="ms"), "half a second", "I need a number in ms and could not read one"),
        (field("number"), "between 5 and 7", "I see several numbers there and need one"),
        (field("number", minimum=1, maximum=9), "10", "10 is above 9, the most there may be. For example: 1"),
        (field("number"), "1" + "0" * 20, "is more than I can reckon with"),
        (field("duration"), "1" + "0" * 20 + "w", "longer than I can reckon with"),
        (field("percent"), "120", "120 % is above 100 %, the most there may be"),
        (field("percent", minimum=90, example="99.9"), "9.9", "9.9 % is below 90 %, the least there may be. For example: 99.9"),
        (field("percent"), "very high", "I need a number in percent"),
        (field("percent"), "300ms", "I need a number in percent"),
        (field("duration"), "half a second", "I could not read a duration there; I know ms, s, m, h, d and w. For example: 300ms"),
        (field("duration"), "3 moons", "“moons” is no unit of time I know"),
        (field("duration"), "500", "I could not read a duration there"),
        (field("duration", maximum=3600), "2 h", "2h is above 1h, the most there may be"),
        (OUTPUT, "grafana", "Please choose one of these: datadog, prometheus. For example: datadog"),
        (OUTPUT, "3", "Please choose one of these"),
        (OUTPUT, "datadog or prometheus", "Please choose one of these"),
        (field("list"), ", ,", "That is empty"),
        (field("list"), "none", "At least one entry is needed. For example: pay, search, log in"),
        (field("list"), "\n".join(map(str, range(51))), "a list of 51; at most 50 are taken"),
        (field("list", minimum=2), "one", "A list of 1 is below 2 entries"),
        (field("yes_no"), "perhaps", "I need a yes or a no"),
        (field("service"), "my cat's blog", "I know no service “my cat's blog”"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_a_reason(it: Field, said: str, reason: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse(it, said)

    assert reason in refused.value.sentence
    assert "For example: " in refused.value.sentence or "shorter" in refused.value.sentence


def test_a_service_is_known_by_the_catalog() -> None:
    catalog = {"co": "checkout", "checkout": "checkout"}.get

    assert parse(field("service"), "co", catalog) == "checkout"
    with pytest.raises(Invalid, match="I know no service “cart”"):
        parse(field("service"), "cart", catalog)


@given(st.sampled_from([*map(field, FIELD_TYPES), OUTPUT]), st.text(max_size=300))
def test_whatever_is_said_is_a_value_or_is_refused(it: Field, said: str) -> None:
    try:
        value = parse(it, said)
    except Invalid:
        return
    assert value not in ("", [], None)
    assert parse(it, value) == value


@given(st.integers(min_value=1, max_value=10**12))
def test_a_duration_keeps_its_length(milliseconds: int) -> None:
    said = parse(field("duration"), f"{milliseconds}ms")

    assert round(seconds(said) * 1000) == milliseconds
