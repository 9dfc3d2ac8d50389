"""What is asked next, and that nothing which was said is lost: the phase machine without anything around it."""

from __future__ import annotations

import pytest

from app.workflows.actions import (
    AnswerAside,
    Ask,
    AskToConfirm,
    Explain,
    Left,
    Refused,
    Report,
    Say,
    Took,
    Unknown,
)
from app.workflows.commands import event_of
from app.workflows.engine import taking
from app.workflows.events import Confirm, Drafted, Looked, NotMade, Pause, Skip, Values
from app.workflows.state import State
from tests.workflows.play import Play, sample
from tests.workflows.test_reading import from_docs

SLO = sample()
PAY = "What share of “pay” must succeed?"
SEARCH = "What share of “search” must succeed?"


def at_targets() -> Play:
    play = Play(SLO).begin("checkout").say("pay, search")
    assert play.asked == PAY
    return play


def test_a_workflow_asks_only_what_nobody_knows_and_hands_over_a_valid_file() -> None:
    play = Play(SLO).begin("checkout")

    assert play.asked == "Which journeys does checkout serve?"
    play.say("pay and search")
    assert play.asked == PAY
    play.say("99.95 %")
    assert play.asked == "Anything to say about pay?"
    play.say("skip", "99,5", 'slow, since "2023"', "yes")

    assert play.state.status == "done"
    (file,) = play.handed
    assert file.file_name == "slo/checkout.yaml"
    assert file.faults == ()
    assert file.todos == ()
    assert file.content == (
        'service: "checkout"\nteam: payments\nslos:\n'
        "  - name: pay\n    target: 99.95\n"
        '  - name: search\n    target: 99.5\n    note: "slow, since \\"2023\\""\n'
    )
    assert play.looks == [("service", "baseline"), ("backtest",)]


def test_without_a_service_it_is_asked_first_and_then_looked_up() -> None:
    play = Play(SLO).begin()

    assert play.asked == "What is the service?"
    assert play.looks == [("baseline",)]
    play.say("checkout")
    assert play.looks[-1] == ("service", "baseline")
    assert play.asked == "Which journeys does checkout serve?"


def test_what_the_catalog_does_not_say_is_asked() -> None:
    play = Play(SLO, facts={}).begin("checkout").say("pay")

    assert play.asked == "What is the team?"
    play.say("payments")
    assert play.all(Ask)[0].proposal is None


def test_a_proposal_is_taken_with_a_yes_or_by_skipping() -> None:
    play = at_targets()
    assert play.all(Ask)[0].proposal == 99.9

    play.say("yes")
    assert play.all(Took)[0].how == "proposed"
    play.say("skip", "skip")
    assert play.answers() == {
        "service": "checkout", "journeys": ["pay", "search"], "target[pay]": 99.9, "target[search]": 99.9,
    }  # fmt: skip
    assert play.asked == "Anything to say about search?"


def test_an_answer_that_does_not_fit_keeps_the_place() -> None:
    play = at_targets().say("half of them")

    (refused,) = play.all(Refused)
    assert refused.reason == "I need a number in percent and could not read one. For example: 90"
    assert play.asked == PAY
    play.say("120")
    assert play.all(Refused)[0].reason.startswith("120 % is above 100 %")
    assert play.asked == PAY
    assert "target[pay]" not in play.answers()


@pytest.mark.parametrize("words", ["yes", "ok", "Sure!"])
def test_agreeing_where_nothing_is_proposed_is_no_answer(words: str) -> None:
    play = Play(SLO).begin("checkout").say(words)

    assert play.all(Refused)[0].reason.startswith("I have proposed nothing to agree to here")
    assert play.asked == "Which journeys does checkout serve?"
    assert "journeys" not in play.answers()
    play.say("pay", "99", "yes")  # “Anything to say about pay?” may be answered so
    assert play.answers()["note[pay]"] == "yes"


@pytest.mark.parametrize("words", ["skip", "back"])
def test_when_it_has_ended_that_is_said(words: str) -> None:
    play = at_targets().say("99", "skip", "99", "skip", "yes")
    assert play.state.status == "done"
    assert play.say(words).all(Say) == [Say("made")]
    assert len(play.say("status").all(Report)) == 1


def test_back_asks_again_and_keeps_what_was_answered() -> None:
    play = at_targets().say("99", "skip", "99")
    assert play.asked == "Anything to say about search?"

    play.say("back")
    assert (play.asked, play.all(Ask)[0].present) == (SEARCH, 99)
    play.say("back", "back")
    assert (play.asked, play.all(Ask)[0].present) == (PAY, 99)
    play.say("skip")
    assert play.asked == "Anything to say about search?"
    assert play.answers()["target[pay]"] == 99


