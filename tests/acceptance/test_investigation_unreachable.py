"""Slack is away while a page is investigated: people are called all the same, and it shows everything later."""

from __future__ import annotations

import asyncio
import signal

import pytest

from app.playground.slack.faults import CallFault
from app.playground.stack import Fault
from tests.acceptance.conftest import Stack
from tests.acceptance.investigating import INCIDENTS, Incident, diagnosis, incident, told
from tests.fakes.script import Reply, say

NO_JOBS = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
LONG = 200
"""Seconds; a try waits for a Slack that is away as well."""

pytestmark = pytest.mark.usefixtures("impatient")


def away(one: Incident) -> None:
    one.stack.slack.faults.calls.add("*", CallFault.failing(503), times=100_000)


async def back(one: Incident) -> None:
    """Slack is there again; wait until there is nothing left to do."""
    one.stack.slack.faults.calls.clear()
    await one.becomes(NO_JOBS, [(0,)], LONG)


def assert_shown_once(one: Incident, *parts: str) -> None:
    assert {part: len(one.said(part)) for part in parts} == dict.fromkeys(parts, 1)
    ids = [each.metadata["event_payload"]["part"] for each in one.said("") if each.metadata]
    assert sorted(ids) == sorted(set(ids))
    pictures = [file for each in one.stack.slack.channel(INCIDENTS) for file in each.files]
    assert len(pictures) == len(set(pictures))


def tagged(one: Incident) -> int:
    return told(one.stack.slack.channel(INCIDENTS)).count("<!subteam^S0SRETEAM>")


async def asked(one: Incident) -> None:
    async with asyncio.timeout(60):
        while not one.model.requests:
            await asyncio.sleep(0.02)


async def test_people_are_called_and_a_report_is_written_though_slack_is_away_all_the_time(
    stack: Stack,
) -> None:
    async with incident(stack) as one:
        away(one)
        await one.page()
        await one.ended(seconds=LONG)
        assert stack.slack.channel(INCIDENTS) == []
        assert one.written == ["POST /v2/enqueue"]
        details = one.sim.written[0].body["payload"]["custom_details"]
        assert "Likely cause" in details["found"]
        [(report,)] = await stack.rows("SELECT report FROM investigations")
        assert "E1" in report.split("## Evidence")[1]
        assert "PagerDuty" in report.split("Escalations:")[1]

        await back(one)
        assert_shown_once(one, "root", "evidence", "final:1", "note")
        assert {each.thread_ts for each in one.said("")} == {one.root}
        assert "I sent an event to PagerDuty" in told(one.said("note"))
        assert tagged(one) == 1
        assert one.written == ["POST /v2/enqueue"]
        assert any(each.files for each in one.thread())
        turn = "SELECT turns.status FROM turns JOIN investigations ON investigations.turn_id = turns.id"
        assert await stack.rows(turn) == [("done",)]


async def test_digging_deeper_goes_on_in_a_thread_that_came_late(stack: Stack) -> None:
    async with incident(stack) as one:
        away(one)
        await one.page()
        await one.ended(seconds=LONG)
        await back(one)
        one.model.script.add(say("", diagnosis(0.8, headline="Deeper down")))
        await stack.slack.click("U0MAYA", one.said("final:1")[0].ts, "incident_dig_deeper")
        await one.seen("Deeper down")
        assert "<investigation>" in str(one.model.requests[0]["messages"])
        assert len(one.roots()) == 1


async def test_a_short_absence_costs_nothing_but_its_time(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis()))
        away(one)
        await one.page()
        await one.becomes("SELECT status IN ('looking', 'queued') FROM investigations", [(False,)])
        await back(one)
        assert_shown_once(one, "root", "evidence", "final:1")
        assert len(one.model.requests) == 1
        assert "The newest version of checkout." in told(one.said("root"))
        assert one.written == []


async def test_what_a_model_is_sure_of_is_told_to_people_where_they_cannot_read_it(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(Reply(calls=(diagnosis(),), first_token_seconds=2))
        await one.page()
        await asked(one)
        away(one)
        await one.ended(seconds=LONG)
        assert one.written == ["POST /v2/enqueue"]
        details = one.sim.written[0].body["payload"]["custom_details"]
        assert "The newest version of checkout." in details["found"]
        assert "cannot be reached" in details["why"]

        await back(one)
        assert_shown_once(one, "root", "evidence", "final:1", "note")
        assert "The newest version of checkout." in told(one.said("root"))
        assert one.written == ["POST /v2/enqueue"]


async def test_whoever_pagerduty_has_paged_is_told_and_nobody_else_is_paged(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(Reply(calls=(diagnosis(),), first_token_seconds=2))
        await one.page("pagerduty")
        await asked(one)
        away(one)
        await one.ended(seconds=LONG)
        [note] = one.sim.written
        assert note.path.endswith("/notes")
        assert "The newest version of checkout." in note.body["note"]["content"]


async def test_people_do_not_wait_for_a_slack_that_hangs(stack: Stack) -> None:
    """The brief hangs in its post for longer than this test waits for the call."""
    async with incident(stack) as one:
        one.model.script.add(say("", diagnosis(0.3), first_token_seconds=2), say("", diagnosis(0.3)))
        await one.page()
        await asked(one)
        stack.slack.faults.calls.add("chat.postMessage", CallFault.slow(12))
        async with asyncio.timeout(60):
            while not one.written:
                await asyncio.sleep(0.05)
        assert await stack.rows("SELECT finished_at FROM investigations") == [(None,)]
        await one.ended()


async def test_a_worker_that_dies_while_slack_is_away_leaves_nothing_to_be_done_twice(stack: Stack) -> None:
    async with incident(stack, model=False, worker=False) as one:
        one.sim.faults.set("prometheus", Fault.failing(503))
        victim = await stack.spawn()
        away(one)
        await one.page()
        await one.ended(seconds=LONG)
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        stack.slack.faults.calls.clear()
        await stack.spawn()
        await back(one)
        assert_shown_once(one, "root", "evidence", "final:1", "note")
        assert one.written == ["POST /v2/enqueue"]


async def test_what_expires_while_slack_is_away_calls_people(stack: Stack) -> None:
    async with incident(stack, MAX_CONCURRENT_INVESTIGATIONS="1", ALERT_QUEUE_TTL_SECONDS="600") as one:
        told_of = asyncio.Event()
        one.model.script.add(say("", diagnosis(), waits_for=told_of))
        await one.page(payload=one.alert("search"))
        await asked(one)
        away(one)
        await one.page(payload=one.alert("inventory"))
        looked = "SELECT looked_at IS NOT NULL FROM investigations WHERE service_name = 'inventory'"
        await one.becomes(looked, [(True,)], LONG)
        await one.has_waited_long("inventory")
        await one.becomes(
            "SELECT status, report IS NOT NULL FROM investigations WHERE service_name = 'inventory'",
            [("expired", True)],
            LONG,
        )
        assert one.written == ["POST /v2/enqueue"]
        told_of.set()
        await back(one)
        assert "ALERT_QUEUE_TTL_SECONDS" in told(one.said("note"))
        assert [len(one.said(part)) for part in ("root", "evidence")] == [2, 2]
