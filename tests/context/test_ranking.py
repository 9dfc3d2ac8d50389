"""Which of some sections answers a question best."""

from __future__ import annotations

import pytest

from app.context.ranking import scores, stem, stems, terms

PASSAGES = {
    "Launch checklist": "Load test, dashboards, an on-call rota and a rollback plan.",
    "HighErrorRate": "Look at the newest deployment first, then at payments.",
    "Owners": "Team storefront. The pager is theirs.",
    "Timeouts": "800 ms for each call to payments, two retries.",
    "History": "It was one program once. It was rewritten and it was split.",
}


def best(question: str) -> str | None:
    totals = scores(stems(question), [terms(text, heading) for heading, text in PASSAGES.items()])
    top = max(totals)
    return list(PASSAGES)[totals.index(top)] if top > 0 else None


@pytest.mark.parametrize(
    ("question", "heading"),
    [
        ("what do we need before launching?", "Launch checklist"),
        ("is it production ready?", "Launch checklist"),
        ("high_error_rate fired", "HighErrorRate"),
        ("HighErrorRate", "HighErrorRate"),
        ("who owns this", "Owners"),
        ("what is the timeout towards payments", "Timeouts"),
        ("how often does it retry", "Timeouts"),
        ("когда релиз", None),
        ("what is it for", None),
        ("", None),
    ],
)
def test_the_best_section_shares_the_telling_words(question: str, heading: str | None) -> None:
    assert best(question) == heading


def test_words_that_tell_nothing_here_are_ignored() -> None:
    passages = [terms("checkout checkout checkout", "Checkout"), terms("the timeout of checkout", "Calls")]
    totals = scores(stems("checkout timeout"), passages, ignoring={stem("checkout")})
    assert totals[0] == 0
    assert totals[1] > 0


def test_a_rare_word_outweighs_a_common_one() -> None:
    passages = [terms("alert alert alert", ""), terms("alert burn", ""), terms("alert", "")]
    totals = scores(stems("alert burn"), passages)
    assert totals.index(max(totals)) == 1


def test_nothing_to_rank_is_nothing() -> None:
    assert scores(["alert"], []) == []
    assert scores(["alert"], [terms("", "")]) == [0.0]


@pytest.mark.parametrize(
    "family",
    [
        ("alert", "alerts", "alerting", "alerted"),
        ("dependency", "dependencies"),
        ("page", "pages", "paging", "paged"),
        ("class",),
        ("status",),
    ],
)
def test_forms_of_one_word_are_one_term(family: tuple[str, ...]) -> None:
    assert len({stem(word) for word in family}) == 1
