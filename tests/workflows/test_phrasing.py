"""What of a model's prose is shown: nothing that asks, links, or names a figure that nobody has said."""

from __future__ import annotations

import pytest

from app.workflows.actions import Ask
from app.workflows.phrasing import Drafted, WayIn, draft, has_matter, prompt, way_in
from tests.workflows.play import Play, sample
from tests.workflows.test_engine import at_targets

TOLD = "Availability was 99.95 % in 30 days. Nobody pays without it."


@pytest.mark.parametrize(
    "text", ["Over 30 days it was 99.95 %. That is the baseline.", "Users feel journeys first.", ""]
)
def test_a_sentence_or_two_lead_to_a_question(text: str) -> None:
    assert way_in(WayIn(text=text), TOLD) == text


@pytest.mark.parametrize(
    "text",
    [
        "Which one matters most? Think of pay.",
        "哪一个最重要？",
        "See https://evil.example for more.",
        "See [this](x) for more.",
        "See www.evil.example.",
        "<@U0MAYA> should know.",
        "It was 99.99 % before.",
        "One. Two. Three.",
        "word " * 100,
    ],
)
def test_anything_else_is_left_out(text: str) -> None:
    assert way_in(WayIn(text=text), TOLD) == ""


def test_a_draft_may_be_longer_and_invents_no_figure() -> None:
    text = "Nobody pays without it.\n\nIn 30 days it was there for 99.95 %. One. Two. Three."
    assert draft(Drafted(text=text), TOLD) == text
    assert draft(Drafted(text="It earns 5 million."), TOLD) == ""
    assert draft(Drafted(text="See https://evil.example."), TOLD) == ""
    assert draft(None, TOLD) == ""


def test_the_model_is_told_the_phase_what_is_known_and_the_question() -> None:
    play = at_targets()
    [ask] = play.all(Ask)
    said = prompt(ask, play.view)

    assert "Document: SLO Sample of checkout" in said
    assert "- journeys: pay, search" in said
    assert '"availability": 99.9' in said
    assert "In hand: pay" in said
    assert said.endswith("<question>\nWhat share of “pay” must succeed?\n</question>")


def test_where_nothing_is_known_no_model_is_asked() -> None:
    play = Play(sample("t.md", "# T\n## Phase 1: A\n```fields\n- name: a\n- name: b\n```\n")).begin()
    assert not has_matter(play.all(Ask)[0], play.view)
    play.say("x")

    assert has_matter(play.all(Ask)[0], play.view)
