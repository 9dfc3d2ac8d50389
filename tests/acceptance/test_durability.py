"""Nothing lost, nothing twice: processes are killed, the database and Slack go away, people press Stop."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest
from sqlalchemy import text

from app.playground.slack.faults import CallFault
from tests.acceptance.conftest import CHECKOUT, LAUNCH, MAYA, Stack
from tests.acceptance.test_conversation import shown
from tests.conftest import execute
from tests.fakes.anthropic import FakeAnthropic, assert_extends
from tests.fakes.relay import relay_to
from tests.fakes.script import (
    Call,
    Reply,
    Script,
    call,
    conclude,
    overloaded,
    rate_limited,
    say,
    tokens,
    wrong_key,
)

WORDS = "The contract with payments allows 800 ms and one retry. " * 6


def slow(*calls: Call, seconds: float = 3.0) -> Reply:
    return say(WORDS, *calls, tokens_per_second=len(tokens(WORDS)) / seconds)


async def visible(stack: Stack, ts: str) -> None:
    """Wait until a streamed answer has begun to show text."""
    await stack.slack.wait_for(
        lambda: [m for m in stack.answers(CHECKOUT, ts) if "contract with payments" in shown([m])], 20
    )


async def test_the_models_answer_is_streamed_with_its_confidence(stack: Stack, model: FakeAnthropic) -> None:
    model.script.add(say("Mind the timeout.", conclude(0.9, sources=["services/checkout.md"])))
    await stack.serve()
    _, [answer] = await stack.ask()
    assert "Mind the timeout." in shown([answer])
    assert "90%" in shown([answer])
    assert "no model" not in shown([answer]).lower()
    assert await stack.rows("SELECT confidence, sre_tagged FROM audit_log WHERE action = 'message'") == [
        (0.9, False)
    ]
    [(model_name, tokens)] = await stack.rows("SELECT model, input_tokens FROM usage")
    assert model_name
    assert tokens > 0


async def test_what_stands_under_the_models_answer_is_in_the_askers_language(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(
        say("Ein SLO.", conclude(0.9, sources=["services/checkout.md"]), stop_reason="max_tokens")
    )
    await stack.serve()
    _, [answer] = await stack.ask("<@U0AGENT> Was brauchen wir, bevor checkout live geht?")
    assert "Hohe Sicherheit (90% sicher)" in shown([answer])
    assert "Quellen:" in shown([answer])
    assert "Die Antwort wurde" in shown([answer])
    assert "The answer was cut" not in shown([answer])


async def test_an_unsure_answer_calls_the_sre_team(stack: Stack, model: FakeAnthropic) -> None:
    model.script.add(say("Perhaps.", conclude(0.2)))
    await stack.serve()
    _, [answer] = await stack.ask()
    assert "<!subteam^S0SRETEAM>" in shown([answer])
    assert await stack.rows("SELECT count(*) FROM audit_log WHERE action = 'sre_tagged'") == [(1,)]


async def test_a_tool_call_shows_in_the_plan_and_in_the_journal(stack: Stack, model: FakeAnthropic) -> None:
    model.script.add(
        say("Let me look. ", call("read_service_file", path="README.md")), say("Done.", conclude())
    )
    await stack.serve()
    _, [answer] = await stack.ask()
    assert "README.md" in shown([answer])
    assert await stack.rows("SELECT name, failed FROM tool_calls") == [("read_service_file", False)]
    assert await stack.rows("SELECT count(*) FROM audit_log WHERE action = 'tool_call'") == [(1,)]


@pytest.mark.parametrize(
    ("failing", "said"),
    [(wrong_key(), "key"), (overloaded(), "overloaded"), (rate_limited(0), "limit")],
)
async def test_a_model_that_fails_leaves_the_offline_analyst_who_says_why(
    stack: Stack, model: FakeAnthropic, failing: Reply, said: str
) -> None:
    model.script = Script([failing], repeat=True)
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    [answer] = await stack.answered(CHECKOUT, ts)
    assert "services/checkout.md" in shown([answer])
    assert said in shown([answer]).lower()


async def test_a_spent_budget_leaves_the_offline_analyst_who_says_why(
    stack: Stack, model: FakeAnthropic
) -> None:
    await stack.serve(MAX_TOKENS_PER_HOUR="10")
    _, [answer] = await stack.ask()
    assert "budget" in shown([answer]).lower() or "limit" in shown([answer]).lower()
    assert "services/checkout.md" in shown([answer])


async def test_a_stream_that_breaks_is_repeated_and_shows_one_clean_answer(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(
        say(WORDS, fault="overloaded", fault_after=8, tokens_per_second=50), say("Clean now.", conclude())
    )
    await stack.serve()
    _, [answer] = await stack.ask()
    assert "Clean now." in shown([answer])
    assert "contract with payments" not in shown([answer])


@pytest.mark.slow
async def test_a_worker_killed_in_mid_stream_is_followed_by_another_in_the_same_message(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(slow(conclude(), seconds=30), say("The whole answer.", conclude()))
    await stack.serve(worker=False)
    victim = await stack.spawn()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    await stack.spawn()
    victim.send_signal(signal.SIGKILL)
    answers = await stack.answered(CHECKOUT, ts)
    assert len(answers) == 1
    assert not answers[0].streaming
    assert "The whole answer." in shown(answers)
    assert "contract with payments" not in shown(answers)
    assert await stack.rows("SELECT status, attempt FROM turns") == [("done", 2)]


@pytest.mark.slow
async def test_a_worker_killed_between_tool_and_answer_runs_the_tool_once(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(
        say("I look. ", call("read_service_file", path="README.md")),
        slow(conclude(), seconds=30),
        say("Read and understood.", conclude()),
    )
    await stack.serve(worker=False)
    victim = await stack.spawn()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    victim.send_signal(signal.SIGKILL)
    await stack.spawn()
    answers = await stack.answered(CHECKOUT, ts)
    assert len(answers) == 1
    assert "Read and understood." in shown(answers)
    assert await stack.rows("SELECT name, attempt FROM tool_calls") == [("read_service_file", 1)]


@pytest.mark.slow
async def test_a_paused_worker_that_wakes_up_behind_its_successor_writes_nothing(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(slow(conclude(), seconds=12), say("The successor's answer.", conclude()))
    await stack.serve(worker=False)
    paused = await stack.spawn()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    paused.send_signal(signal.SIGSTOP)
    await stack.spawn()
    await stack.answered(CHECKOUT, ts)
    paused.send_signal(signal.SIGCONT)
    await asyncio.sleep(4)
    answers = stack.answers(CHECKOUT, ts)
    assert len(answers) == 1
    assert "The successor's answer." in shown(answers)
    assert "contract with payments" not in shown(answers)
    assert await stack.rows("SELECT status, attempt FROM turns") == [("done", 2)]


@pytest.mark.slow
async def test_a_shutdown_hands_a_long_turn_to_another_replica(stack: Stack, model: FakeAnthropic) -> None:
    model.script.add(slow(conclude(), seconds=30), say("Gone on elsewhere.", conclude()))
    leaving = await stack.serve(SHUTDOWN_GRACE_SECONDS="1")
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    await leaving.stop()
    assert not any(m.streaming for m in stack.answers(CHECKOUT, ts))
    await stack.serve()
    answers = await stack.answered(CHECKOUT, ts)
    assert len(answers) == 1
    assert "Gone on elsewhere." in shown(answers)


async def test_a_shutdown_lets_a_short_turn_finish(stack: Stack, model: FakeAnthropic) -> None:
    model.script.add(slow(conclude(), seconds=2))
    leaving = await stack.serve(SHUTDOWN_GRACE_SECONDS="60")
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    await leaving.stop()
    assert await stack.rows("SELECT status, attempt FROM turns") == [("done", 1)]
    [answer] = stack.answers(CHECKOUT, ts)
    assert WORDS.strip() in answer.text or "one retry" in shown([answer])


async def test_stop_ends_a_running_turn_and_keeps_what_was_written(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(slow(conclude(), seconds=30))
    await stack.serve(worker=False)
    await stack.serve(door=False)
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    await stack.slack.stop(MAYA, CHECKOUT, ts)
    await stack.slack.wait_for(lambda: "Stopped" in shown(stack.answers(CHECKOUT, ts)))
    assert "contract with payments" in shown(stack.answers(CHECKOUT, ts))
    await stack.ended(ts)
    assert await stack.rows("SELECT status, stopped_by FROM turns") == [("cancelled", MAYA)]
    model.script.add(say("Here I am again.", conclude()))
    _, answers = await stack.ask("and now?", thread_ts=ts)
    assert "Here I am again." in shown(answers)


async def test_an_event_is_delivered_again_when_the_database_was_away(
    stack: Stack, postgres_url: str
) -> None:
    await stack.serve()
    name = runtime_database(stack)
    await forbid_connections(postgres_url, name, True)
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await asyncio.sleep(1)
    assert "eyes" not in stack.slack.thread(CHECKOUT, ts)[0].reactions
    await forbid_connections(postgres_url, name, False)
    answers = await stack.answered(CHECKOUT, ts)
    assert len(answers) == 1


async def test_what_is_said_on_a_line_that_carries_nothing_is_answered_once_on_the_next(stack: Stack) -> None:
    async with relay_to(int(stack.slack.url.rpartition(":")[2])) as relay:
        stack.slack.workspace.url = relay.url
        stack.slack.dispatcher.retry_delays = (0.5,) * 20
        await stack.serve()
        relay.lose("to us", "from us")
        ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
        [answer] = await stack.answered(CHECKOUT, ts)
        assert "services/checkout.md" in shown([answer])
        assert stack.slack.deliveries[0].outcome == "timeout"
        assert len(relay.carried) == 2


def runtime_database(stack: Stack) -> str:
    return stack.environment["DATABASE_URL"].rsplit("/", 1)[1].split("?")[0]


async def forbid_connections(server: str, name: str, away: bool) -> None:
    """Take one database away from everybody, or give it back."""
    await execute(server, f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS {not away}")
    if away:
        await execute(
            server, f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
        )


async def test_a_database_that_leaves_in_mid_turn_costs_no_answer(
    stack: Stack, model: FakeAnthropic, postgres_url: str
) -> None:
    model.script.add(slow(conclude(), seconds=3), say("After the pause.", conclude()))
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    await forbid_connections(postgres_url, runtime_database(stack), True)
    await asyncio.sleep(4)
    await forbid_connections(postgres_url, runtime_database(stack), False)
    answers = await stack.answered(CHECKOUT, ts)
    assert len(answers) == 1
    assert not answers[0].streaming
    assert await stack.rows("SELECT status FROM turns") == [("done",)]
    assert await stack.rows("SELECT count(*) FROM audit_log WHERE action = 'message'") == [(1,)]


async def test_a_turn_that_finally_fails_says_so_with_its_trace_id(stack: Stack) -> None:
    await stack.serve(worker=False)
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await stack.slack.wait_for(lambda: "eyes" in stack.slack.thread(CHECKOUT, ts)[0].reactions)
    async with stack.engine.begin() as connection:
        await connection.execute(text("UPDATE turns SET attempt = 5, status = 'running'"))
    await stack.serve(door=False)
    answers = await stack.answered(CHECKOUT, ts, reaction="x")
    [(trace_id, status, code)] = await stack.rows("SELECT trace_id, status, error_code FROM turns")
    assert (status, code) == ("failed", "turn_given_up")
    assert trace_id in shown(answers)


async def test_slack_limiting_and_failing_for_a_while_costs_no_answer(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(slow(conclude(), seconds=2))
    stack.slack.faults.calls.add("chat.startStream", CallFault.limited(1), times=2)
    stack.slack.faults.calls.add("chat.appendStream", CallFault.failing(503), times=3)
    stack.slack.faults.calls.add("chat.stopStream", CallFault.dropped(applied=True), times=1)
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    answers = await stack.answered(CHECKOUT, ts)
    assert len(answers) == 1
    assert json.dumps(answers[0].blocks).count("one retry") + answers[0].text.count("one retry") >= 6


async def test_the_prompts_prefix_is_the_same_in_every_turn_of_a_session(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(*(say(f"Answer {n}.", conclude()) for n in range(3)))
    await stack.serve()
    ts, _ = await stack.ask()
    await stack.ask("and the tier?", thread_ts=ts)
    await stack.ask("and payments?", thread_ts=ts)
    assert_extends(*model.requests)


async def test_a_follow_up_about_another_part_brings_the_model_what_it_has_not_read(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(*(say(f"Answer {n}.", conclude()) for n in range(3)))
    await stack.serve()
    ts, _ = await stack.ask("<@U0AGENT> what does the contract of checkout with payments say?")
    await stack.ask("and how are alerts routed to the on-call of checkout?", thread_ts=ts)
    assert_extends(*model.requests)
    first, second = (
        json.loads(body)
        for (body,) in await stack.rows(
            "SELECT (body -> 'metadata' -> 'sections')::text FROM messages WHERE kind = 'question' ORDER BY id"
        )
    )
    assert first
    assert second
    assert not set(first) & set(second)
    [(refs,)] = await stack.rows("SELECT context_refs FROM sessions")
    at_hand = {section for ref in refs for section in ref["sections"]}
    assert set(second) < at_hand <= {*first, *second}


async def test_a_follow_up_without_the_model_quotes_what_the_thread_has_read_already(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(say("Answer.", conclude()), wrong_key())
    await stack.serve()
    ts, _ = await stack.ask()
    _, answers = await stack.ask("what do I need before we launch checkout?", thread_ts=ts)
    assert "refused the API key" in shown(answers[1:])
    assert "Before launch" in shown(answers[1:])