@pytest.mark.parametrize("to", ["phase Journeys", "the journeys", "phase 1", "1"])
def test_back_to_a_phase_begins_with_its_first_question(to: str) -> None:
    play = at_targets().say(f"back to {to}")

    assert play.asked == "What is the service?"
    play.say("skip")
    assert play.asked == PAY


def test_back_to_a_field_of_one_item() -> None:
    play = at_targets().say("99", "skip", "98", "back to target of pay")

    assert play.asked == PAY
    play.say("97")
    assert play.answers()["target[pay]"] == 97
    assert play.asked == "Anything to say about search?"


def test_at_the_start_there_is_nothing_to_go_back_to() -> None:
    play = Play(SLO).begin("checkout").say("back")

    assert play.all(Say) == [Say("at_the_start")]
    assert play.asked == "Which journeys does checkout serve?"


def test_a_correction_replaces_the_answer_and_remembers_the_first() -> None:
    play = at_targets().say("99", "skip")
    play.say("target of pay: 99.9", by="U2")

    assert (play.all(Took)[0].value, play.all(Took)[0].instead_of) == (99.9, 99)
    assert play.asked == SEARCH
    given = play.state.answers["target[pay]"]
    assert given.by == "U2"
    assert [(each.value, each.by) for each in given.before] == [(99, "U1")]


def test_several_corrections_in_one_message() -> None:
    play = at_targets().say("team: search team\n- target of search = 98\npay target: 99")

    assert {name: play.answers()[name] for name in ("team", "target[search]", "target[pay]")} == {
        "team": "search team", "target[search]": 98, "target[pay]": 99,
    }  # fmt: skip
    assert play.asked == "Anything to say about pay?"


def test_an_item_may_have_any_name() -> None:
    play = Play(SLO).begin("checkout").say("log in (SSO): EU\nsearch")
    play.say("target[log in (SSO): EU]: 99")

    assert play.answers()["target[log in (SSO): EU]"] == 99


def test_a_message_that_only_looks_like_a_correction_is_an_answer() -> None:
    play = Play(sample(text='# T\n## Phase 1: Story\n"What happened then?"\n')).begin()
    play.say("note: the cache was cold\nthen it broke")

    assert play.answers() == {"story": "note: the cache was cold\nthen it broke"}


def test_a_shorter_list_asks_less_and_loses_no_answer() -> None:
    play = at_targets().say("99", "skip", "98", "skip")
    play.say("journeys: search")

    assert play.handed == ()
    play.say("yes")
    assert "name: pay" not in play.handed[0].content
    assert play.answers()["target[pay]"] == 99
    play.say("journeys: pay, search")
    assert "target: 99\n" in play.handed[0].content


def test_a_longer_list_asks_for_what_is_new() -> None:
    play = at_targets().say("99", "skip", "98", "skip", "yes")
    assert play.state.status == "done"

    play.say("journeys: pay, search, log in")
    assert play.asked == "What share of “log in” must succeed?"
    play.say("97", "skip")
    assert play.state.made == 2
    assert "  - name: log in\n    target: 97\n" in play.handed[0].content


def test_what_is_wanted_by_a_phase_is_looked_up_again_when_earlier_answers_change() -> None:
    play = at_targets().say("99", "skip", "98", "skip")
    assert play.looks[-1] == ("backtest",)
    before = len(play.looks)
    play.say("status")
    assert len(play.looks) == before
    play.say("target of pay: 97")
    assert play.looks[before:] == [("backtest",)]


def test_where_something_was_found_is_remembered() -> None:
    """A later question quotes it, and its link still leads there."""
    play = at_targets()
    play.do(Looked(("baseline",), {}, ("prometheus.acme.example",)))
    play.do(Looked(("backtest",), {}, ("grafana.acme.example", "prometheus.acme.example")))
    assert play.state.hosts == ("prometheus.acme.example", "grafana.acme.example")


def test_another_service_is_looked_up_again() -> None:
    play = at_targets().say("service: search")

    assert play.looks[-1] == ("service", "baseline")


def test_skipping_leaves_a_todo() -> None:
    play = Play(sample("t.md", from_docs())).begin("checkout").say("skip")

    assert [left.slot.id for left in play.all(Left)] == ["change"]
    play.say("no", "revert", "10 min")
    assert "[TODO: change]" in play.handed[0].content
    assert play.handed[0].todos == ("change",)
    play.say("change: a new index")
    assert play.handed[0].todos == ()


