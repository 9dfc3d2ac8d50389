"""What a message is to a workflow: a misspelled correction loses nothing, and a pause answers who only calls."""

from __future__ import annotations

import pytest

from app.workflows.actions import Ask, AskToConfirm, Rest, Unknown
from app.workflows.commands import event_of
from app.workflows.events import Words
from app.workflows.wording import offers, worded
from tests.workflows.play import Play, sample
from tests.workflows.test_engine import PAY, at_targets

CONFIRMED = """---
confirm: true
---
# Confirmed
## Phase 1: All
```fields
- name: owner
- name: region
  question: What does the release change?
```
## Phase 2: File
```markdown
{{ owner }}: {{ region }}
```
"""


def near(play: Play) -> list[str]:
    return [slot.id for each in play.all(Unknown) for slot in each.near]


def take(play: Play, number: int = 0) -> Play:
    """Choose one of the buttons."""
    return play.say(offers(play.said)[number][1])


@pytest.mark.parametrize("said", ["change taem to payments", "taem: payments", "set the teams = payments"])
def test_a_misspelled_field_is_asked_back_and_one_choice_corrects_it(said: str) -> None:
    play = at_targets().say(said)

    assert near(play) == ["team"]
    assert "Did you mean **team**? Say `team: payments`." in worded(play.said)
    assert PAY in worded(play.said)
    assert offers(play.said)[0] == ("team: payments", "team: payments")
    assert take(play).answers()["team"] == "payments"
    assert play.asked == PAY


def test_a_field_of_the_item_in_hand_is_meant_before_others() -> None:
    play = at_targets().say("change targte to 99.5")

    assert near(play) == ["target[pay]"]
    assert take(play).answers()["target[pay]"] == 99.5


def test_a_name_like_a_field_is_offered_where_the_words_are_no_answer() -> None:
    assert near(at_targets().say("change the journey list to pay, search and returns")) == ["journeys"]
    assert near(at_targets().say("pause", "change the taem to payments")) == ["team"]


def test_of_several_corrections_the_known_ones_count_and_the_others_are_asked_back() -> None:
    play = at_targets().say("target of pay: 99\ntaem: payments")

    assert play.answers()["target[pay]"] == 99
    assert near(play) == ["team"]
    assert take(play).answers()["team"] == "payments"


def test_an_answer_that_only_reads_like_a_correction_can_still_be_given() -> None:
    play = at_targets().say("99").say("change targets to those of last year")

    assert play.asked == "Anything to say about pay?"
    assert [label for label, _ in offers(play.said)] == [
        "target of pay: those of last year",
        "It is my answer",
    ]
    assert take(play, 1).answers()["note[pay]"] == "change targets to those of last year"


def test_a_value_of_several_lines_keeps_them() -> None:
    play = Play(sample("confirmed.md", CONFIRMED)).begin().say("us").say("change onwer to them:\nOmar\nMaya")

    assert take(play).answers()["owner"] == "them:\nOmar\nMaya"


def test_before_the_file_is_made_a_misspelled_correction_makes_nothing() -> None:
    play = Play(sample("confirmed.md", CONFIRMED)).begin().say("us", "the schema", "change onwer to them")

    assert near(play) == ["owner"]
    assert play.handed == ()
    assert len(play.all(AskToConfirm)) == 1
    assert take(play).answers()["owner"] == "them"


@pytest.mark.parametrize("said", ["change the schema to version 2", "set it to one", "Step one: stop it"])
def test_what_is_like_no_field_is_an_answer(said: str) -> None:
    play = Play(sample("confirmed.md", CONFIRMED)).begin().say("us")

    assert event_of(said, "U1", play.view) == Words(said, "U1")
    assert play.say(said).answers()["region"] == said


# -- a pause ---------------------------------------------------------------------------------------------

AT_PAY = "“SLO Sample” is paused at phase 2 of 3, question 1 of 4 (target of pay). Say **resume** to go on"


@pytest.mark.parametrize(
    "said",
    ["hello?", "Hi there", "are you there?", "anyone here?", "ping?", "thanks a lot!", "ok, thanks", "👋", "?",
     ":wave:", "pause", "skip", "back"],
)  # fmt: skip
def test_whoever_only_calls_in_a_pause_hears_where_it_stands(said: str) -> None:
    play = at_targets().say("pause").say(said)

    assert worded(play.said).startswith(AT_PAY)
    assert "\n" not in worded(play.said)
    assert play.state.status == "paused"
    assert take(play).asked == PAY


@pytest.mark.parametrize(
    "said",
    ["what is an SLO?", "who is on call for checkout?", "why?", "thanks, and which timeout has it?", "ok",
     "hello, what does tier 1 ask of us?", "checkout", "yes", "👍", "are you there on Monday for the launch?"],
)  # fmt: skip
def test_in_a_pause_the_analyst_is_asked_everything_else(said: str) -> None:
    assert event_of(said, "U1", at_targets().say("pause").view) is None


def test_a_figure_in_a_pause_is_not_noted_and_not_lost() -> None:
    play = at_targets().say("pause").say("99.9 %")

    assert worded(play.said).startswith("I have not noted “99.9 %”: “SLO Sample” is paused at ")
    assert offers(play.said) == (("Resume", "resume"), ("target of pay: 99.9 %", "target[pay]: 99.9 %"))
    assert take(play, 1).answers()["target[pay]"] == 99.9
    assert play.state.status == "paused"


def test_status_in_a_pause_says_that_it_is_one() -> None:
    play = at_targets().say("pause").say("status")

    assert "- → Targets: 0 of 4" in worded(play.said)
    assert AT_PAY in worded(play.said)


def test_paused_before_the_file_it_says_so() -> None:
    play = Play(sample("confirmed.md", CONFIRMED)).begin().say("us", "the schema", "pause").say("hello?")

    assert play.all(Rest) == [Rest("Confirmed")]
    assert "“Confirmed” is paused before I make the file." in worded(play.said)
    assert len(take(play).all(AskToConfirm)) == 1


def test_whoever_only_calls_at_a_question_is_reminded_of_it() -> None:
    play = at_targets().say("99").say("hello?")

    at_note = "**Targets** · phase 2 of 3, question 2 of 4 · Anything to say about pay?"
    assert worded(play.said) == f"I am here.\n\n{at_note}"
    assert [each.again for each in play.all(Ask)] == [True]


@pytest.mark.parametrize("said", ["anyone", "the team", "thanks", "ok", "Hello world page"])
def test_polite_words_may_be_an_answer_while_a_question_stands(said: str) -> None:
    play = Play(sample("confirmed.md", CONFIRMED)).begin()

    assert event_of(said, "U1", play.view) == Words(said, "U1")
