"""Attempts to break an investigation: places that refuse, time that is over, people who say Stop."""

from __future__ import annotations

import pytest

from app.playground.slack.faults import CallFault
from tests.acceptance.conftest import Stack
from tests.acceptance.investigating import INCIDENTS, Incident, diagnosis, incident, told
from tests.fakes.script import say

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
        await one.ended(seconds=20)
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
        await one.ended(seconds=20)
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
        await one.ended(seconds=25)
        await settled(one)
        assert await stack.rows("SELECT status FROM investigations") == [("expired",)]
        assert "ALERT_QUEUE_TTL_SECONDS" in told(one.said("note"))
        assert one.sim.written == []
