"""The loop against the real Anthropic SDK and a wire-level fake of its service."""

from __future__ import annotations

import asyncio
from decimal import Decimal

import pytest

from app.agent.budget import BudgetSpent
from app.agent.failures import ModelUnavailable
from app.agent.own_prices import Price
from app.agent.prices import Prices
from app.agent.tally import RunLimits
from tests.agent.memory import MemoryBudget
from tests.agent.stage import Stage, wait_for
from tests.fakes.anthropic import tool_results
from tests.fakes.script import call, conclude, overloaded, rate_limited, say, wrong_key

LONG = "Checkout needs an SLO, a runbook, a dashboard and an on-call rota before launch."


async def test_an_answer_is_streamed_and_stored_with_its_confidence(stage: Stage) -> None:
    stage.server.script.add(say("Checkout needs an SLO and a runbook before launch.", conclude(0.8)))

    answer = await stage.ask("What does checkout need?")

    assert answer.text == "Checkout needs an SLO and a runbook before launch."
    assert answer.confidence == 0.8
    assert answer.model == "claude-haiku-5-5"
    assert stage.progress.shown == answer.text
    assert stage.progress.deltas > 1
    assert stage.kinds() == ["request", "response", "request"]


async def test_text_without_a_conclusion_is_an_answer_without_a_confidence(stage: Stage) -> None:
    stage.server.script.add(say(LONG))

    answer = await stage.ask("What does checkout need?")

    assert (answer.text, answer.confidence) == (LONG, None)
    assert len(stage.server.requests) == 1


async def test_a_conclusion_without_text_is_sent_back_for_the_text(stage: Stage) -> None:
    stage.server.script.add(say("", conclude(0.8)), say(LONG, conclude(0.7)))

    answer = await stage.ask("What does checkout need?")

    assert (answer.text, answer.confidence) == (LONG, 0.7)
    assert "Write the answer as text" in str(stage.server.requests[1]["messages"])


async def test_parallel_tools_run_once_each_and_their_sources_reach_the_answer(stage: Stage) -> None:
    stage.shelf.files["slo.yaml"] = "target: 99.9"
    stage.server.script.add(
        say("Looking.", call("read_file", path="README.md"), call("read_file", path="slo.yaml")),
        say("It takes payments at 99.9.", conclude(0.9, sources=["slo.yaml"])),
    )

    answer = await stage.ask("What is checkout?")

    assert sorted(stage.shelf.runs) == ["README.md", "slo.yaml"]
    assert answer.text == "Looking.\n\nIt takes payments at 99.9."
    assert stage.progress.shown == answer.text
    assert [source.path for source in answer.sources] == ["slo.yaml"]
    assert set(stage.progress.tasks.values()) == {
        ("read file · README.md", "complete"),
        ("read file · slo.yaml", "complete"),
    }
    assert tool_results(stage.server.requests[1]) == ["Checkout takes payments.", "target: 99.9"]


async def test_a_response_is_stored_before_its_tools_run_and_each_call_before_and_after(stage: Stage) -> None:
    stage.server.script.add(say("", call("read_file", path="README.md")), say(LONG, conclude()))

    await stage.ask("What is checkout?")

    assert stage.transcript.writes == [
        "append response",
        "started read_file",
        "finished read_file",
        "append request",
        "append response",
        "append request",
    ]


async def test_a_tool_that_fails_tells_the_model_why(stage: Stage) -> None:
    stage.server.script.add(
        say("", call("read_file", path="nope.md"), call("read_file", wrong=1)), say(LONG, conclude(0.2))
    )

    await stage.ask("What is in nope.md?")

    results = tool_results(stage.server.requests[1])
    assert results == [
        "There is no file nope.md.",
        "The arguments of read_file do not fit: path: Field required",
    ]
    assert {status for _, status in stage.progress.tasks.values()} == {"error"}


async def test_a_tool_the_model_made_up_is_answered_and_the_turn_goes_on(stage: Stage) -> None:
    stage.server.script.add(say("", call("restart_service")), say(LONG, conclude()))

    answer = await stage.ask("Restart checkout")

    assert answer.text == LONG


