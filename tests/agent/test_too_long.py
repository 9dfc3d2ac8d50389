"""A thread that has grown longer than the model can read: it is made shorter, once, and asked again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.agent.conclude import CUT_BY_WINDOW
from app.agent.failures import ModelUnavailable
from app.agent.models import load
from app.settings import ModelSettings
from tests.agent.stage import Stage, anthropic_settings
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.openai import FakeOpenAI
from tests.fakes.script import Call, Reply, Respond, Script, call, conclude, say

WORDS = {
    "anthropic": "prompt is too long: 210034 tokens > 200000 maximum",
    "anthropic, no room": "input length and `max_tokens` exceed context limit: 197000 + 8192 > 200000",
    "openai": "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000.",
    "llama.cpp": "the request exceeds the available context size, try increasing it",
}
WINDOW = 6_000
"""Bytes of messages that the model reads."""


def reader(message: str, script: Script) -> Respond:
    """A model that refuses what is longer than its window and else says what is next in the script."""

    def respond(body: dict[str, Any]) -> Reply:
        if len(json.dumps(body["messages"])) > WINDOW:
            return Reply(status=400, message=message)
        return script.next(body)

    return respond


@pytest.fixture(params=WORDS)
async def narrow(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Stage, Script]]:
    script = Script(())
    service, message = request.param.partition(",")[0], WORDS[request.param]
    kind = FakeAnthropic if service == "anthropic" else FakeOpenAI
    async with kind(reader(message, script)) as server:
        if service == "anthropic":
            settings = anthropic_settings(server.url)
        else:
            settings = ModelSettings(
                _env_file=None,
                MODEL_PROVIDER="openai",
                MODEL="qwen3",
                OPENAI_API_KEY="sk-test",
                OPENAI_BASE_URL=server.url + "/v1",
            )
        models = load(settings, silence_seconds=5)
        assert models is not None
        yield Stage(server, models.fast), script  # type: ignore[arg-type]
        await models.close()


def prompts(stage: Stage) -> list[str]:
    return [json.dumps(body["messages"]) for body in stage.server.requests]


async def test_an_old_thread_is_summarised_and_the_question_asked_again(
    narrow: tuple[Stage, Script],
) -> None:
    stage, script = narrow
    for turn in range(4):
        script.add(say(f"Answer {turn}. " + "Long words follow here. " * 50, conclude()))
        await stage.ask(f"Question {turn}")
    script.add(say("They asked four things."), say("Fifth.", conclude()), say("Sixth.", conclude()))

    answer = await stage.ask("Question 4")

    assert answer.text == "Fifth."
    refused, summary, asked = prompts(stage)[-3:]
    assert len(refused) > WINDOW >= len(summary)
    assert "They asked four things." in asked
    assert stage.progress.shown == "Fifth."

    assert (await stage.ask("Question 5")).text == "Sixth."
    # The next turn begins with the summary, and is read at the first attempt.
    assert len(prompts(stage)) == 8
    assert "They asked four things." in prompts(stage)[-1]


async def test_what_the_turn_itself_found_stays_when_the_thread_is_shortened(
    narrow: tuple[Stage, Script],
) -> None:
    stage, script = narrow
    script.add(say("Answer. " + "Long words follow here. " * 150, conclude()))
    await stage.ask("Question 0")
    stage.shelf.files["big.md"] = "A finding. " * 200
    script.add(say("Looking.", call("read_file", path="big.md")))
    script.add(say("They asked one thing."), say("Found it.", conclude()))

    answer = await stage.ask("Question 1")

    assert answer.text == "Looking.\n\nFound it."
    assert stage.shelf.runs == ["big.md"]
    assert "A finding." in prompts(stage)[-1]


async def test_a_question_that_is_too_long_by_itself_is_said_to_be_and_is_asked_once(
    narrow: tuple[Stage, Script],
) -> None:
    stage, _ = narrow

    with pytest.raises(ModelUnavailable):
        await stage.ask("Why? " * 3000)

    assert len(stage.server.requests) == 1


CUT = {"anthropic": "model_context_window_exceeded", "openai": "length"}
"""What the services say of an answer that ends where the context window does."""


def cut(stage: Stage, text: str, *calls: Call) -> Reply:
    service = "anthropic" if isinstance(stage.server, FakeAnthropic) else "openai"
    return say(text, *calls, stop_reason=CUT[service])


async def test_an_answer_that_no_longer_fits_is_written_again_after_the_thread_is_summarised(
    narrow: tuple[Stage, Script],
) -> None:
    stage, script = narrow
    script.add(say("First.", conclude()), cut(stage, "Second, which breaks o"))
    script.add(say("They asked one thing."), say("Second, whole.", conclude()))
    await stage.ask("Question 0")

    answer = await stage.ask("Question 1")

    assert (answer.text, answer.notices) == ("Second, whole.", ())
    assert stage.progress.shown == "Second, whole."
    assert "They asked one thing." in prompts(stage)[-1]
    assert "breaks o" not in prompts(stage)[-1]


async def test_an_answer_that_fits_by_no_means_is_kept_and_said_to_be_cut_and_the_thread_goes_on(
    narrow: tuple[Stage, Script],
) -> None:
    stage, script = narrow
    script.add(cut(stage, "First, which breaks o"))
    script.add(cut(stage, "Second, which breaks o"))
    script.add(say("They asked one thing."), say("Second, whole.", conclude()))

    answer = await stage.ask("Question 0")

    assert (answer.text, answer.notices) == ("First, which breaks o", (CUT_BY_WINDOW,))
    assert stage.progress.shown == answer.text

    answer = await stage.ask("Question 1")

    assert (answer.text, answer.notices) == ("Second, whole.", ())


async def test_what_was_written_stays_when_the_conclusion_no_longer_fits(
    narrow: tuple[Stage, Script],
) -> None:
    stage, script = narrow
    script.add(cut(stage, "All there is.", Call("conclude", {"confidence": 0.9}, cut=True)))

    answer = await stage.ask("Question 0")

    assert answer.text == "All there is."
    assert CUT_BY_WINDOW in answer.notices


async def test_a_model_that_has_no_room_for_a_word_is_said_to_have_none(narrow: tuple[Stage, Script]) -> None:
    stage, script = narrow
    script.add(cut(stage, ""))

    with pytest.raises(ModelUnavailable, match="longer than .* can read"):
        await stage.ask("Question 0")
