"""A value that a model has read counts at once only where the person has said it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.workflows.document import Choice, Field
from app.workflows.grounding import is_said
from app.workflows.templates import parse
from app.workflows.values import anything

FORMATS = (Choice("datadog", "Datadog SLO"), Choice("prometheus", "Prometheus rules"))
KNOWN = {"checkout": "checkout", "cart-checkout": "checkout", "the cart": "checkout", "payments": "payments"}


def field(type: Any, **more: Any) -> Field:
    return Field("x", parse("What?"), type, **more)


@pytest.mark.parametrize(
    ("type", "value", "message"),
    [
        ("number", "1200", "we see about 1,200 requests"),
        ("percent", "99.5", "99,50 would do, I would say"),
        ("percent", "99.9 %", "for pay it is 99.9, search may be less"),
        ("duration", "300ms", "It must not take longer than 300 milliseconds, please"),
        ("duration", "0.3s", "never above 300ms"),
        ("duration", "90m", "give it 1 hour and 30 minutes"),
        ("text", "revert the deploy", "First you revert that deploy, then you call me"),
        (
            "text",
            "Checkout takes the money of a cart.",
            "checkout takes the money of carts, and nothing else",
        ),
        ("text", "flag v2.1 of ACME-7", "It is the flag v2.1, which came with acme-7"),
        ("list", "PostgreSQL, card network", "There is PostgreSQL and then the card network of course"),
        ("yes_no", "true", "Oh yes, two of them"),
        ("yes_no", "no", "I would say no"),
    ],
)
def test_what_the_person_has_said_counts(type: Any, value: str, message: str) -> None:
    assert is_said(field(type), value, message, anything)


@pytest.mark.parametrize(
    ("type", "value", "message"),
    [
        ("number", "2500", "some 2.5k requests"),
        ("percent", "99.9", "three nines"),
        ("percent", "99.9", "99 for p99.9 of them, 9 or 9.9"),
        ("duration", "500ms", "half a second"),
        ("duration", "5s", "5 or so"),
        ("duration", "30m", "30 seconds"),
        ("text", "call Alice", "call the one who is on call"),
        ("text", "switch off v2", "switch off v21"),
        ("text", "never roll back", "roll back"),
        ("list", "pay, search", "people pay"),
        ("list", "none", "I can think of the database"),
        ("yes_no", "yes", "it adds a column"),
        ("yes_no", "no", "yes, it does"),
        ("number", "many", "many"),
    ],
)
def test_what_nobody_has_said_does_not(type: Any, value: str, message: str) -> None:
    assert not is_said(field(type), value, message, anything)


@pytest.mark.parametrize(
    ("value", "message", "said"),
    [
        ("datadog", "we left Prometheus, so hand it over for Datadog", True),
        ("prometheus", "some prometheus rules would be good", True),
        ("datadog", "the first one of them", False),
        ("prometheus", "the thing with the dog", False),
    ],
)
def test_a_choice_is_said_by_its_value_or_its_label(value: str, message: str, said: bool) -> None:
    assert is_said(field("choice", choices=FORMATS), value, message, anything) is said
    assert is_said(field("list", choices=FORMATS), value, message, anything) is said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("it is about the cart, as always", True),
        ("“Cart-Checkout” is what they call it", True),
        ("it is about payments", False),
        ("the one we spoke of", False),
    ],
)
def test_a_service_is_said_by_any_of_its_names(message: str, said: bool) -> None:
    def services(name: str) -> str | None:
        return KNOWN.get(name.casefold())

    assert is_said(field("service"), "checkout", message, services) is said


@given(st.text(max_size=200))
def test_a_message_has_said_itself(text: str) -> None:
    value = " ".join(text.split())
    assert is_said(field("text"), value, text, anything) or not value.strip("\"'“”` ")


@given(st.integers(0, 10**6), st.text(alphabet="abc .,%", max_size=20))
def test_a_figure_that_is_not_in_a_message_is_never_said(figure: int, message: str) -> None:
    assert not is_said(field("number"), str(figure), message, anything)
