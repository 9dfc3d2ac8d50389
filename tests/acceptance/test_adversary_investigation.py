"""Attempts to break an investigation: places that refuse, time that is over, people who say Stop."""

from __future__ import annotations

import asyncio

import pytest

from app.conversations.accept import stop
from app.conversations.forgetting import forget
from app.playground.slack.faults import CallFault
from app.playground.stack import Fault
from tests.acceptance.conftest import MAYA, Stack
from tests.acceptance.investigating import INCIDENTS, Incident, diagnosis, incident, told
from tests.fakes.script import Reply, say

pytestmark = pytest.mark.slow


async def settled(one: Incident) -> None:
    """Wait until no job is left."""
    left = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
    await one.becomes(left, [(0,)])


async def test_a_page_whose_channel_is_archived_is_investigated_nevertheless(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        stack.slack.workspace.channels[INCIDENTS].is_archived = True
        await one.page()
        await one.ended()
        await settled(one)
        assert await stack.rows("SELECT status, report IS NOT NULL FROM investigations") == [("done", True)]


async def test_a_thread_that_was_refused_at_first_is_opened_with_the_diagnosis(stack: Stack) -> None:
    """Somebody invites the agent meanwhile: the model is asked, and the thread takes questions."""
    async with incident(stack) as one:
        one.model.script.add(
            say("", diagnosis()),
            say(
                "Roll it back.",
            ),
        )
        stack.slack.faults.calls.add("chat.postMessage", CallFault.refused("not_in_channel"))
        await one.page()
        await one.ended()
        assert "no model is configured" not in told(one.said("final"))
        assert await stack.rows("SELECT count(*) FROM investigations WHERE session_id IS NOT NULL") == [(1,)]


async def test_a_diagnosis_taken_after_its_time_is_expired_and_calls_nobody(stack: Stack) -> None:
    async with incident(stack, worker=False, ALERT_QUEUE_TTL_SECONDS="600") as one:
        async with stack.engine.begin() as connection:
            await connection.exec_driver_sql(
                "CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "NEW.looked_at := now() - interval '1 hour'; RETURN NEW; END $$;"
            )
            await connection.exec_driver_sql(
                "CREATE TRIGGER late BEFORE UPDATE ON investigations FOR EACH ROW "
                "WHEN (NEW.status = 'looked' AND OLD.status = 'looking') EXECUTE FUNCTION late()"
            )
        await stack.serve(door=False, ALERT_QUEUE_TTL_SECONDS="600")
        await one.page()
        await one.ended()
        await settled(one)
        assert await stack.rows("SELECT status FROM investigations") == [("expired",)]
        assert "ALERT_QUEUE_TTL_SECONDS" in told(one.said("note"))
        assert one.sim.written == []


async def test_forgetting_somebody_during_a_diagnosis_ends_in_a_diagnosis(stack: Stack) -> None:
    """The thread is removed whole while the model works in it: it goes on in the same thread of Slack."""
    async with incident(stack) as one:
        forgotten = asyncio.Event()
        one.model.script.add(Reply(calls=(diagnosis(),), waits_for=forgotten), say("", diagnosis()))
        await one.page()
        async with asyncio.timeout(60):
            while not one.model.requests:
                await asyncio.sleep(0.05)
        await stack.slack.say(MAYA, INCIDENTS, "<@U0AGENT> what is it?", one.root)
        await one.becomes("SELECT count(*) FROM turns WHERE user_id = 'U0MAYA'", [(1,)])
        await forget(stack.engine, MAYA)
        forgotten.set()
        await one.ended()
        assert [len(one.said(part)) for part in ("root", "final")] == [1, 1]
        assert await stack.rows("SELECT status, session_id IS NULL FROM investigations") == [("done", False)]


async def test_a_look_that_can_never_be_stored_gives_way_to_people(stack: Stack) -> None:
    async with incident(stack, worker=False) as one:
        async with stack.engine.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE evidence ADD CHECK (label = '')")
        await stack.serve(door=False)
        await one.page()
        await one.ended()
        await settled(one)
        assert await stack.rows("SELECT status FROM investigations") == [("failed",)]
        assert "could not look at the evidence" in told(one.said("note"))
        assert len(one.sim.written) == 1


async def test_a_look_that_ends_every_process_is_given_up(stack: Stack) -> None:
    async with incident(stack, worker=False) as one:
        await one.page()
        async with stack.engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE procrastinate_jobs SET attempts = 10")
        await stack.serve(door=False)
        await one.ended()
        assert await stack.rows("SELECT status FROM investigations") == [("failed",)]
        assert [each for each in one.sim.asked if each.system == "prometheus"] == []


async def test_a_turn_that_is_gone_is_not_taken_for_a_successor(stack: Stack) -> None:
    """The fence refuses a write, and yet nobody else has the diagnosis: it is tried again."""
    async with incident(stack, worker=False) as one:
        one.model.script.add(say("", diagnosis()), say("", diagnosis()))
        async with stack.engine.begin() as connection:
            for statement in (
                "CREATE SEQUENCE refused",
                "CREATE FUNCTION refuse_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                "IF nextval('refused') = 1 THEN RAISE EXCEPTION 'gone' USING ERRCODE = 'SRE01'; END IF; "
                "RETURN NEW; END $$",
                "CREATE TRIGGER refuse_once BEFORE INSERT ON messages "
                "FOR EACH ROW EXECUTE FUNCTION refuse_once()",
            ):
                await connection.exec_driver_sql(statement)
        await stack.serve(door=False)
        await one.page()
        await one.ended()
        assert await stack.rows("SELECT status FROM investigations") == [("done",)]
        assert len(one.said("final")) == 1


async def test_stop_in_an_incident_thread_lets_the_diagnosis_go_on(stack: Stack) -> None:
    async with incident(stack) as one:
        stopped = asyncio.Event()
        one.model.script.add(Reply(calls=(diagnosis(),), waits_for=stopped))
        await one.page()
        async with asyncio.timeout(60):
            while not one.model.requests:
                await asyncio.sleep(0.05)
        place = {"team_id": "T0ACME", "channel_id": INCIDENTS, "thread_ts": one.root}
        assert await stop(stack.engine, **place, user_id=MAYA) == 0
        stopped.set()
        await one.ended()
        assert len(one.model.requests) == 1
        assert await stack.rows("SELECT status FROM investigations") == [("done",)]


async def test_people_are_called_though_the_stages_before_took_many_attempts(stack: Stack) -> None:
    """Slack was away for the look: that takes nothing from the tries of the call."""
    async with incident(stack, worker=False) as one:
        one.model.script.add(say("", diagnosis(0.3)), say("", diagnosis(0.3)))
        one.sim.faults.set("pagerduty", Fault.failing(503))
        await one.page()
        async with stack.engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE investigations SET attempt = 7")
        await stack.serve(door=False)
        called = "SELECT attempts > 0 FROM procrastinate_jobs WHERE task_name = 'diagnose'"
        await one.becomes(called, [(True,)])
        one.sim.faults.clear()
        await one.ended()
        assert len({each.body["dedup_key"] for each in one.sim.written}) == 1
        assert "could not call" not in told(one.thread())
