"""A drill that could not see a loss or a double answer would be worth nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from drills.ground import Ground, ground
from drills.load import Load, Question
from drills.model import answer_to
from drills.table import BEGIN, END, Run, keep, kept, page, table
from drills.tally import Outcome, longest_gap, tally


@pytest.fixture
async def load(database_url: str, tmp_path: Path) -> AsyncIterator[Load]:
    """People on a ground where no program runs; what it would do is done by the tests."""
    async with ground(None, database_url, tmp_path / "drill", 1) as here:  # type: ignore[arg-type]
        yield Load(here)


class Agent:
    """Answers like the program, or worse."""

    def __init__(self, here: Ground) -> None:
        self._here = here
        self._client = AsyncWebClient(here.slack.workspace.bot_token, base_url=here.slack.api_url)

    async def store(self, question: Question) -> str:
        id = str(uuid4())
        async with self._here.engine.begin() as connection:
            for statement in (
                "INSERT INTO sessions (team_id, channel_id, thread_ts) "
                f"VALUES ('T0ACME', '{question.channel}', '{question.thread_ts}') ON CONFLICT DO NOTHING",
                "INSERT INTO turns (id, session_id, kind, status, source_key, user_id, question, message_ts, trace_id) "
                f"SELECT '{id}', id, 'mention', 'done', '{id}', 'U0MAYA', '', '{question.ts}', '{id}' FROM sessions "
                f"WHERE thread_ts = '{question.thread_ts}'",
            ):
                await connection.exec_driver_sql(statement)
        return id

    async def say(self, question: Question, id: str | None, words: str = "Here you are.") -> None:
        payload = {"event_type": "sre_agent_turn", "event_payload": {"turn_id": id, "part": 0}}
        more: dict[str, Any] = {"metadata": json.dumps(payload)} if id else {}
        await self._client.chat_postMessage(
            channel=question.channel, thread_ts=question.thread_ts, text=words, **more
        )

    async def tick(self, question: Question) -> None:
        await self._client.reactions_add(
            channel=question.channel, timestamp=question.ts, name="white_check_mark"
        )

    async def answer(self, question: Question) -> str:
        id = await self.store(question)
        await self.say(question, id, answer_to(question.mark))
        await self.tick(question)
        return id


async def accepted(load: Load) -> Question:
    """A question whose events were all acknowledged; what goes with the program is made up here."""
    question = await load.ask()
    load._events.clear()
    return question


async def test_who_was_answered_once_is_neither_lost_nor_answered_twice(load: Load) -> None:
    await Agent(load.ground).answer(await accepted(load))
    found = await tally("drill", load)
    assert (found.accepted, found.answered, found.twice, found.trouble) == (1, 1, 0, ())
    assert found.held


async def test_a_question_that_was_acknowledged_and_not_answered_is_lost(load: Load) -> None:
    question = await accepted(load)
    found = await tally("drill", load)
    assert (found.accepted, found.lost, found.twice) == (1, 1, 0)
    assert found.trouble == (f"lost: {question.mark}",)


async def test_a_question_that_was_never_acknowledged_is_not_accepted(load: Load) -> None:
    await load.ask()
    assert (await tally("drill", load)).accepted == 0


async def test_an_answer_that_is_stored_and_not_shown_is_lost(load: Load) -> None:
    question = await accepted(load)
    agent = Agent(load.ground)
    await agent.store(question)
    await agent.tick(question)
    assert (await tally("drill", load)).lost == 1


@pytest.mark.parametrize("of_the_turn", [True, False])
async def test_a_second_message_is_seen_whatever_it_says_it_is(load: Load, of_the_turn: bool) -> None:
    question = await accepted(load)
    agent = Agent(load.ground)
    id = await agent.answer(question)
    await agent.say(question, id if of_the_turn else None)
    assert (await tally("drill", load)).twice == 1


async def test_an_answer_that_is_written_twice_into_one_message_is_seen(load: Load) -> None:
    question = await accepted(load)
    agent = Agent(load.ground)
    id = await agent.store(question)
    await agent.say(question, id, f"{answer_to(question.mark)} and {answer_to(question.mark)}")
    await agent.tick(question)
    found = await tally("drill", load)
    assert (found.answered, found.twice) == (1, 1)


async def test_a_page_that_was_accepted_and_has_no_thread_is_lost(load: Load) -> None:
    alarm = await load.page()
    alarm.accepted_at, alarm.investigation_id = alarm.sent_at, str(uuid4())
    found = await tally("drill", load)
    assert (found.accepted, found.answered) == (1, 0)
    assert found.trouble == (f"lost: {alarm.page.rule}",)


def test_silence_is_the_longest_time_between_two_signs() -> None:
    assert longest_gap(10, 20, [12, 13, 19]) == 6
    assert longest_gap(10, 20, []) == 10
    assert longest_gap(10, 20, [5, 25]) == 10


def test_a_row_holds_when_nobody_was_lost_or_answered_twice() -> None:
    held, lost, twice, absent, idle, broken = (
        Outcome("held", 3, 3),
        Outcome("lost", 3, 2),
        Outcome("twice", 3, 3, 1),
        Outcome("absent", not_run="no faketime here"),
        Outcome("idle"),
        Outcome("broken", failed_with="the program ended"),
    )
    assert [each.failed for each in (held, absent)] == [False, False]
    assert [each.failed for each in (lost, twice, idle, broken)] == [True, True, True, True]
    rows = table([held, lost, absent, broken]).splitlines()
    assert [cell.strip() for cell in rows[2].split("|")[1:-1]] == ["held", "3", "3", "0", "0", "", "", "yes"]
    assert rows[3].rstrip(" |").endswith("NO")
    assert "not run: no faketime here" in rows[4]
    assert "NO: the program ended" in rows[5]


def test_the_page_shows_the_newest_run_of_each_drill_in_their_order(tmp_path: Path) -> None:
    file = tmp_path / "drill.json"
    for outcome in (Outcome("kill", 9, 8), Outcome("clock", not_run="no faketime")):
        keep(file, outcome, Run(60, ["kill", "clock"]))
    keep(file, Outcome("kill", 5, 5), Run(60, ["kill"]))
    written = page(f"Before\n{BEGIN}\nold\n{END}\nafter\n", kept(file), ["clock", "kill", "term"])
    assert written.startswith("Before\n")
    assert written.endswith(f"{END}\nafter\n")
    assert "old" not in written
    assert "No run of these was kept: term." in written
    assert "`./run drill kill`" in written
    rows = [line for line in written.splitlines() if line.startswith("| ")]
    assert [row.split("|")[1].strip() for row in rows] == ["drill", "clock", "kill"]
    assert [cell.strip() for cell in rows[2].split("|")[2:4]] == ["5", "5"]
