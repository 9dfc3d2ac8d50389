"""The thread of an investigation in a real workspace: everything once, whoever died on the way."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import pytest

from app.conversations.reply import NotShown
from app.investigations.evidence import Finding
from app.investigations.surface import DIAGNOSED, Headline, IncidentSurface, IncidentThread
from app.playground.slack import CallFault, Message
from app.slack.client import Pace, SlackUnavailable
from app.slack.incident_surface import SlackIncidentSurface, ThreadNotOpened
from app.slack.incoming import Me
from tests.slack.conftest import Notebook, Play
from tests.slack.test_incident_blocks import ID, TOLD, texts

CHANNEL = "C0INCIDENTS"
PNG = b"\x89PNG" + b"0" * 100
MANY = replace(TOLD, findings=tuple(Finding(f"E{n}", "log", "loki", f"line {n}") for n in range(1, 20)))
WAITING, ANSWERED = "⏳ Waiting for the model.", "✅ The model has answered."
HEADLINE = Headline("High error rate", service="checkout", severity="P1", started_at=1_800_000_000.0)


def surface(play: Play) -> SlackIncidentSurface:
    return SlackIncidentSurface(
        play.client,
        Me("T0ACME", "U0AGENT", "B0AGENT"),
        Pace(clock=play.time.clock, sleep=play.time.pass_over),
        clock=play.time.clock,
        sleep=play.time.pass_over,
    )


def thread(play: Play, ledger: Notebook | None = None, id: UUID = ID) -> IncidentThread:
    given: IncidentSurface = surface(play)
    return given.thread(id, CHANNEL, ledger or play.ledger)


def messages(play: Play) -> list[Message]:
    return [each for each in play.slack.channel(CHANNEL) if each.user == "U0AGENT"]


def parts(play: Play) -> list[str]:
    """The parts of the thread in their order, files by their names."""
    names = {id_: file.name for id_, file in play.slack.workspace.files.items()}
    return [
        message.metadata["event_payload"]["part"] if message.metadata else names[message.files[0]]
        for message in messages(play)
    ]


async def whole(thread: IncidentThread) -> None:
    """Everything an investigation shows, in the order in which it happens."""
    await thread.open(HEADLINE)
    await thread.evidence_brief(MANY)
    await thread.headline(replace(HEADLINE, state="evidence", said="It began with a rollout."))
    await thread.all_evidence(MANY)
    await thread.chart(PNG, "Error rate of checkout: rose at 08:35.")
    await thread.waits(WAITING)
    await thread.waited(ANSWERED)
    await thread.final_brief(MANY)
    await thread.headline(replace(HEADLINE, state="diagnosed"))
    await thread.note("The incident is resolved.")


WHOLE = [
    "root",
    "evidence",
    "evidence-7d4c2b8e.md",
    "symptom-7d4c2b8e.png",
    "waits:1",
    "final:1",
    "evidence-7d4c2b8e-1.md",
    "note",
]


def shown(play: Play) -> list[str]:
    return [part.split(":")[0] if part.startswith("note") else part for part in parts(play)]


async def test_an_investigation_is_one_thread(play: Play) -> None:
    given = thread(play)
    where = await given.open(HEADLINE)
    await whole(given)

    assert where == ("T0ACME", CHANNEL, messages(play)[0].ts)
    assert shown(play) == WHOLE
    assert {message.thread_ts for message in messages(play)} == {where.thread_ts}
    assert all(
        message.metadata
        == {"event_type": "sre_agent_turn", "event_payload": {"turn_id": str(ID), "part": part}}
        for message, part in zip(messages(play), parts(play), strict=True)
        if message.metadata
    )


async def test_the_headline_follows_the_investigation_and_the_evidence_brief_stays(play: Play) -> None:
    await whole(thread(play))

    root, evidence = messages(play)[:2]
    assert texts(root.blocks)[0].startswith("🔎 P1 · checkout")
    assert root.metadata is not None
    assert "🟠" in texts(evidence.blocks)[0]
    assert evidence.edited is None


async def test_a_chart_has_its_words(play: Play) -> None:
    given = thread(play)
    await given.open(HEADLINE)
    await given.chart(PNG, "Error rate of checkout: rose at 08:35.")

    [call] = play.slack.calls("files.getUploadURLExternal")
    assert call.arguments["alt_txt"] == "Error rate of checkout: rose at 08:35."
    [file] = messages(play)[1].files
    assert play.slack.file(file) == PNG


async def test_a_note_that_calls_tags_the_team_of_the_settings_once_and_nobody_else(play: Play) -> None:
    given = replace(surface(play), sre_team_id="S0SRETEAM").thread(ID, CHANNEL, play.ledger)
    await given.open(HEADLINE)
    hostile = "<!subteam^S0OTHERS> <!channel> <@U0MAYA> @here I sent an event."
    for _ in range(2):
        await given.note(hostile, calls=True)
    await given.note(f"{hostile} Again.")

    called, said = messages(play)[1:]
    assert json.dumps(called.blocks).count("<!subteam^S0SRETEAM>") == 1
    for each in (called, said):
        rest = (json.dumps(each.blocks) + each.text).replace("<!subteam^S0SRETEAM>", "")
        assert not any(mark in rest for mark in ("<!", "<@", "<#"))


async def test_without_a_team_in_the_settings_a_note_that_calls_is_a_note(play: Play) -> None:
    given = thread(play)
    await given.open(HEADLINE)
    await given.note("I could not call anybody.", calls=True)

    assert len(messages(play)[1].blocks) == 1


async def test_everything_again_changes_nothing(play: Play) -> None:
    await whole(thread(play))
    before = messages(play)
    posts = len(play.slack.calls("chat.postMessage"))
    again = thread(play)
    await again.open(HEADLINE)
    await again.final_brief(MANY)
    await again.headline(replace(HEADLINE, state="diagnosed"))
    await again.note("The incident is resolved.")

    assert messages(play) == before
    assert len(play.slack.calls("chat.postMessage")) == posts


@dataclass
class Dying(Notebook):
    """A ledger whose process is killed in the place of its n-th save."""

    dies_at: int = 0

    async def save(self, state: dict[str, Any]) -> None:
        if self.saves == self.dies_at:
            raise KeyboardInterrupt
        await super().save(state)


@pytest.mark.parametrize("dies_at", range(24))
async def test_whoever_dies_between_two_steps_leaves_nothing_to_be_done_twice(
    play: Play, dies_at: int
) -> None:
    dying = Dying(dies_at=dies_at)
    try:
        await whole(thread(play, dying))
        assert dies_at >= dying.saves, "the last of these must live"
    except KeyboardInterrupt:
        await whole(thread(play, Notebook(state=dying.state)))

    assert shown(play) == WHOLE
    assert ANSWERED in [each.text for each in messages(play)]


@pytest.mark.parametrize("applied", [True, False])
async def test_a_lost_answer_is_looked_for_before_posting_again(play: Play, applied: bool) -> None:
    play.slack.faults.calls.add("chat.postMessage", CallFault.failing(503, applied=applied))
    given = thread(play)
    await given.open(HEADLINE)
    play.slack.faults.calls.add("chat.postMessage", CallFault.dropped(applied=applied))
    await given.final_brief(TOLD)

    assert parts(play) == ["root", "final:1"]


async def test_a_wait_is_one_note_whoever_tells_of_it_until_it_is_over(play: Play) -> None:
    given = thread(play)
    await given.open(HEADLINE)
    await given.waited(ANSWERED)
    assert parts(play) == ["root"]

    for sentence in (WAITING, "⏳ Waiting: the model is overloaded."):
        await given.waits(sentence)
        await given.waits(sentence)
        assert messages(play)[1].text == sentence
    successor = thread(play)
    await successor.open(HEADLINE)
    await successor.waits(WAITING)
    await successor.waited(ANSWERED)

    assert parts(play) == ["root", "waits:1"]
    assert messages(play)[1].text == ANSWERED
    assert len(play.slack.calls("chat.update")) == 3


async def test_a_wait_whose_note_nobody_saw_succeed_is_ended_in_it(play: Play) -> None:
    given = thread(play)
    await given.open(HEADLINE)
    await given.waits(WAITING)
    state = json.loads(play.ledger.state)
    state["messages"]["waits:1"] |= {"ts": None, "state": "intended"}
    successor = thread(play, Notebook(state=json.dumps(state)))
    await successor.open(HEADLINE)
    await successor.waited(ANSWERED)

    assert [each.text for each in messages(play)][1:] == [ANSWERED]


async def test_a_wait_that_was_never_posted_needs_no_end(play: Play) -> None:
    await thread(play).open(HEADLINE)
    state = json.loads(play.ledger.state)
    state["messages"]["waits:1"] = {"started_at": play.time.now}
    successor = thread(play, Notebook(state=json.dumps(state)))
    await successor.open(HEADLINE)
    await successor.waited(ANSWERED)

    assert parts(play) == ["root"]


async def test_another_investigation_s_thread_is_not_taken_for_ours(play: Play) -> None:
    await thread(play).open(HEADLINE)
    lost = Notebook(state=json.dumps({"messages": {"root": {"started_at": play.time.now}}}))
    await thread(play, lost, UUID(int=7)).open(HEADLINE)

    assert parts(play) == ["root", "root"]


async def test_blocks_that_are_refused_leave_the_words(play: Play) -> None:
    given = thread(play)
    await given.open(HEADLINE)
    play.slack.faults.calls.add("chat.postMessage", CallFault.refused("invalid_blocks"))
    await given.final_brief(TOLD)

    final = messages(play)[1]
    assert final.blocks == []
    assert "checkout fails 12 %" in final.text
    assert final.metadata is not None


async def test_a_headline_somebody_deleted_costs_the_headline_only(play: Play) -> None:
    given = thread(play)
    where = await given.open(HEADLINE)
    play.slack.faults.calls.add("chat.update", CallFault.refused("message_not_found"))
    await given.headline(replace(HEADLINE, state="failed"))
    await given.failed("The model could not be reached.", trace_id="abc123")

    assert parts(play) == ["root", "failed:1"]
    assert where.thread_ts == messages(play)[0].ts


async def test_a_failure_says_why_and_what_can_be_done(play: Play) -> None:
    given = thread(play)
    await given.open(HEADLINE)
    await given.failed("The budget of this hour is used up.", trace_id="abc123")

    said = "\n".join(texts(messages(play)[1].blocks))
    assert "Reason: The budget of this hour is used up." in said
    assert "🔎 Dig deeper" in said
    assert "Trace `abc123`" in said


async def test_a_channel_that_will_not_have_it_says_so_for_good(play: Play) -> None:
    with pytest.raises(NotShown):
        await surface(play).thread(ID, "C0GENERAL", play.ledger).open(HEADLINE)


async def test_slack_away_can_be_tried_again(play: Play) -> None:
    play.slack.faults.calls.add("chat.postMessage", CallFault.limited(99))
    with pytest.raises(SlackUnavailable):
        await thread(play).open(HEADLINE)
    await thread(play).open(HEADLINE)

    assert parts(play) == ["root"]


async def test_a_second_diagnosis_is_a_message_of_its_own(play: Play) -> None:
    given = thread(play)
    await given.open(HEADLINE)
    await given.final_brief(TOLD)
    await given.final_brief(replace(TOLD, buttons=DIAGNOSED), round=2)

    assert parts(play) == ["root", "final:1", "final:2"]


async def test_only_a_long_brief_has_a_file_and_lives_without_it(play: Play) -> None:
    given = thread(play)
    await given.open(HEADLINE)
    await given.evidence_brief(TOLD)
    await given.all_evidence(TOLD)
    await given.final_brief(TOLD)
    play.slack.faults.calls.add("files.getUploadURLExternal", CallFault.refused("missing_scope"))
    await given.final_brief(MANY, round=2)

    assert parts(play) == ["root", "evidence", "final:1", "final:2"]


async def test_what_a_final_brief_does_not_list_is_in_the_file_it_speaks_of(play: Play) -> None:
    given = thread(play)
    await given.open(HEADLINE)
    await given.final_brief(TOLD)
    await given.final_brief(MANY, round=2)

    assert parts(play) == ["root", "final:1", "final:2", "evidence-7d4c2b8e-2.md"]
    assert "11 more in the attached file" in "\n".join(texts(messages(play)[2].blocks))
    assert b"## E19: line 19" in play.slack.file(messages(play)[3].files[0])


async def test_a_short_end_without_a_model_attaches_nothing_again(play: Play) -> None:
    alone = replace(MANY, brief=TOLD.brief.model_copy(update={"model": None}))
    given = thread(play)
    await given.open(HEADLINE)
    await given.evidence_brief(alone)
    await given.all_evidence(alone)
    await given.final_brief(alone)
    await given.final_brief(replace(alone, failure="The model did not answer."), round=2)

    assert parts(play)[2:] == ["evidence-7d4c2b8e.md", "final:1", "final:2", "evidence-7d4c2b8e-2.md"]


async def test_nothing_is_said_in_a_thread_nobody_opened(play: Play) -> None:
    with pytest.raises(ThreadNotOpened):
        await thread(play).note("x")
