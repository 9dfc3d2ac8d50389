"""What orders a delivery, and what only speaks of one."""

from __future__ import annotations

import pytest

from app.conversations.ordering import (
    Order,
    confirms,
    declines,
    is_about_knowledge,
    order_in,
    repo_words,
)

HERE = Order("pull_request")
PAGE = Order("notion_page")


@pytest.mark.parametrize(
    ("words", "order"),
    [
        ("open a pull request", HERE),
        ("Please open a PR!", HERE),
        ("ok, can you open a pull request with it please?", HERE),
        ("thanks! now create a pull-request for these", HERE),
        ("let's make it a PR", HERE),
        ("PR please", HERE),
        ("open a pull request in the repo", HERE),
        ("raise a PR to the service's repo", HERE),
        ("open it as a pull request", HERE),
        ("open a pull request in the knowledge repo", Order("pull_request", "the knowledge repo")),
        ("send a PR to acme/checkout", Order("pull_request", "acme/checkout")),
        ("open a PR in payments, please", Order("pull_request", "payments")),
        ("put it in Notion", PAGE),
        ("could you save this as a draft page in notion?", PAGE),
        ("make a notion page", PAGE),
        ("create a draft page in Notion please", PAGE),
        ("export the file to notion.", PAGE),
        # only spoken of
        ("what is a pull request?", None),
        ("did you open a pull request", None),
        ("who reviews the PR?", None),
        ("the PR is open, and checkout still answers 500", None),
        ("don't open a pull request", None),
        ("open a pull request and then page me", None),
        ("where in Notion is the runbook?", None),
        ("we put it in notion last week", None),
        ("open a pull request " + "x" * 300, None),
    ],
)
def test_an_order(words: str, order: Order | None) -> None:
    assert order_in(words) == order


@pytest.mark.parametrize(
    "words", ["yes", "Yes!", "yes please", "open it", "confirm", "put it there", "go ahead"]
)
def test_a_yes(words: str) -> None:
    assert confirms(words)
    assert not declines(words)


@pytest.mark.parametrize("words", ["no", "No, thanks", "leave it", "don't", "never mind", "cancel"])
def test_a_no(words: str) -> None:
    assert declines(words)
    assert not confirms(words)


@pytest.mark.parametrize(
    "words", ["yes, but first tell me why", "yesterday it was open", "nothing", "99.9", "open the door"]
)
def test_neither(words: str) -> None:
    assert not confirms(words)
    assert not declines(words)


@pytest.mark.parametrize(
    ("where", "name"),
    [
        ("the checkout repo", "checkout"),
        ("checkout's repository", "checkout"),
        ("payments", "payments"),
        ("our payments service repo", "payments"),
        ("acme/checkout", "acme/checkout"),
        ("", ""),
    ],
)
def test_the_service_that_is_named(where: str, name: str) -> None:
    assert repo_words(where) == name
    assert not is_about_knowledge(where)


@pytest.mark.parametrize(
    "where", ["the knowledge repo", "knowledge", "our knowledge base", "knowledge repository"]
)
def test_the_knowledge_repo(where: str) -> None:
    assert is_about_knowledge(where)
