"""A turn cut at every row it writes, and taken up again from the rows that were stored."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.errors import AgentError
from tests.agent.memory import Crash, MemoryProgress
from tests.agent.stage import Stage
from tests.fakes.anthropic import assert_extends
from tests.fakes.script import call, conclude, say

SCRIPT = (
    say("Looking.", call("read_file", path="README.md"), call("read_file", path="slo.yaml")),
    say("Checkout takes payments at 99.9.", conclude(0.9, sources=["slo.yaml"])),
)
WRITES = 8
"""Rows of that turn: response, calls started and finished, results, response, the conclusion's receipt."""


async def cut_and_resume(stage: Stage, crash_after: int) -> None:
    stage.shelf.files["slo.yaml"] = "target: 99.9"
    stage.server.script.add(*SCRIPT)
    stage.transcript.crash_after = crash_after
    with pytest.raises(BaseException) as cut:
        await stage.ask("What is checkout?")
    assert isinstance(cut.value, Crash) or cut.group_contains(Crash)
    stage.progress = MemoryProgress()


@pytest.mark.parametrize("crash_after", range(1, WRITES + 1))
async def test_a_turn_cut_after_any_row_ends_as_if_it_had_not_been_cut(
    stage: Stage, crash_after: int
) -> None:
    await cut_and_resume(stage, crash_after)

    answer = await stage.resume(attempt=2)

    assert answer.text == "Looking.\n\nCheckout takes payments at 99.9."
    assert (answer.confidence, [source.path for source in answer.sources]) == (0.9, ["slo.yaml"])
    assert stage.progress.shown == answer.text
    assert stage.kinds() == ["request", "response", "request", "response", "request"]
    assert len(stage.server.requests) == 2
    assert_extends(*stage.server.requests)


@pytest.mark.parametrize("crash_after", range(1, WRITES + 1))
async def test_a_finished_call_is_never_run_again(stage: Stage, crash_after: int) -> None:
    await cut_and_resume(stage, crash_after)
    finished = [row.arguments["path"] for row in stage.transcript.calls.values() if row.result is not None]

    await stage.resume(attempt=2)

    assert all(stage.shelf.runs.count(path) == 1 for path in finished)


async def test_a_stored_final_response_needs_no_model(stage: Stage) -> None:
    stage.server.script.add(say("It takes payments.", conclude(0.7)))
    first = await stage.ask("What is checkout?")
    await stage.server.stop()

    again = await stage.resume(attempt=2)

    assert again == first


async def test_a_stored_text_answer_needs_no_model(stage: Stage) -> None:
    stage.server.script.add(say("It takes payments."))
    first = await stage.ask("What is checkout?")
    await stage.server.stop()

    assert await stage.resume(attempt=2) == first


async def test_calls_numbered_from_zero_in_every_response_are_different_calls(stage: Stage) -> None:
    stage.shelf.files["slo.yaml"] = "target: 99.9"
    stage.server.script.add(
        say("", call("read_file", id="call_0", path="README.md")),
        say("", call("read_file", id="call_0", path="slo.yaml")),
        say("Done.", conclude()),
    )

    await stage.ask("What is checkout?")

    assert stage.shelf.runs == ["README.md", "slo.yaml"]
    assert [row.result for row in stage.transcript.calls.values()] == [
        "Checkout takes payments.",
        "target: 99.9",
    ]


async def test_every_request_of_a_session_begins_with_the_bytes_of_the_one_before(stage: Stage) -> None:
    stage.request = replace(stage.request, instructions="You are the SRE agent of Acme. " * 200)
    stage.server.script.add(
        say("It takes payments.", conclude(0.9)),
        say("", call("read_file", path="README.md")),
        say("As I said: payments.", conclude(0.9)),
        say("Nothing more."),
        say("Still nothing.", conclude(0.1)),
    )
    for question in ("What is checkout?", "Sure?", "What else?", "And now?"):
        await stage.ask(question)

    assert_extends(*stage.server.requests)
    assert all(usage["cache_read_input_tokens"] > 0 for usage in stage.server.usages[1:])
    assert stage.server.usages[-1]["input_tokens"] == 0


async def test_a_resumed_turn_finds_the_cache_of_its_predecessor(stage: Stage) -> None:
    stage.request = replace(stage.request, instructions="You are the SRE agent of Acme. " * 200)
    await cut_and_resume(stage, crash_after=4)

    await stage.resume(attempt=2)

    first, second = stage.server.usages
    assert second["cache_read_input_tokens"] == first["cache_creation_input_tokens"]


async def test_a_transcript_that_refuses_a_write_ends_the_turn_at_once(stage: Stage) -> None:
    class Stale(AgentError):
        code = "stale_attempt"

    async def refuse(*args: object, **more: object) -> None:
        raise Stale("Another worker has taken this turn over.")

    stage.transcript.tool_finished = refuse  # type: ignore[method-assign]
    stage.server.script.add(*SCRIPT)

    with pytest.raises(Stale):
        await stage.ask("What is checkout?")

    assert len(stage.server.requests) == 1
