"""Workers are killed, paused and drained in the middle of investigations; another goes on, nothing is twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

import pytest

from app.investigations.awaiting import IN_VAIN
from tests.acceptance.conftest import Stack
from tests.acceptance.investigating import OVER, Incident, Source, diagnosis, incident, told
from tests.acceptance.moments import ERRORS, MOMENTS, PAUSED, STORED, lasting, paused
from tests.fakes.script import call, say


async def until(holds: Callable[[], Any], seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_worker_that_dies_is_succeeded_and_nothing_is_done_twice_when(
    stack: Stack, moment: str
) -> None:
    async with incident(stack, worker=False) as one:
        at = MOMENTS[moment]
        one.model.script.add(*at.script)
        at.hang(one)
        victim = await stack.spawn()
        await one.page()
        await until(lambda: at.hangs(one))
        one.model.script.add(*at.then)
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        begun = await stack.rows("SELECT attempt FROM investigations")
        stack.slack.faults.calls.clear()
        one.sim.faults.clear()
        await stack.spawn()

        await one.becomes(f"SELECT attempt > {begun[0][0]} FROM investigations", [(True,)])
        await one.ended()
        await settled(one)
        await assert_nothing_twice(one, at.calls)
        assert len(one.model.requests) == len(at.script) + len(at.then)
        strong = [each for each in one.model.requests if "sonnet" in each["model"]]
        assert len(strong) == at.strong


@pytest.mark.parametrize("source", ["alertmanager", "pagerduty"])
@pytest.mark.parametrize("moment", STORED)
async def test_a_worker_that_dies_behind_the_call_is_succeeded_and_nobody_is_called_twice_when(
    stack: Stack, moment: str, source: Source
) -> None:
    async with incident(stack, worker=False) as one:
        one.model.script.add(
            say("", call("promql", query=ERRORS)), say("", diagnosis(0.3)), say("", diagnosis(0.3))
        )
        await paused(stack.engine, STORED[moment])
        victim = await stack.spawn()
        await one.page(source)
        await one.becomes(PAUSED, [(1,)])
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        await stack.spawn()

        await one.ended()
        await settled(one)
        await assert_nothing_twice(one)
        assert len(one.model.requests) == 3
        own = [each.partition("/")[0] for each in one.written]
        assert own == ["PUT ", "POST "] if source == "pagerduty" else len(set(one.written)) == 1
        assert len([line for line in one.stack.said if line.startswith("INCIDENT_REPORT ")]) >= 1
        told_of = [each for each in one.said("note") if "📟" in told([each])]
        assert len(told_of) == 1
        assert told(told_of).count("<!subteam^S0SRETEAM>") == 1
        assert await stack.rows("SELECT count(*) FROM audit_log WHERE action = 'sre_tagged'") == [(1,)]


async def settled(one: Incident) -> None:
    """Wait until no job is left."""
    left = "SELECT count(*) FROM procrastinate_jobs WHERE status IN ('todo', 'doing')"
    await one.becomes(left, [(0,)])


async def assert_nothing_twice(one: Incident, calls: int = 1) -> None:
    """One thread, each of its messages once, one audit row, one call, at most one page."""
    parts = [each.metadata["event_payload"]["part"] for each in one.said("") if each.metadata]
    assert sorted(parts) == sorted(set(parts))
    assert {"root", "evidence", "final:1"} <= set(parts)
    names = [one.stack.slack.workspace.files[file].name for each in one.thread() for file in each.files]
    assert sorted(names) == sorted(set(names))
    assert await one.stack.rows("SELECT status FROM investigations") == [("done",)]
    assert await one.stack.rows("SELECT count(*) FROM audit_log WHERE action = 'investigation'") == [(1,)]
    assert await one.stack.rows("SELECT count(*) FROM tool_calls WHERE finished_at IS NOT NULL") == [(1,)]
    assert len([each for each in one.sim.asked if ERRORS in parse_qs(each.query).get("query", [])]) == calls
    events = [each.body["dedup_key"] for each in one.sim.written if each.path == "/v2/enqueue"]
    assert len(set(events)) == len(events[:1])
    assert "checkout refuses payments" in told(one.said("final"))
    assert "The newest version of checkout." in told(one.said("root"))


async def test_the_time_a_diagnosis_may_take_is_counted_over_all_attempts(stack: Stack) -> None:
    """By the time the successor has it, its time is over: the model is not asked again, and the one note
    that says it is waited for says so no longer."""
    values = {"INVESTIGATION_TIMEOUT_SECONDS": "600", "MODEL_SILENCE_SECONDS": "300"}
    async with incident(stack, worker=False, **values) as one:
        one.model.script.add(lasting(say("", diagnosis())))
        victim = await stack.spawn()
        await one.page()
        await one.seen("The diagnosis has been waiting for the model since ")
        victim.send_signal(signal.SIGKILL)
        await victim.wait()
        async with stack.engine.begin() as connection:
            await connection.exec_driver_sql("UPDATE turns SET started_at = started_at - interval '1 hour'")
        await stack.spawn()
        await one.ended()
        assert len(one.model.requests) == 1
        assert "INVESTIGATION_TIMEOUT_SECONDS" in told(one.said("final"))
        assert [each.text for each in one.said("waits")] == [IN_VAIN]
        assert "ran out of time" in str(one.sim.written[0].body)


async def test_a_paused_worker_that_wakes_up_behind_its_successor_changes_nothing(stack: Stack) -> None:
    async with incident(stack, worker=False) as one:
        one.model.script.add(
            lasting(say("", diagnosis(headline="The late one")), 11),
            say("", call("promql", query=ERRORS)),
            say("", diagnosis()),
        )
        paused = await stack.spawn()
        await one.page()
        await until(lambda: one.model.requests)
        paused.send_signal(signal.SIGSTOP)
        await stack.spawn()
        await one.ended()
        await settled(one)
        before = [(each.ts, told([each])) for each in one.thread()]
        paused.send_signal(signal.SIGCONT)
        await asyncio.sleep(3)
        await assert_nothing_twice(one)
        assert [(each.ts, told([each])) for each in one.thread()] == before
        assert "The late one" not in str(before)


async def test_a_shutdown_lets_what_runs_finish(stack: Stack) -> None:
    async with incident(stack, worker=False) as one:
        one.model.script.add(say("", call("promql", query=ERRORS)), lasting(say("", diagnosis()), 2))
        leaving = await stack.serve(door=False, SHUTDOWN_GRACE_SECONDS="60")
        await one.page()
        await until(lambda: len(one.model.requests) == 2)
        await leaving.stop()
        assert await stack.rows(OVER) == [("done",)]
        await assert_shown_once(one)
        assert await stack.rows(
            "SELECT max(attempts) FROM procrastinate_jobs WHERE task_name = 'diagnose'"
        ) == [(1,)]


async def test_a_shutdown_hands_back_what_does_not_finish(stack: Stack) -> None:
    async with incident(stack, worker=False) as one:
        one.model.script.add(say("", call("promql", query=ERRORS)), lasting(say("", diagnosis())))
        leaving = await stack.serve(door=False, SHUTDOWN_GRACE_SECONDS="1")
        await one.page()
        await until(lambda: len(one.model.requests) == 2)
        await leaving.stop()
        assert await stack.rows(OVER) == []
        one.model.script.add(say("", diagnosis()))
        await stack.serve(door=False)
        await one.ended()
        await settled(one)
        await assert_nothing_twice(one)


async def assert_shown_once(one: Incident) -> None:
    assert [len(one.said(part)) for part in ("root", "evidence", "final")] == [1, 1, 1]
    assert await one.stack.rows("SELECT status FROM investigations") == [("done",)]
