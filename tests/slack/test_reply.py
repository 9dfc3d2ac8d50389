"""A whole answer as the domain gives it: text, what stands below, files, reactions, what was said before."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.context.models import Source
from app.conversations.reply import Closing, Place, Reply
from app.playground.slack import CallFault, Message
from app.slack.channels import Channels
from app.slack.client import Pace, SlackUnavailable
from app.slack.incoming import Me
from app.slack.people import Admission, People
from app.slack.reply import LATE_SECONDS, NO_ANSWER, Question, SlackPlace, SlackReply
from tests.slack.conftest import ASKER, CHANNEL, TURN, Notebook, Play, written

CLOSING = Closing(
    text="You need a **runbook**.",
    confidence=0.4,
    sources=(
        Source(kind="blueprint", title="checkout.md", path="services/checkout.md", url="https://a.example/c"),
    ),
    notices=("The blueprints could not be reached; this is the last good copy.",),
    tag_sre=True,
    knowledge_revision="4f1c2ab99d",
)


def question(play: Play, message_ts: str | None = None) -> Question:
    return Question(CHANNEL, play.thread_ts, message_ts or play.thread_ts, ASKER, "T0ACME")


def reply(play: Play, ledger: Notebook | None = None, **options: Any) -> SlackReply:
    return SlackReply(
        play.client,
        question(play),
        TURN,
        ledger or play.ledger,
        pace=Pace(clock=play.time.clock, sleep=play.time.pass_over),
        clock=play.time.clock,
        sleep=play.time.pass_over,
        **({"sre_team_id": "S0SRETEAM"} | options),
    )


def asked(play: Play) -> Message:
    return play.slack.thread(CHANNEL, play.thread_ts)[0]


def place(play: Play, asked: str) -> SlackPlace:
    admission = Admission(People(play.client), home_team="T0ACME")
    return SlackPlace(
        play.client,
        question(play, asked),
        Me("T0ACME", "U0AGENT", "B0AGENT"),
        Channels(play.client),
        admission,
    )


def files(play: Play) -> list[str]:
    return [file for part in play.parts() for file in part.files]


async def test_a_reply_is_what_a_turn_expects(play: Play) -> None:
    given: Reply = reply(play)
    where: Place = place(play, play.thread_ts)

    assert given is not None
    assert where is not None


async def test_an_answer_with_everything_below_it(play: Play) -> None:
    answer = reply(play)
    await answer.open()
    await answer.text("You need a ")
    await answer.task("t1", "read_service_file", "complete")
    await answer.close(CLOSING)

    [part] = play.parts()
    said = str(part.blocks)
    assert written(part) == "You need a **runbook**."
    assert "Low confidence (40% sure)" in said
    assert "<https://a.example/c|checkout.md>" in said
    assert "last good copy" in said
    assert "<!subteam^S0SRETEAM>" in said
    assert "4f1c2ab99d" in said
    assert part.blocks[-1]["type"] == "context_actions"


async def test_without_a_team_to_tag_nobody_is_tagged(play: Play) -> None:
    answer = reply(play, sre_team_id=None)
    await answer.open()
    await answer.close(CLOSING)

    assert "subteam" not in str(play.parts()[0].blocks)


async def test_closing_twice_changes_nothing(play: Play) -> None:
    answer = reply(play)
    await answer.open()
    await answer.close(CLOSING)
    before = play.parts()
    again = reply(play)
    await again.open()
    await again.close(CLOSING)

    assert play.parts() == before


async def test_an_empty_answer_says_so(play: Play) -> None:
    answer = reply(play)
    await answer.open()
    await answer.close(Closing(text=" \n"))

    assert play.texts() == [NO_ANSWER]


async def test_a_notice_is_shown_while_work_goes_on(play: Play) -> None:
    answer = reply(play)
    await answer.open()
    await answer.notice("The database is away; I keep trying.")
    await play.slack.wait_for(lambda: "The database is away; I keep trying." in play.tasks())
    await answer.close(CLOSING)

    assert play.tasks()["The database is away; I keep trying."] == "complete"


async def test_what_was_written_before_a_stop_stands(play: Play) -> None:
    answer = reply(play)
    await answer.open()
    await answer.text("Half an answer")
    await answer.cancelled("U0OMAR")

    [part] = play.parts()
    assert written(part) == "Half an answer"
    assert "Stopped" in str(part.blocks)
    assert "U0OMAR" not in str(part.blocks)


async def test_a_failed_turn_names_its_trace(play: Play) -> None:
    answer = reply(play)
    await answer.open()
    await answer.fail("The model key is wrong.", "4bf92f35")

    assert "4bf92f35" in str(play.parts()[0].blocks)


# -- reactions -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "left"), [("done", ["white_check_mark"]), ("failed", ["x"]), ("cancelled", [])]
)
async def test_the_eyes_on_the_question_give_way_to_the_outcome(
    play: Play, outcome: Any, left: list[str]
) -> None:
    await play.client.reactions_add(channel=CHANNEL, timestamp=play.thread_ts, name="eyes")

    await reply(play).settle(outcome)
    await reply(play).settle(outcome)

    assert list(asked(play).reactions) == left


async def test_a_question_taken_late_gets_its_eyes_when_its_turn_begins(play: Play) -> None:
    play.time.advance(LATE_SECONDS + 1)
    answer = reply(play)
    await answer.open()
    await play.slack.wait_for(lambda: list(asked(play).reactions) == ["eyes"])
    await answer.close(CLOSING)
    await answer.settle("done")

    assert list(asked(play).reactions) == ["white_check_mark"]


async def test_an_answer_that_overtakes_its_late_eyes_leaves_none(play: Play) -> None:
    play.time.advance(LATE_SECONDS + 1)
    play.slack.faults.calls.add("reactions.add", CallFault.slow(0.2))
    answer = reply(play)
    await answer.open()
    await answer.settle("done")

    assert list(asked(play).reactions) == ["white_check_mark"]
    await answer.abandon()


async def test_a_question_with_an_answer_gets_no_eyes_again(play: Play) -> None:
    await reply(play).close(CLOSING)
    play.time.advance(LATE_SECONDS + 1)
    again = reply(play)
    await again.open()
    await again.settle("done")

    assert [call.arguments["name"] for call in play.slack.calls("reactions.add")] == ["white_check_mark"]


async def test_reactions_that_fail_do_not_fail_the_answer(play: Play) -> None:
    play.slack.faults.calls.add("reactions.add", CallFault.failing(503), times=9)
    play.slack.faults.calls.add("reactions.remove", CallFault.refused("missing_scope"), times=9)

    await reply(play).settle("done")

    assert not asked(play).reactions


# -- files -----------------------------------------------------------------------------------------------


async def test_a_file_is_added_to_the_thread(play: Play) -> None:
    answer = reply(play)
    await answer.open()
    await answer.attach("slo.yaml", "SLO of checkout", b"objective: 99.9\n", "text/yaml")
    await answer.close(CLOSING)

    [file] = files(play)
    assert play.slack.file(file) == b"objective: 99.9\n"


async def test_a_retried_turn_does_not_add_its_file_again(play: Play) -> None:
    for _ in range(2):
        answer = reply(play)
        await answer.open()
        await answer.attach("slo.yaml", "SLO of checkout", b"objective: 99.9\n", "text/yaml")
        await answer.abandon()

    assert len(files(play)) == 1
    assert len(play.slack.calls("files.completeUploadExternal")) == 1


async def test_a_file_whose_upload_was_never_noted_is_found_in_the_thread(play: Play) -> None:
    first = reply(play)
    await first.open()
    await first.attach("slo.yaml", "SLO", b"objective: 99.9\n", "text/yaml")
    await first.abandon()
    intended = next(state for state in play.ledger.history if state["attachments"])
    assert intended["attachments"][0]["file_id"] is None

    second = reply(play, Notebook(state=json.dumps(intended)))
    await second.open()
    await second.attach("slo.yaml", "SLO", b"objective: 99.9\n", "text/yaml")
    await second.abandon()

    assert len(files(play)) == 1


async def test_a_file_that_slack_never_shows_is_uploaded_once_more(play: Play) -> None:
    play.slack.faults.files_never_shared = 1
    answer = reply(play)
    await answer.open()
    await answer.attach("slo.yaml", "SLO", b"objective: 99.9\n", "text/yaml")
    await answer.abandon()

    assert len(files(play)) == 1


async def test_a_file_that_never_appears_is_an_error_the_turn_hears_of(play: Play) -> None:
    play.slack.faults.files_never_shared = 9
    answer = reply(play)
    await answer.open()

    with pytest.raises(SlackUnavailable, match=r"slo\.yaml"):
        await answer.attach("slo.yaml", "SLO", b"objective: 99.9\n", "text/yaml")
    await answer.abandon()


# -- who is there ----------------------------------------------------------------------------------------


async def test_somebody_is_called_what_people_call_them_there(play: Play) -> None:
    here = place(play, play.thread_ts)

    assert await here.name_of("U0OMAR") == "omar"
    assert await here.name_of("U0OMAR") == "omar"
    assert len(play.slack.calls("users.info")) == 1
    assert await here.name_of("U0NOBODY") is None


# -- what was said before --------------------------------------------------------------------------------


async def test_a_question_in_mid_thread_sees_what_was_said_before_it(play: Play) -> None:
    await play.slack.say("U0OMAR", CHANNEL, "it is <https://a.example|this page> &amp; more", play.thread_ts)
    answer = reply(play)
    await answer.open()
    await answer.close(CLOSING)
    second = await play.slack.say("U0OMAR", CHANNEL, "<@U0AGENT> and now?", play.thread_ts)
    await play.slack.say("U0OMAR", CHANNEL, "later words", play.thread_ts)

    said = await place(play, second).said_before()

    assert [(each.user_id, each.text) for each in said] == [
        (ASKER, "<@U0AGENT> what do I need before launch?"),
        ("U0OMAR", "it is this page (https://a.example) & more"),
    ]


async def test_nothing_was_said_before_the_first_message(play: Play) -> None:
    assert await place(play, play.thread_ts).said_before() == ()
    assert not play.slack.calls("conversations.replies")


async def test_only_the_last_of_much_that_was_said_is_read(play: Play) -> None:
    for number in range(8):
        await play.slack.say("U0OMAR", CHANNEL, f"message {number}", play.thread_ts)
    asked_at = await play.slack.say("U0OMAR", CHANNEL, "<@U0AGENT> and now?", play.thread_ts)

    said = await place(play, asked_at).said_before(limit=3)

    assert [each.text for each in said] == ["message 5", "message 6", "message 7"]
