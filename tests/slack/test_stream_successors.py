"""The growing message over several processes: whoever dies or is late, people see one answer, whole."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import pytest

from app.playground.slack import CallFault
from app.slack.client import SlackUnavailable
from app.slack.stream import GrowingMessage
from app.slack.text import JOINER, markdown
from tests.slack.conftest import Notebook, Play, Stale
from tests.slack.test_stream import FOOTER, LONG


async def test_the_intent_is_stored_before_anything_is_created(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.close(final_text="Answer.")

    states = [[part["state"] for part in saved["parts"]] for saved in play.ledger.history]
    assert states[0] == ["intended"]
    assert states[-1] == ["closed"]
    assert play.ledger.history[-1]["closed"]


async def test_a_successor_goes_on_in_the_open_message(play: Play) -> None:
    first = play.message()
    await first.open("Working")
    await first.text("Shown by the first. And torn o")
    await play.see("Shown by the first. And torn o")

    await _kill(first)
    second = play.message()
    await second.open("Working")
    assert not play.parts()[0].streaming
    await second.reset("Shown by the first. ")
    await second.text("Finished by the second.")
    await second.close(blocks=FOOTER)

    assert play.texts() == ["Shown by the first. Finished by the second."]


async def test_a_successor_finds_the_message_whose_ts_was_never_stored(play: Play) -> None:
    first = play.message()
    await first.open("Working")
    await first.text("Seen.")
    await play.see("Seen.")
    await _kill(first)
    intended = Notebook(state=_json(play.ledger.history[0]))

    second = play.message(intended)
    await second.open("Working")
    await second.reset("Seen.")
    await second.close()

    assert play.texts() == ["Seen."]


async def test_a_successor_makes_the_message_anew_when_it_was_never_created(play: Play) -> None:
    intended = Notebook(
        state=_json({"parts": [{"index": 0, "started_at": play.time.now - 5, "state": "intended"}]})
    )
    message = play.message(intended)
    await message.open("Working")
    await message.close(final_text="Anew.")

    assert play.texts() == ["Anew."]


async def test_another_turns_message_is_never_adopted(play: Play) -> None:
    other = play.message(Notebook(), turn_id="another-turn")
    await other.open("Working")
    await other.close(final_text="Another answer.")
    intended = Notebook(
        state=_json({"parts": [{"index": 0, "started_at": play.time.now - 5, "state": "intended"}]})
    )

    message = play.message(intended)
    await message.open("Working")
    await message.close(final_text="This answer.")

    assert play.texts() == ["Another answer.", "This answer."]


async def test_an_answer_that_was_closed_is_not_touched_again(play: Play) -> None:
    first = play.message()
    await first.open("Working")
    await first.close(final_text="The answer.", blocks=FOOTER)
    calls = len(play.slack.calls())

    second = play.message()
    await second.open("Working")
    await second.reset("Something else")
    await second.close(final_text="Something else")

    assert play.texts() == ["The answer."]
    assert {call.method for call in play.slack.calls()[calls:]} == {"agents.sessions.setStatus"}


async def test_a_successor_keeps_the_parts_that_are_right_and_rewrites_the_rest(play: Play) -> None:
    first = play.message()
    await first.open("Working")
    for start in range(0, len(LONG), 1000):
        await first.text(LONG[start : start + 1000])
    await play.slack.wait_for(lambda: len(play.parts()) >= 3)
    await _kill(first)
    kept = play.parts()[0]
    changed = LONG[:12_000] + "\n\nA different end."

    second = play.message()
    await second.open("Working")
    await second.reset(changed)
    await second.close(blocks=FOOTER)

    assert play.shown() == markdown(changed)
    assert play.parts()[0].ts == kept.ts
    assert not play.parts()[0].edited


async def test_messages_that_a_shorter_answer_does_not_need_are_removed(play: Play) -> None:
    first = play.message()
    await first.open("Working")
    for start in range(0, len(LONG), 1000):
        await first.text(LONG[start : start + 1000])
    await play.slack.wait_for(lambda: len(play.parts()) >= 3)
    await _kill(first)

    second = play.message()
    await second.open("Working")
    await second.close(final_text="Short after all.")

    assert play.texts() == ["Short after all."]


async def test_a_worker_that_lost_its_turn_writes_nothing_more(play: Play) -> None:
    zombie = play.message()
    await zombie.open("Working")
    await zombie.text("Begun.")
    await play.in_time(lambda: '"open"' in play.ledger.state, step=0)
    play.ledger.taken_over = True
    heir_notes = Notebook(state=play.ledger.state)
    heir = play.message(heir_notes)
    await heir.open("Working")
    await heir.close(final_text="Begun. Ended by the heir.")

    await zombie.text(" Words of a zombie.")
    with pytest.raises(Stale):
        await zombie.close(final_text="Begun. Ended by a zombie.")

    assert play.texts() == ["Begun. Ended by the heir."]


async def test_a_message_that_a_paused_worker_created_too_late_is_taken_back(play: Play) -> None:
    class Overtaken(Notebook):
        """After the first save a successor looks, finds nothing, and shows a message of its own."""

        async def save(self, state: dict[str, Any]) -> None:
            await super().save(state)
            self.taken_over = True
            own = {"index": 0, "ts": "1800000000.999999", "started_at": play.time.now}
            self.state = _json({"parts": [own]})

    zombie = play.message(Overtaken())
    await zombie.open("Working")
    await play.in_time(lambda: [each for each in play.slack.calls("chat.delete") if each.answered_at], step=0)

    assert play.parts() == []
    with pytest.raises(Stale):
        await zombie.close(final_text="Too late.")


async def test_a_draining_process_leaves_no_stream_open_and_another_goes_on(play: Play) -> None:
    first = play.message()
    await first.open("Working")
    await first.text("Half ")
    await play.see("Half ")
    await first.abandon()
    assert not play.parts()[0].streaming

    second = play.message()
    await second.open("Working")
    await second.reset("Half ")
    await second.text("and half.")
    await second.close()

    assert play.texts() == ["Half and half."]


async def test_draining_does_not_wait_for_a_slack_that_is_away(play: Play) -> None:
    message = play.message()
    await message.open("Working")
    await message.text("Half ")
    await play.see("Half ")
    play.slack.faults.calls.add("*", CallFault.failing(503), times=100)
    await message.abandon(deadline=0.5)

    assert play.texts() == ["Half "]


async def _kill(message: GrowingMessage) -> None:
    """End a process in the middle of whatever it does: nothing is tidied up."""
    await message.cancel()


def _json(state: object) -> str:
    return json.dumps(state)


# -- chaos -----------------------------------------------------------------------------------------------

WHOLE = "\n\n".join(
    f"## Step {number}\n\n- check `a < b` and <https://a.example/{number}>\n- tell @here\n\n"
    f"```sh\nkubectl get pods -n team-{number}\n```\n" + "more words to read " * 20
    for number in range(40)
)
TROUBLE = (
    CallFault.limited(2),
    CallFault.failing(503),
    CallFault.failing(503, applied=True),
    CallFault.dropped(applied=True),
    CallFault.dropped(applied=False),
)
CREATED_AND_GROWN = (
    "chat.startStream",
    "chat.appendStream",
    "chat.stopStream",
    "chat.postMessage",
    "chat.update",
    "*",
)


@pytest.mark.parametrize("seed", range(12))
async def test_whatever_fails_and_whoever_dies_the_answer_is_seen_once_and_whole(
    play: Play, seed: int
) -> None:
    dice = random.Random(seed)
    told = 0
    for _ in range(6):
        message = play.message(sleep=play.time.pass_over if dice.random() < 0.5 else play.time.sleep)
        for _ in range(dice.randrange(4)):
            play.slack.faults.calls.add(dice.choice(CREATED_AND_GROWN), dice.choice(TROUBLE))
        try:
            await message.open("Working")
            await message.reset(WHOLE[:told])
            at = told
            for _ in range(dice.randrange(1, 12)):
                delta = WHOLE[at : at + dice.randrange(1, 900)]
                await message.text(delta)
                at += len(delta)
                play.time.advance(dice.choice((0, 0.3, 1, 3, 100)))
                await asyncio.sleep(dice.random() * 0.02)
            told = dice.randrange(told, at + 1)  # how far a turn got is stored elsewhere, a little behind
        except SlackUnavailable:
            pass
        await (message.abandon(1) if dice.random() < 0.3 else _kill(message))
        await asyncio.sleep(0.02)
        await play.quiet()  # what was on its way arrives before a successor looks
    play.slack.faults.clear()
    last = play.message(sleep=play.time.pass_over)
    await last.open("Working")
    await last.close(final_text=WHOLE, blocks=FOOTER)

    assert _rejoined(play.texts()) == WHOLE
    assert not any(part.streaming for part in play.parts())
    numbers = [part.metadata["event_payload"]["part"] for part in play.parts() if part.metadata]
    assert len(numbers) == len(set(numbers)) == len(play.parts())


def _rejoined(texts: list[str]) -> str:
    """The texts of the parts as one, without the fences that cutting code in two added."""
    whole = ""
    for text in (as_read(each) for each in texts):
        inside = text.removeprefix("```sh\n")
        ways = (
            whole + text,
            *(whole.removesuffix(end) + inside for end in ("```", "\n```")),
            *(whole.removesuffix("`") + text.removeprefix(begin) for begin in ("` ", "`")),
        )
        whole = next((way for way in ways if WHOLE.startswith(way[: len(whole) + 40])), ways[0])
    return whole


def as_read(text: str) -> str:
    return text.replace(JOINER, "").replace("&lt;", "<").replace("&gt;", ">")
