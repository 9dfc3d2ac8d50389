"""The growing message against the playground: what people see, through every kind of trouble."""

from __future__ import annotations

import asyncio
import random

import pytest

from app.playground.slack import CallFault
from app.slack.client import SlackRefused, SlackUnavailable
from app.slack.text import markdown
from tests.slack.conftest import CHANNEL, TURN, Play, written

FOOTER = [{"type": "context", "elements": [{"type": "mrkdwn", "text": "High confidence (90% sure)"}]}]
LONG = "\n\n".join(f"Paragraph {number}: " + "words and more words " * 12 for number in range(120))


# -- one stream ------------------------------------------------------------------------------------------


async def test_an_answer_grows_as_a_stream_and_ends_with_blocks_and_metadata(play: Play) -> None:
    message = play.message()
    await message.open("Looking into checkout")
    await play.see_parts(1)
    await message.text("You need ")
    await play.see("You need ")
    await message.task("tool-1", "read_service_file", "in_progress", details="checkout.md")
    await message.text("a **runbook**.")
    await message.task("tool-1", "read_service_file", "complete")
    await message.close(blocks=FOOTER)

    [part] = play.parts()
    assert written(part) == "You need a **runbook**."
    assert part.blocks[-1]["type"] == "context"
    assert part.metadata == {"event_type": "sre_agent_turn", "event_payload": {"turn_id": TURN, "part": 0}}
    assert not part.streaming
    assert play.tasks() == {"Looking into checkout": "complete", "read_service_file": "complete"}