@pytest.mark.parametrize("failure", [rate_limited(0), overloaded()])
async def test_a_busy_service_is_asked_again(stage: Stage, failure: object) -> None:
    stage.server.script.add(failure, say(LONG, conclude()))  # type: ignore[arg-type]

    answer = await stage.ask("What does checkout need?")

    assert answer.text == LONG
    assert stage.waits == [1]


async def test_a_service_that_stays_overloaded_is_given_up_with_a_reason(stage: Stage) -> None:
    stage.server.script.add(*[overloaded()] * 3)

    with pytest.raises(ModelUnavailable) as refused:
        await stage.ask("What does checkout need?")

    assert refused.value.reason == "overloaded"
    assert stage.waits == [1, 2]
    assert isinstance(stage.budget, MemoryBudget)
    assert (stage.budget.released, stage.budget.spent) == (3, [])


async def test_a_wrong_key_is_not_tried_again(stage: Stage) -> None:
    stage.server.script.add(wrong_key())

    with pytest.raises(ModelUnavailable) as refused:
        await stage.ask("What does checkout need?")

    assert refused.value.reason == "key_refused"
    assert (len(stage.server.requests), stage.waits) == (1, [])


@pytest.mark.parametrize("fault", ["overloaded", "cut"])
async def test_a_stream_that_breaks_is_repeated_and_its_text_taken_back(stage: Stage, fault: str) -> None:
    stage.server.script.add(
        say("First.", call("read_file", path="README.md")),
        say("This part is never finished at all", fault=fault),
        say(LONG, conclude()),
    )

    answer = await stage.ask("What is checkout?")

    assert stage.progress.resets == ["First."]
    assert answer.text == stage.progress.shown == f"First.\n\n{LONG}"
    assert stage.shelf.runs == ["README.md"]
    assert stage.server.requests[1] == stage.server.requests[2]


async def test_a_broken_stream_is_paid_at_its_estimate(stage: Stage) -> None:
    stage.server.script.add(say(LONG, fault="cut"), say(LONG, conclude()))

    await stage.ask("What is checkout?")

    assert isinstance(stage.budget, MemoryBudget)
    assert [spent is None for spent in stage.budget.spent] == [True, False]


async def test_a_model_that_falls_silent_is_given_up_with_a_reason(silent_stage: Stage) -> None:
    silent_stage.server.script.add(*[say(LONG, fault="hang")] * 3)

    with pytest.raises(ModelUnavailable) as refused:
        await silent_stage.ask("What is checkout?")

    assert refused.value.reason == "timed_out"


async def test_a_service_that_is_not_there_is_unreachable(stage: Stage) -> None:
    await stage.server.stop()

    with pytest.raises(ModelUnavailable) as refused:
        await stage.ask("What is checkout?")

    assert refused.value.reason == "unreachable"


async def test_a_model_that_goes_in_circles_is_told_and_loses_its_tools(stage: Stage) -> None:
    again = say("", call("read_file", path="README.md"))
    stage.server.script.add(again, again, again, say(LONG, conclude()))

    await stage.ask("What is checkout?")

    assert stage.shelf.runs == ["README.md", "README.md"]
    last = stage.server.requests[-1]
    assert "same arguments" in tool_results(last)[0]
    assert [tool["name"] for tool in last["tools"]] == ["conclude"]


async def test_calls_beyond_the_limit_are_refused_and_then_no_tool_is_offered(stage: Stage) -> None:
    files = [f"{n}.md" for n in range(4)]
    stage.shelf.files.update(dict.fromkeys(files, "text"))
    stage.server.script.add(say("", *(call("read_file", path=path) for path in files)), say(LONG))

    answer = await stage.ask("Read all", limits=RunLimits(tool_calls=2))

    assert sorted(stage.shelf.runs) == files[:2]
    results = tool_results(stage.server.requests[1])
    assert [text.startswith("Not run") for text in results] == [False, False, True, True]
    assert [tool["name"] for tool in stage.server.requests[1]["tools"]] == ["conclude"]
    assert answer.notices


