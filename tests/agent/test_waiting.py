"""A model that does not answer: what whoever waits sees of it, and when it is given up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.agent.failures import Backoff, Failure, ModelUnavailable
from app.agent.models import Models, load
from app.agent.run import run
from app.agent.waiting import STEP, Waiting
from app.settings import ModelSettings
from tests.agent.memory import MemoryProgress
from tests.agent.stage import Stage, anthropic_settings
from tests.fakes.script import conclude, rate_limited, say

ANSWER = "It takes payments."
FOR_EVER = 3600.0
BUSY = Failure("overloaded", "It is overloaded.", passing=True)


@pytest.fixture
async def two(silent_stage: Stage) -> AsyncIterator[Models]:
    """A fast model, which the stage asks, and a strong one; either is given up after 0.3 seconds."""
    settings = anthropic_settings(silent_stage.server.url, MODEL_STRONG="claude-sonnet-5-5")
    models = load(settings, silence_seconds=0.3)
    assert models is not None
    silent_stage.model = models.fast
    yield models
    await models.close()


@pytest.mark.usefixtures("two")
async def test_a_model_without_a_word_is_given_up_for_the_other(silent_stage: Stage) -> None:
    silent_stage.server.script.add(say(ANSWER, first_token_seconds=FOR_EVER), say(ANSWER, conclude()))

    answer = await silent_stage.ask("What is checkout?")

    assert (answer.text, answer.model) == (ANSWER, "claude-sonnet-5-5")
    assert len(silent_stage.server.requests) == 2
    assert silent_stage.waits == []


@pytest.mark.usefixtures("two")
async def test_signs_of_life_are_no_words(silent_stage: Stage) -> None:
    silent_stage.server.script.add(say(ANSWER, fault="pings", fault_after=0), say(ANSWER, conclude()))

    answer = await silent_stage.ask("What is checkout?")

    assert answer.model == "claude-sonnet-5-5"


@pytest.mark.usefixtures("two")
async def test_a_model_that_stops_in_mid_answer_is_asked_again_itself(silent_stage: Stage) -> None:
    silent_stage.server.script.add(say(ANSWER, fault="pings"), say(ANSWER, conclude()))

    answer = await silent_stage.ask("What is checkout?")

    assert answer.text == silent_stage.progress.shown == ANSWER
    assert [body["model"] for body in silent_stage.server.requests] == ["claude-haiku-5-5"] * 2


async def test_who_waits_for_a_slow_listener_is_not_the_model(silent_stage: Stage) -> None:
    class Slow(MemoryProgress):
        async def text(self, delta: str) -> None:
            await asyncio.sleep(0.5)
            await super().text(delta)

    silent_stage.server.script.add(say(ANSWER, conclude()))
    await silent_stage.transcript.ask("What is checkout?")
    silent_stage.progress = Slow()

    assert (await silent_stage.resume()).text == ANSWER
    assert len(silent_stage.server.requests) == 1


async def test_a_limited_model_is_asked_again_for_as_long_as_somebody_has_patience(stage: Stage) -> None:
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    stage.server.script.add(*[rate_limited(5)] * 9)
    await stage.transcript.ask("What is checkout?")
    means = replace(
        stage.means,
        backoff=Backoff(attempts=9, patience_seconds=18),
        sleep=sleep,
        seconds=lambda: now,
    )

    with pytest.raises(ModelUnavailable) as refused:
        await run(
            stage.request,
            model=stage.model,
            transcript=stage.transcript,
            progress=stage.progress,
            means=means,
        )

    assert refused.value.reason == "overloaded"
    assert (len(stage.server.requests), now) == (4, 15)


@pytest.mark.parametrize(
    ("failures", "waited", "wait"),
    [(1, 0, 1), (2, 3, 2), (4, 20, 8), (4, 31.9, 8), (4, 32, None), (5, 10, None), (1, 40, None)],
)
def test_attempts_and_patience_both_end(failures: int, waited: float, wait: float | None) -> None:
    assert Backoff(attempts=5, patience_seconds=40).wait(failures, BUSY, waited) == wait


async def told(progress: MemoryProgress, status: str) -> str:
    async with asyncio.timeout(20):
        while progress.tasks.get(STEP, ("", ""))[1] != status:
            await asyncio.sleep(0.01)
    return progress.tasks[STEP][0]


async def test_whoever_waits_is_told_how_long_why_and_that_it_is_over() -> None:
    seconds, progress = 0.0, MemoryProgress()
    waiting = Waiting(progress, "claude", every=0.02, clock=lambda: seconds)
    async with waiting.told():
        waiting.begin()
        seconds = 12
        assert await told(progress, "in_progress") == "Waiting for the model claude: 12 s"
        waiting.begin()
        seconds = 25
        await waiting.heard()
        assert await told(progress, "complete") == "The model claude answered after 25 s"


async def test_a_model_that_refuses_each_request_at_once_is_waited_for_all_the_same() -> None:
    seconds, progress = 0.0, MemoryProgress()
    waiting = Waiting(progress, "claude", every=0.02, clock=lambda: seconds)
    waiting.begin()
    seconds = 12
    waiting.begin()
    async with waiting.told():
        assert await told(progress, "in_progress") == "Waiting for the model claude: 12 s"


async def test_a_model_that_was_waited_for_in_vain_is_marked_so() -> None:
    seconds, progress = 0.0, MemoryProgress()
    waiting = Waiting(progress, "claude", every=0.02, clock=lambda: seconds)
    async with waiting.told():
        waiting.begin()
        seconds = 12
        await told(progress, "in_progress")
        await waiting.give_up("The model claude is overloaded.")

    assert progress.tasks == {STEP: ("The model claude is overloaded.", "error")}


async def test_nothing_is_told_of_a_model_that_answers_in_time() -> None:
    progress = MemoryProgress()
    waiting = Waiting(progress, "claude", every=0.02, clock=lambda: 0.0)
    async with waiting.told():
        waiting.begin()
        await asyncio.sleep(0.1)
        await waiting.heard()
        waiting.end()

    assert progress.tasks == {}


def test_models_at_home_may_be_silent_for_longer() -> None:
    claude = anthropic_settings("http://localhost:1")
    ollama = ModelSettings(_env_file=None, MODEL_PROVIDER="ollama", MODEL="qwen3")
    chosen = ModelSettings(_env_file=None, MODEL_SILENCE_SECONDS=5)

    assert (claude.longest_silence, claude.patience) == (20, 40)
    assert (ollama.longest_silence, ollama.patience) == (60, 120)
    assert (chosen.longest_silence, chosen.patience) == (5, 10)
