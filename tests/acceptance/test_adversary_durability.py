"""Attempts to lose a message, to answer twice, or to leave a thread waiting for ever; none may succeed."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any
from uuid import UUID

import pytest
from slack_sdk.web.async_client import AsyncWebClient
from sqlalchemy import text

from app import jobs
from app.conversations import accept, repository
from app.conversations.turn import TurnLedger
from app.jobs import Queue
from app.playground.slack.faults import CallFault
from app.slack.client import Pace, web_session
from app.slack.reply import Question, SlackReply
from app.storage.engine import begin
from app.storage.errors import DatabaseUnavailable
from tests.acceptance.conftest import CHECKOUT, GUEST, LAUNCH, MAYA, OMAR, STRANGER, Stack
from tests.acceptance.test_conversation import shown
from tests.acceptance.test_durability import forbid_connections, runtime_database, slow, visible
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.script import conclude, say


def reactions(stack: Stack, ts: str) -> set[str]:
    return set(next(m for m in stack.slack.channel(CHECKOUT) if m.ts == ts).reactions)


async def accepted(stack: Stack, *questions: str) -> None:
    """Wait until the questions carry 👀."""
    await stack.slack.wait_for(lambda: all("eyes" in reactions(stack, ts) for ts in questions))


async def statement(stack: Stack, *statements: str) -> None:
    async with stack.engine.begin() as connection:
        for each in statements:
            await connection.exec_driver_sql(each)


async def becomes(stack: Stack, query: str, wanted: list[tuple[Any, ...]]) -> None:
    """Wait until the rows of a query are those wanted."""
    found, ends = await stack.rows(query), time.monotonic() + 90
    while found != wanted and time.monotonic() < ends:
        await asyncio.sleep(0.1)
        found = await stack.rows(query)
    assert found == wanted


async def press_stop(stack: Stack, thread_ts: str, user: str = OMAR) -> None:
    await accept.stop(stack.engine, team_id="T0ACME", channel_id=CHECKOUT, thread_ts=thread_ts, user_id=user)


# -- Stop ------------------------------------------------------------------------------------------------


async def test_stop_clears_the_eyes_of_questions_that_were_waiting(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(slow(conclude(), seconds=30))
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    waiting = await stack.slack.say(OMAR, CHECKOUT, "and the tier?", ts)
    await accepted(stack, waiting)
    await stack.slack.stop(MAYA, CHECKOUT, ts)
    await becomes(stack, "SELECT DISTINCT status FROM turns", [("cancelled",)])
    assert [reactions(stack, each) for each in (ts, waiting)] == [set(), set()]
    assert len(stack.answers(CHECKOUT, ts)) == 1


@pytest.mark.parametrize("user", [GUEST, STRANGER])
async def test_whoever_is_not_answered_stops_nobody(stack: Stack, model: FakeAnthropic, user: str) -> None:
    model.script.add(slow(conclude(), seconds=3))
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    await stack.slack.stop(user, CHECKOUT, ts)
    await stack.answered(CHECKOUT, ts)
    assert await stack.rows("SELECT status, stopped_by FROM turns") == [("done", None)]
    assert "Stopped" not in shown(stack.answers(CHECKOUT, ts))


async def test_stop_ends_a_turn_that_waits_for_its_next_try(stack: Stack) -> None:
    await stack.serve(worker=False)
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await accepted(stack, ts)
    await statement(
        stack,
        "UPDATE turns SET status = 'running', attempt = 1",
        "UPDATE procrastinate_jobs SET attempts = 1, scheduled_at = now() + interval '1 hour'",
    )
    await press_stop(stack, ts)
    await stack.serve(door=False)
    await becomes(stack, "SELECT status, stopped_by FROM turns", [("cancelled", OMAR)])
    assert reactions(stack, ts) == set()


@pytest.mark.parametrize(
    ("found", "ended", "said"),
    [("stopped_by = 'U0OMAR'", "cancelled", "Stopped"), ("attempt = 5", "failed", "interrupted each time")],
)
async def test_a_turn_that_ends_before_it_begins_again_ends_its_predecessors_message(
    stack: Stack, model: FakeAnthropic, found: str, ended: str, said: str
) -> None:
    model.script.add(slow(conclude(), seconds=30))
    leaving = await stack.serve(SHUTDOWN_GRACE_SECONDS="0.2")
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    await leaving.stop()
    await statement(stack, f"UPDATE turns SET {found}")
    await stack.serve()
    await becomes(stack, "SELECT status FROM turns", [(ended,)])
    [answer] = stack.answers(CHECKOUT, ts)
    assert not answer.streaming
    assert said in shown([answer])
    assert "eyes" not in reactions(stack, ts)
    assert stack.slack.workspace.sessions[(CHECKOUT, ts)].status == "active"


@pytest.mark.slow
async def test_stop_pressed_on_a_worker_that_then_dies_leaves_one_message_and_no_stream(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(slow(conclude(), seconds=40))
    await stack.serve(worker=False)
    victim = await stack.spawn()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    victim.send_signal(signal.SIGSTOP)
    await stack.slack.stop(MAYA, CHECKOUT, ts)
    await becomes(stack, "SELECT stopped_by FROM turns", [(MAYA,)])
    victim.send_signal(signal.SIGKILL)
    await stack.spawn()
    await becomes(stack, "SELECT status FROM turns", [("cancelled",)])
    [answer] = stack.answers(CHECKOUT, ts)
    assert not answer.streaming
    assert "Stopped" in shown([answer])
    assert reactions(stack, ts) == set()


async def test_stop_pressed_while_the_answer_is_being_completed_comes_too_late(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(say("Mind the timeout.", conclude()))
    stack.slack.faults.calls.add("chat.stopStream", CallFault.slow(2))
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await stack.slack.wait_for(lambda: stack.slack.calls("chat.stopStream"))
    await press_stop(stack, ts, MAYA)
    await press_stop(stack, ts, OMAR)
    await becomes(stack, "SELECT status FROM turns", [("done",)])
    [answer] = stack.answers(CHECKOUT, ts)
    assert "Mind the timeout." in shown([answer])
    assert "Stopped" not in shown([answer])
    assert reactions(stack, ts) == {"white_check_mark"}
    assert await stack.rows("SELECT response_text FROM audit_log WHERE action = 'message'") == [
        ("Mind the timeout.",)
    ]


# -- the queue -------------------------------------------------------------------------------------------


async def test_a_job_whose_end_could_not_be_stored_does_not_block_its_thread(stack: Stack) -> None:
    await statement(
        stack,
        "CREATE SEQUENCE ends",
        """CREATE FUNCTION lose() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF nextval('ends') = 1 THEN RAISE EXCEPTION 'lost'; END IF; RETURN NEW; END $$""",
        """CREATE TRIGGER lose BEFORE UPDATE OF status ON procrastinate_jobs FOR EACH ROW
           WHEN (OLD.status = 'doing') EXECUTE FUNCTION lose()""",
    )
    await stack.serve()
    ts, _ = await stack.ask()
    _, answers = await stack.ask("and the tier?", thread_ts=ts)
    assert len(answers) == 2
    await becomes(stack, "SELECT DISTINCT status::text FROM procrastinate_jobs", [("succeeded",)])


class Working:
    """A handler that counts its runs and waits in each until it is let go."""

    def __init__(self) -> None:
        self.runs = 0
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def __call__(self) -> None:
        self.runs += 1
        self.begun.set()
        await self.go.wait()


async def queue(stack: Stack, handler: jobs.Handler, **options: Any) -> Queue:
    made = Queue(stack.environment["DATABASE_URL"], **({"concurrency": 2, "grace_seconds": 1} | options))
    made.handle("work", handler)
    await made.start()
    stack.exits.push_async_callback(made.stop)
    return made


async def deferred(stack: Stack) -> int:
    async with begin(stack.engine) as connection:
        return await jobs.defer(connection, jobs.Deferral("work", {}, lock="one"))


RESCUE = "UPDATE procrastinate_jobs SET status = 'todo', worker_id = NULL, attempts = attempts + 1"


async def test_a_superseded_worker_does_not_end_the_job_of_its_successor(stack: Stack) -> None:
    first, second = Working(), Working()
    await queue(stack, first.__call__, concurrency=1)
    await deferred(stack)
    await asyncio.wait_for(first.begun.wait(), 60)
    await queue(stack, second.__call__)
    await statement(stack, RESCUE)
    await asyncio.wait_for(second.begun.wait(), 60)
    first.go.set()
    await asyncio.sleep(1)
    assert await stack.rows("SELECT status::text FROM procrastinate_jobs") == [("doing",)]
    second.go.set()
    await becomes(stack, "SELECT status::text FROM procrastinate_jobs", [("succeeded",)])


async def test_a_worker_that_took_its_own_rescued_job_ends_it_once(stack: Stack) -> None:
    begun: asyncio.Queue[asyncio.Event] = asyncio.Queue()

    async def work() -> None:
        go = asyncio.Event()
        begun.put_nowait(go)
        await go.wait()

    await queue(stack, work)
    await deferred(stack)
    first = await asyncio.wait_for(begun.get(), 60)
    await statement(stack, RESCUE)
    second = await asyncio.wait_for(begun.get(), 60)
    first.set()
    await asyncio.sleep(1)
    assert await stack.rows("SELECT status::text FROM procrastinate_jobs") == [("doing",)]
    second.set()
    await becomes(stack, "SELECT status::text FROM procrastinate_jobs", [("succeeded",)])


async def test_a_worker_that_was_struck_off_while_it_lived_goes_on_taking_jobs(stack: Stack) -> None:
    work = Working()
    work.go.set()
    await queue(stack, work.__call__)
    await statement(stack, "DELETE FROM procrastinate_workers")
    await deferred(stack)
    await becomes(stack, "SELECT status::text FROM procrastinate_jobs", [("succeeded",)])
    assert await stack.rows("SELECT count(*) FROM procrastinate_workers") == [(1,)]


async def test_a_stopped_job_that_could_not_end_properly_is_run_again(stack: Stack) -> None:
    runs = 0
    begun = asyncio.Event()

    async def work() -> None:
        nonlocal runs
        runs += 1
        begun.set()
        if runs == 1:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                raise RuntimeError("the goodbye could not be said") from None

    await queue(stack, work)
    job_id = await deferred(stack)
    await asyncio.wait_for(begun.wait(), 60)
    async with begin(stack.engine) as connection:
        await jobs.interrupt(connection, job_id)
    await becomes(stack, "SELECT status::text FROM procrastinate_jobs", [("succeeded",)])
    assert runs == 2


async def test_a_job_outlives_an_absence_of_the_database_that_is_longer_than_the_grace(
    stack: Stack, postgres_url: str
) -> None:
    work = Working()
    await queue(stack, work.__call__)
    await deferred(stack)
    await asyncio.wait_for(work.begun.wait(), 60)
    name = runtime_database(stack)
    await forbid_connections(postgres_url, name, True)
    await asyncio.sleep(4)
    await forbid_connections(postgres_url, name, False)
    work.go.set()
    await becomes(stack, "SELECT status::text FROM procrastinate_jobs", [("succeeded",)])
    assert work.runs == 1


async def test_jobs_are_taken_again_soon_after_the_database_came_back(
    stack: Stack, postgres_url: str
) -> None:
    work = Working()
    work.go.set()
    await queue(stack, work.__call__)
    name = runtime_database(stack)
    await forbid_connections(postgres_url, name, True)
    await asyncio.sleep(3)
    await forbid_connections(postgres_url, name, False)
    await stack.engine.dispose()
    await deferred(stack)
    await asyncio.wait_for(work.begun.wait(), 60)


async def test_the_queue_stops_within_its_grace_while_the_database_is_away(
    stack: Stack, postgres_url: str
) -> None:
    work = Working()
    stopping = await queue(stack, work.__call__)
    await deferred(stack)
    await asyncio.wait_for(work.begun.wait(), 60)
    name = runtime_database(stack)
    await forbid_connections(postgres_url, name, True)
    try:
        await asyncio.sleep(2)
        async with asyncio.timeout(60):
            await stopping.stop()
    finally:
        await forbid_connections(postgres_url, name, False)
    await queue(stack, work.__call__)
    work.begun.clear()
    work.go.set()
    await becomes(stack, "SELECT status::text FROM procrastinate_jobs", [("succeeded",)])


# -- messages that arrive late or twice ------------------------------------------------------------------


async def test_follow_ups_that_came_before_their_mention_was_stored_are_answered(stack: Stack) -> None:
    stack.slack.dispatcher.retry_delays = (5,)
    stack.slack.faults.deliveries.lose_events = 2  # a mention is two events
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    early = await stack.slack.say(OMAR, CHECKOUT, "and its teir?", ts)
    await stack.slack.say(MAYA, CHECKOUT, "<@U0OMAR> look at this, please", ts)
    await stack.slack.edit(OMAR, CHECKOUT, early, "and its tier?")
    await becomes(stack, "SELECT count(*) > 0 FROM sightings", [(True,)])
    assert await stack.rows("SELECT 1 FROM turns") == []
    await stack.answered(CHECKOUT, ts)
    answers = await stack.answered(CHECKOUT, early, ts)
    assert len(answers) == 2
    assert await stack.rows("SELECT user_id, question FROM turns ORDER BY job_id") == [
        (MAYA, "what do I need before we launch checkout?"),
        (OMAR, "and its tier?"),
    ]


async def test_eyes_that_come_after_the_answer_are_taken_away_again(stack: Stack) -> None:
    stack.slack.faults.calls.add("reactions.add", CallFault.limited(3))
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await stack.answered(CHECKOUT, ts)
    await stack.slack.wait_for(lambda: len(stack.slack.calls("reactions.add")) == 3)
    await stack.slack.wait_for(lambda: reactions(stack, ts) == {"white_check_mark"})
    await asyncio.sleep(0.5)
    assert reactions(stack, ts) == {"white_check_mark"}


async def test_a_message_waits_until_slack_says_again_who_people_are(stack: Stack) -> None:
    stack.slack.faults.calls.add("users.info", CallFault.failing(503), times=4)
    await stack.serve()
    _, answers = await stack.ask()
    assert len(answers) == 1


# -- texts -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("odd", ["a \\u0000 of checkout", "a\0 of checkout", "a\ud800 of checkout", "\\"])
async def test_odd_characters_in_a_question_cost_no_answer(
    stack: Stack, model: FakeAnthropic, odd: str
) -> None:
    model.script.add(say("Here it is.", conclude()))
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, f"<@U0AGENT> what is {odd}")
    [answer] = await stack.answered(CHECKOUT, ts)
    assert "Here it is." in shown([answer])


@pytest.mark.parametrize("odd", ["say \\u0000 here", "say \0 here", "say \ud800 here"])
async def test_odd_characters_of_the_model_cost_no_answer(
    stack: Stack, model: FakeAnthropic, odd: str
) -> None:
    model.script.add(say(f"{odd}\nDone.", conclude()))
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    [answer] = await stack.answered(CHECKOUT, ts)
    assert "Done." in shown([answer])
    assert await stack.rows("SELECT attempt FROM turns") == [(1,)]


# -- places ----------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("error", ["is_archived", "not_in_channel", "channel_not_found"])
async def test_a_channel_that_is_closed_in_mid_turn_does_not_keep_its_turn_for_ever(
    stack: Stack, model: FakeAnthropic, error: str
) -> None:
    model.script.add(slow(conclude(), seconds=1))
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    for method in ("startStream", "appendStream", "stopStream", "update", "postMessage"):
        stack.slack.faults.calls.add(f"chat.{method}", CallFault.refused(error), times=1000)
    await becomes(stack, "SELECT status FROM turns", [("failed",)])
    stack.slack.faults.clear()
    assert "eyes" not in reactions(stack, ts)
    model.script.add(say("Here again.", conclude()))
    _, answers = await stack.ask("and now?", thread_ts=ts)
    assert "Here again." in shown(answers)


async def test_a_thread_that_may_not_be_read_is_answered_nevertheless(stack: Stack) -> None:
    root = await stack.slack.say(MAYA, CHECKOUT, "the /pay endpoint of checkout worries me")
    stack.slack.faults.calls.add("conversations.replies", CallFault.refused("missing_scope"), times=1000)
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, "<@U0AGENT> what does checkout need?", root)
    assert len(await stack.answered(CHECKOUT, ts, root)) == 1


async def test_a_question_that_is_deleted_in_mid_turn_ends_its_turn(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(slow(conclude(), seconds=2))
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    await stack.slack.delete(MAYA, CHECKOUT, ts)
    await becomes(stack, "SELECT status FROM turns", [("done",)])


# -- the fence -------------------------------------------------------------------------------------------


class LateClient(AsyncWebClient):
    """A client whose streams begin late, as those of a worker that was paused in mid-call."""

    held = asyncio.Event()
    let_go = asyncio.Event()

    async def chat_startStream(self, **arguments: Any) -> Any:
        self.held.set()
        await self.let_go.wait()
        return await super().chat_startStream(**arguments)


async def test_a_message_that_a_superseded_worker_creates_late_is_taken_back(stack: Stack) -> None:
    await stack.serve(worker=False)
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await accepted(stack, ts)
    [(turn_id,)] = await stack.rows("SELECT id FROM turns")
    async with web_session() as session:
        LateClient.held, LateClient.let_go = asyncio.Event(), asyncio.Event()
        late = await reply(stack, turn_id, LateClient, session)
        await late.open()
        await asyncio.wait_for(LateClient.held.wait(), 60)
        successor = await reply(stack, turn_id, AsyncWebClient, session)
        await successor.open()
        await stack.slack.wait_for(lambda: stack.answers(CHECKOUT, ts))
        await asyncio.sleep(0.5)
        LateClient.let_go.set()
        await stack.slack.wait_for(lambda: len(stack.answers(CHECKOUT, ts)) == 2)
        await stack.slack.wait_for(lambda: len(stack.answers(CHECKOUT, ts)) == 1)
        await successor.cancelled(None)
        await late.abandon()
        [answer] = stack.answers(CHECKOUT, ts)
        assert "Stopped" in shown([answer])


async def reply(stack: Stack, turn_id: UUID, kind: type[AsyncWebClient], session: Any) -> SlackReply:
    """The reply of a new attempt of a turn."""
    async with begin(stack.engine) as connection:
        turn = await repository.begin_turn(connection, turn_id)
    assert turn is not None
    client = kind(stack.slack.workspace.bot_token, base_url=stack.slack.api_url, session=session)
    asked = Question(CHECKOUT, turn.session.thread_ts, turn.message_ts, turn.user_id, turn.session.team_id)
    return SlackReply(client, asked, str(turn.id), TurnLedger(stack.engine, turn), pace=Pace())


# -- the database ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", ["53300", "57P01", "57P03", "08006"])
async def test_a_database_that_is_full_or_restarts_is_said_to_be_away(stack: Stack, code: str) -> None:
    with pytest.raises(DatabaseUnavailable):
        async with begin(stack.engine) as connection:
            await connection.execute(
                text(f"DO $$ BEGIN RAISE EXCEPTION 'so it says' USING ERRCODE = '{code}'; END $$")
            )


@pytest.mark.slow
async def test_a_person_is_told_when_the_database_stays_away_whatever_the_grace(
    stack: Stack, model: FakeAnthropic, postgres_url: str
) -> None:
    model.script.add(slow(conclude(), seconds=3), say("After the pause.", conclude()))
    await stack.serve(SHUTDOWN_GRACE_SECONDS="5")
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    await forbid_connections(postgres_url, runtime_database(stack), True)
    try:
        await stack.slack.wait_for(lambda: "has been away" in shown(stack.answers(CHECKOUT, ts)))
    finally:
        await forbid_connections(postgres_url, runtime_database(stack), False)
    [answer] = await stack.answered(CHECKOUT, ts)
    assert "one retry" in shown([answer]) or "After the pause." in shown([answer])
    assert not answer.streaming