def test_a_question_is_answered_beside_and_the_place_is_kept() -> None:
    play = at_targets().say("what does tier 1 ask of us?")

    assert play.all(AnswerAside) == [AnswerAside("what does tier 1 ask of us?")]
    assert play.asked == PAY
    assert play.answers() == {"service": "checkout", "journeys": ["pay", "search"]}


@pytest.mark.parametrize("words", ["why?", "Why do you ask?", "why do you need that", "why is this needed?"])
def test_why_is_answered_by_the_author(words: str) -> None:
    play = at_targets().say(words)

    assert play.all(Explain)[0].text == "A target below what pay delivers today is no target."
    assert play.asked == PAY
    first = Play(SLO).begin("checkout").say(words)
    assert first.all(Explain)[0].text == "Users feel journeys, not endpoints."


def test_a_question_that_begins_with_why_is_not_about_the_question() -> None:
    play = at_targets().say("why does the payments service time out at night?")

    assert play.all(Explain) == []
    assert len(play.all(AnswerAside)) == 1


def test_status_says_what_is_done_and_who_said_what() -> None:
    play = at_targets().say("99", by="U7").say("where are we?")

    (report,) = play.all(Report)
    assert [(each.name, each.filled, each.total, each.is_current) for each in report.phases] == [
        ("Journeys", 3, 3, False), ("Targets", 1, 4, True), ("Check", 0, 1, False),
    ]  # fmt: skip
    assert [(slot.id, value, by) for slot, value, by in report.answers] == [
        ("service", "checkout", "U1"), ("journeys", ["pay", "search"], "U1"), ("team", "payments", ""),
        ("target[pay]", 99, "U7"),
    ]  # fmt: skip


def test_paused_it_hears_nothing_but_resume() -> None:
    play = at_targets().say("pause")
    assert play.state.status == "paused"

    assert event_of("we said so last year", "U1", play.view) is None
    assert event_of("what is an SLO?", "U1", play.view) is None
    play.say("let's continue", by="U2")
    assert play.state.status == "asking"
    assert play.asked == PAY


def test_a_correction_while_paused_counts_and_asks_nothing() -> None:
    play = at_targets().say("pause").say("team: us")

    assert play.answers()["team"] == "us"
    assert play.asked == ""
    assert play.state.status == "paused"


def test_cancelled_is_over() -> None:
    play = at_targets().say("cancel")

    assert play.state.status == "cancelled"
    assert play.answers()["journeys"] == ["pay", "search"]
    for event in (Skip("U1"), Values({"team": "x"}, "U1"), Pause("U1"), Confirm("U1")):
        assert play.do(event).state.status == "cancelled"
        assert play.handed == ()


def test_an_unknown_name_is_said_and_the_others_count() -> None:
    play = at_targets().do(Values({"targt": 1, "team": "us", "target[pay]": "high"}, "U1", "model"))

    assert [(each.name, each.value) for each in play.all(Unknown)] == [("targt", 1)]
    assert [refused.slot.id for refused in play.all(Refused)] == ["target[pay]"]
    assert play.answers()["team"] == "us"
    assert play.asked == PAY


CAPPED = """---
follow_up_cap: 1
---
# T
## Phase 1: One
```fields
- name: a
- name: b
- name: c
```
## Phase 2: Two
```fields
follow_ups: 0
fields:
  - name: d
  - name: e
```
"""


def test_beyond_the_cap_nothing_is_asked_any_more() -> None:
    play = Play(sample("t.md", CAPPED)).begin().say("1")
    assert play.asked == "What is the b?"
    play.say("status").say("2")

    assert [(left.slot.id, left.capped) for left in play.all(Left)] == [("c", True)]
    assert play.asked == "What is the d?"
    play.say("4")
    assert play.state.status == "done"
    assert play.handed[0].todos == ("c", "e")


def test_several_values_at_once_leave_more_of_the_cap() -> None:
    play = Play(sample("t.md", CAPPED)).begin().do(Values({"a": "1", "b": "2"}, "U1", "model"))

    assert play.asked == "What is the c?"


CONFIRMED = CAPPED.replace("follow_up_cap: 1", "confirm: true")