async def test_the_last_model_turn_is_kept_for_the_conclusion(stage: Stage) -> None:
    stage.server.script.add(say("", call("read_file", path="README.md")), say(LONG, conclude()))

    await stage.ask("What is checkout?", limits=RunLimits(model_turns=2))

    offered = [[tool["name"] for tool in body["tools"]] for body in stage.server.requests]
    assert offered == [["read_file", "conclude"], ["conclude"]]


async def test_a_run_over_its_tokens_asks_no_more(stage: Stage) -> None:
    stage.server.script.add(say("", call("read_file", path="README.md")))

    with pytest.raises(BudgetSpent) as refused:
        await stage.ask("What is checkout?", limits=RunLimits(tokens=50))

    assert refused.value.limit == "run"
    assert len(stage.server.requests) == 1


async def test_a_run_over_its_money_asks_no_more(stage: Stage) -> None:
    stage.prices = Prices({"claude-haiku-5-5": Price(input=Decimal(1000), output=Decimal(1000))})
    stage.server.script.add(say("", call("read_file", path="README.md")))

    with pytest.raises(BudgetSpent):
        await stage.ask("What is checkout?", limits=RunLimits(usd=Decimal("0.01")))


async def test_a_cancelled_turn_leaves_a_transcript_the_next_turn_can_use(stage: Stage) -> None:
    started = asyncio.Event()
    stage.shelf.block = asyncio.Event()
    stage.shelf.started = started
    stage.server.script.add(say("", call("read_file", path="README.md")))
    turn = asyncio.create_task(stage.ask("What is checkout?"))
    await wait_for(started)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    stage.shelf.block = None
    stage.server.script.add(say(LONG, conclude()))

    answer = await stage.ask("Never mind, what does it need?")

    assert answer.text == LONG
    assert stage.shelf.runs == ["README.md"]


async def test_cancelling_in_mid_stream_stores_nothing_of_the_stream(stage: Stage) -> None:
    stage.server.script.add(say(LONG, tokens_per_second=20))
    stage.progress_seen = asyncio.Event()
    turn = asyncio.create_task(stage.ask("What is checkout?"))
    await wait_for(stage.progress_seen)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn

    assert stage.kinds() == ["request"]


async def test_a_conclusion_beside_a_tool_call_ends_the_turn(stage: Stage) -> None:
    stage.server.script.add(say(LONG, call("read_file", path="README.md"), conclude(0.5)))

    answer = await stage.ask("What is checkout?")

    assert (answer.text, answer.confidence) == (LONG, 0.5)
    assert stage.shelf.runs == []


async def test_a_conclusion_that_never_fits_costs_the_confidence_not_the_answer(stage: Stage) -> None:
    stage.server.script.add(say(LONG, conclude(9)), say("", conclude(9)), say("", conclude(9)))

    answer = await stage.ask("What is checkout?")

    assert (answer.text, answer.confidence) == (LONG, None)
    assert answer.notices == ("The model did not finish its conclusion.",)


async def test_an_answer_cut_at_its_longest_length_says_so(stage: Stage) -> None:
    stage.server.script.add(say(LONG, stop_reason="max_tokens"))

    answer = await stage.ask("What is checkout?")

    assert answer.text == LONG
    assert "MODEL_MAX_TOKENS" in answer.notices[0]


async def test_links_elsewhere_are_gone_from_the_stream_and_from_the_answer(stage: Stage) -> None:
    stage.server.script.add(
        say("", call("read_file", path="README.md")),
        say(
            "See [it](https://git.example.com/README.md), not [that](https://evil.example/x).",
            conclude(sources=["README.md"]),
        ),
    )

    answer = await stage.ask("Where is it?")

    assert answer.text == "See [it](https://git.example.com/README.md), not [that]."
    assert stage.progress.shown == answer.text


async def test_tools_the_model_still_calls_when_none_is_offered_do_not_run(stage: Stage) -> None:
    again = say("Text.", call("read_file", path="README.md"))
    stage.server.script.add(*[again] * 6)

    answer = await stage.ask("What is checkout?", limits=RunLimits(tool_calls=1, model_turns=20))

    assert stage.shelf.runs == ["README.md"]
    assert answer.text.startswith("Text.")
    assert answer.confidence is None