async def test_the_first_words_are_sent_without_waiting_for_the_timer(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await play.see_parts(1)

    await message.text("Hello")

    await play.see("Hello")
    await message.close()


async def test_small_deltas_are_gathered_for_a_second(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.text("one ")
    await play.see("one ")
    for word in ("two ", "three ", "four"):
        await message.text(word)
        await play.quiet()
    assert play.shown() == "one "

    play.time.advance(1.0)

    await play.see("one two three four")
    assert len(play.slack.calls("chat.appendStream")) <= 2
    await message.close()


async def test_much_text_does_not_wait_for_the_timer(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.text("start ")
    await play.see("start ")

    await message.text("x" * 300)

    await play.see("start " + "x" * 300)
    await message.close()


async def test_an_answer_without_a_delta_is_shown_whole(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.close(final_text="All of it at once.", blocks=FOOTER)

    assert play.texts() == ["All of it at once."]


async def test_many_writers_lose_nothing_and_keep_their_order(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    words = [f"w{number} " for number in range(2000)]
    dice = random.Random(7)
    for word in words:
        await message.text(word)
        if dice.random() < 0.02:
            await asyncio.sleep(0.001)
    await message.close()

    assert play.shown() == "".join(words)


async def test_a_reset_to_what_was_not_shown_rewrites_the_same_message(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.text("A first idea that breaks off")
    await play.see("A first idea that breaks off")

    await message.reset("Stored. ")
    await message.text("And the rest.")
    await play.in_time(lambda: play.shown() == "Stored. And the rest.")
    await message.close(final_text="Stored. And the rest.")

    assert play.texts() == ["Stored. And the rest."]


async def test_a_reset_to_what_is_shown_goes_on_streaming(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.text("Kept.")
    await play.see("Kept.")
    await message.reset("Kept.")
    await message.text(" More.")
    await message.close()

    assert play.texts() == ["Kept. More."]
    assert not play.slack.calls("chat.update")


async def test_nothing_the_model_writes_pings_anyone(play: Play) -> None:
    evil = "Hi <!channel>, <@U0OMAR> and @here: `<!here>`"
    message = play.message()
    await message.open("<!channel> @here")
    for sign in evil:
        await message.text(sign)
    await message.close()

    assert play.shown() == markdown(evil)
    assert "<!channel>" not in str([part.blocks for part in play.parts()])


async def test_the_thread_shows_that_the_agent_is_at_work_until_it_has_answered(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await play.called("agents.sessions.setStatus")
    session = play.slack.workspace.sessions[CHANNEL, play.thread_ts]
    assert session.status == "processing"
    await message.text("Done.")
    await message.close()

    assert session.status == "active"


# -- limits ----------------------------------------------------------------------------------------------


async def test_a_stream_is_rotated_before_slack_ends_it(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.text("Before the rotation. ")
    await play.see("Before the rotation. ")
    await message.task("slow", "query_metrics", "in_progress")
    await play.slack.wait_for(lambda: "query_metrics" in play.tasks())
    play.time.advance(235)
    await play.in_time(lambda: not play.parts()[0].streaming)
    assert play.time.now - 1_800_000_000 < 300

    await message.text("After it.")
    await play.see_parts(2)
    await message.close(blocks=FOOTER)

    assert play.texts() == ["Before the rotation. ", "After it."]
    assert [part.metadata["event_payload"]["part"] for part in play.parts() if part.metadata] == [0, 1]
    assert play.tasks(1)["query_metrics"] == "complete"
    assert not play.slack.calls("chat.update")


async def test_a_stream_that_is_being_written_is_rotated_at_the_end_of_a_line(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    for number in range(100):
        await message.text(f"a line of words, number {number}, ")
        await message.text("and its end\n" if number % 10 == 9 else "and more ")
        await play.pass_time(3)
    await message.close()

    assert len(play.parts()) == 2
    assert play.texts()[0].endswith("and its end\n")
    assert play.shown().count("a line of words") == 100
    assert not play.slack.calls("chat.update")


async def test_a_rotated_answer_that_says_no_more_gets_its_footer_in_the_last_part(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.text("Everything.")
    await play.see("Everything.")
    play.time.advance(235)
    await play.in_time(lambda: not play.parts()[0].streaming)
    await message.close(blocks=FOOTER)

    [part] = play.parts()
    assert written(part) == "Everything."
    assert part.blocks[-1]["type"] == "context"


async def test_a_stream_that_slack_ended_is_continued_by_edits(play: Play) -> None:
    play.slack.workspace.stream_seconds = 100
    message = play.message()
    await message.open("Working")
    await message.text("Shown. ")
    await play.see("Shown. ")
    play.time.advance(101)
    await message.text("Kept.")
    await play.in_time(lambda: play.shown() == "Shown. Kept.")
    await message.text(" Done.")
    await message.close(blocks=FOOTER)

    assert play.texts() == ["Shown. Kept. Done."]


async def test_a_long_answer_rolls_over_and_is_never_cut(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    for start in range(0, len(LONG), 700):
        await message.text(LONG[start : start + 700])
        await asyncio.sleep(0.002)
    await message.close(blocks=FOOTER)

    assert play.shown() == markdown(LONG)
    assert len(play.parts()) > 2
    assert all(text.endswith("\n\n") for text in play.texts()[:-1])
    assert all(len(text.encode()) <= 9_000 for text in play.texts())
    assert [part.blocks[-1]["type"] == "context" for part in play.parts()].count(True) == 1


async def test_code_that_is_cut_in_two_stays_code_in_both_parts(play: Play) -> None:
    code = (
        "```python\n" + "".join(f"value_{number} = {number}\n" for number in range(900)) + "```\nThat is all."
    )
    message = play.message()
    await message.open("Working")
    await message.close(final_text=code)

    assert len(play.parts()) > 1
    assert all(text.startswith("```python\n") and text.count("```") == 2 for text in play.texts())
    rejoined = play.shown().replace("```\n```python\n", "").replace("``````python\n", "")
    assert rejoined == code


# -- refusals and outages --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", ["unknown_method", "missing_recipient_user_id", "channel_type_not_supported"]
)
async def test_where_streams_are_refused_the_message_grows_by_edits(play: Play, error: str) -> None:
    play.slack.faults.calls.add("chat.startStream", CallFault.refused(error), times=99)
    message = play.message()
    await message.open("Working")
    await play.see_parts(1)
    await message.text("By edits.")
    await play.in_time(lambda: play.shown() == "By edits.")
    await message.text(" All of it.")
    await message.close(blocks=FOOTER)

    [part] = play.parts()
    assert written(part) == "By edits. All of it."
    assert part.metadata
    assert part.metadata["event_payload"]["turn_id"] == TURN
    assert [call.arguments["unfurl_links"] for call in play.slack.calls("chat.postMessage")] == [False]


async def test_edits_of_one_message_keep_their_distance(play: Play) -> None:
    message = play.message(native=False)
    await message.open("Working")
    await play.see_parts(1)
    for number in range(30):
        await message.text(f"{number} ")
        await play.pass_time(0.5)
    await message.close()

    assert len(play.slack.calls("chat.update")) <= 30 * 0.5 / 2.5 + 2
    assert play.shown() == "".join(f"{number} " for number in range(30))


async def test_a_long_answer_by_edits_rolls_over_too(play: Play) -> None:
    message = play.message(native=False)
    await message.open("Working")
    await message.close(final_text=LONG, blocks=FOOTER)

    assert play.shown() == markdown(LONG)
    assert len(play.parts()) > 2


async def test_a_workspace_that_knows_no_plan_blocks_gets_the_text_alone(play: Play) -> None:
    play.slack.faults.calls.add("chat.postMessage", CallFault.refused("invalid_blocks"))
    message = play.message(native=False)
    await message.open("Working")
    await message.close(final_text="Just text.")

    assert play.texts() == ["Just text."]


async def test_rate_limits_are_waited_for_and_nothing_is_said_twice(play: Play) -> None:
    for method in ("chat.startStream", "chat.appendStream", "chat.stopStream"):
        play.slack.faults.calls.add(method, CallFault.limited(2), times=2)
    message = play.message()
    await message.open("Working")
    await message.text("Patience. ")
    await play.see("Patience. ")
    await message.text("Done.")
    await message.close()

    assert play.texts() == ["Patience. Done."]


@pytest.mark.parametrize("applied", [True, False])
async def test_words_whose_arrival_is_unknown_are_shown_exactly_once(play: Play, applied: bool) -> None:
    message = play.message()
    await message.open("Working")
    await play.see_parts(1)
    play.slack.faults.calls.add("chat.appendStream", CallFault.dropped(applied=applied))
    await message.text("Once. ")
    await play.called("chat.appendStream", 0)
    await message.text("Only.")
    await message.close()

    assert play.texts() == ["Once. Only."]


@pytest.mark.parametrize("method", ["chat.startStream", "chat.postMessage"])
@pytest.mark.parametrize("fault", [CallFault.dropped(applied=True), CallFault.failing(503, applied=True)])
async def test_a_message_whose_creation_was_not_answered_is_found_and_not_made_again(
    play: Play, method: str, fault: CallFault
) -> None:
    play.slack.faults.calls.add(method, fault)
    message = play.message(native=method == "chat.startStream")
    await message.open("Working")
    await message.text("Here.")
    await play.see_parts(1)
    for _ in range(20):
        await play.pass_time(1)
    await message.close()

    assert play.texts() == ["Here."]


async def test_an_outage_while_deltas_are_shown_does_not_fail_the_turn(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.text("Before. ")
    await play.see("Before. ")
    play.slack.faults.calls.add("*", CallFault.failing(503), times=12)
    for word in ("while ", "it ", "lasts "):
        await message.text(word)
        await play.pass_time(20)
    play.slack.faults.clear()
    await message.text("after")
    await message.close()

    assert play.texts() == ["Before. while it lasts after"]


async def test_closing_gives_up_after_a_minute_and_can_be_repeated(play: Play) -> None:
    message = play.message(sleep=play.time.pass_over)
    await message.open("Working")
    await message.text("Kept.")
    await play.see("Kept.")
    play.slack.faults.calls.add("*", CallFault.failing(503), times=500)

    with pytest.raises(SlackUnavailable):
        await message.close(blocks=FOOTER)
    play.slack.faults.clear()
    await message.close(blocks=FOOTER)

    assert play.texts() == ["Kept."]


async def test_a_channel_that_refuses_us_is_said_when_the_answer_ends(play: Play) -> None:
    play.slack.workspace.channels[CHANNEL].is_archived = True
    message = play.message()
    await message.open("Working")

    with pytest.raises(SlackRefused, match="is_archived"):
        await message.close(final_text="Nobody reads this.")


async def test_when_somebody_deletes_the_message_the_agent_stops_quietly(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.text("To be deleted.")
    await play.see("To be deleted.")
    [part] = play.parts()
    play.slack.workspace.remove(play.slack.workspace.channels[CHANNEL].messages[part.ts])
    await message.text(" More.")
    await message.close(blocks=FOOTER)

    assert play.parts() == []
    assert '"closed": true' in play.ledger.state


async def test_a_stream_stopped_by_its_reader_can_still_be_finished(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.text("Half an")
    await play.see("Half an")
    await play.called("agents.sessions.setStatus")
    await play.slack.stop("U0MAYA", CHANNEL, play.thread_ts)
    await message.close(final_text="Half an\n\nStopped.")

    assert play.texts() == ["Half an\n\nStopped."]


async def test_a_turn_that_failed_says_so_below_what_it_wrote(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.text("So far.")
    await message.fail("The model could not be reached.", "4bf92f3577b34da6")

    [part] = play.parts()
    assert written(part) == "So far."
    assert "The model could not be reached." in str(part.blocks)
    assert "4bf92f3577b34da6" in str(part.blocks)
    assert play.tasks() == {"Working": "error"}