def test_a_workflow_may_ask_once_more_before_it_makes_anything() -> None:
    play = Play(sample("t.md", CONFIRMED)).begin().say("1", "2", "3", "4")

    assert [slot.id for slot, _, _ in play.all(AskToConfirm)[0].answers] == ["a", "b", "c", "d"]
    assert play.handed == ()
    play.say("no, not yet")
    assert play.all(Say) == [Say("what_to_change")]
    play.say("b: two")
    assert len(play.all(AskToConfirm)) == 1
    play.say("yes please")
    assert play.state.status == "done"
    assert "two" in play.handed[0].content


def test_what_could_not_be_made_can_be_made_later() -> None:
    play = Play(sample("t.md", CAPPED)).begin().say("1", "2")
    state = play.state.model_copy(update={"status": "making"})
    play.state = state
    play.do(NotMade("Slack is away"))
    assert play.state.status == "confirming"
    play.say("go ahead")
    assert play.state.status == "done"


CIRCLE = """# T
## Phase 1: One
```fields
- name: a
  default: "{{ b }}"
- name: b
  default: "{{ a }}"
```
"""


def test_defaults_that_refer_to_each_other_are_asked() -> None:
    play = Play(sample("t.md", CIRCLE)).begin()

    assert play.asked == "What is the a?"
    play.say("x")
    assert play.state.status == "done"
    assert play.handed[0].content == "# T\n\n## One\n\n- **a:** x\n- **b:** x\n"


def test_markdown_of_another_system_runs_to_its_end() -> None:
    play = Play(sample("service-handover.md")).begin("checkout")
    assert play.asked.startswith("What does **checkout** do for its users")
    play.say("People pay with it.", "Nights are quiet.")
    assert play.asked == "Who must be asked before anything is changed?"
    play.say("Ada and Linus")

    (file,) = play.handed
    assert file.file_name == "checkout-service-handover-interview.md"
    assert "# Handover: checkout\n\nOwner until now: payments" in file.content
    assert "## What it does\nPeople pay with it." in file.content
    assert "kubectl -n ${NAMESPACE} get pods" in file.content
    assert "- [ ] on-call rota moved" in file.content
    assert "[links to dashboards](https://wiki.example.com/dash)" in file.content
    assert "[TODO: vault path]" in file.content
    assert file.content.endswith("## From the conversation\n\n### People\n\nAda and Linus\n")
    assert file.todos == ("today", "vault path")


def test_a_state_of_another_version_is_not_read() -> None:
    stored = at_targets().state.to_json()

    assert State.from_json(stored) is not None
    assert State.from_json({**stored, "version": 2}) is None
    assert State.from_json({**stored, "answers": 3}) is None
    assert State.from_json(None) is None


DRAFTED = """# T
## Phase 1: Text
```fields
- name: about
- name: summary
  draft: true
  max: 60
- name: more
  required: false
```
"""
TEXT = "It takes money.\nNothing else."


def test_a_draft_is_proposed_and_counts_when_somebody_takes_it() -> None:
    play = Play(sample("t.md", DRAFTED)).begin().say("pay").do(Drafted("summary", TEXT))
    [ask] = play.all(Ask)
    assert (ask.question, ask.proposal) == ("What is the summary?", TEXT)
    assert play.answers() == {"about": "pay"}
    play.say("why?")
    assert play.all(Ask)[0].proposal == TEXT
    play.say("yes", by="U2")

    assert play.answers()["summary"] == TEXT
    assert play.state.answers["summary"].by == "U2"
    assert play.state.drafts == {}


def test_a_draft_is_taken_by_name_and_replaced_by_words() -> None:
    begun = Play(sample("t.md", DRAFTED)).begin().say("pay").do(Drafted("summary", TEXT))
    assert begun.say(f"summary: {taking(TEXT)}").answers()["summary"] == TEXT
    begun.say(f"summary: {taking(TEXT)}")
    assert "That proposal is gone" in begun.all(Refused)[0].reason
    assert begun.answers()["summary"] == TEXT

    assert begun.say("summary: Mine.").answers()["summary"] == "Mine."


@pytest.mark.parametrize(
    "event",
    [Drafted("summary", ""), Drafted("summary", "x" * 61), Drafted("more", TEXT), Drafted("nothing", TEXT)],
)
def test_a_draft_that_does_not_fit_changes_nothing(event: Drafted) -> None:
    play = Play(sample("t.md", DRAFTED)).begin().say("pay")
    before = play.state

    assert play.do(event).state == before
    assert play.said == []


def test_another_answer_makes_a_draft_stale() -> None:
    play = Play(sample("t.md", DRAFTED)).begin().say("pay").do(Drafted("summary", TEXT)).say("about: search")

    assert play.all(Ask)[0].proposal is None
