"""Long sessions: when they are compacted, what is kept, and that only once."""

from __future__ import annotations

from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart

from app.agent.compaction import LONGEST_STUBS, SUMMARY_HEAD, CompactionLimits, stubs, through
from tests.agent.memory import MemoryBudget
from tests.agent.stage import Stage
from tests.fakes.anthropic import assert_extends
from tests.fakes.script import conclude, overloaded, say

SMALL = CompactionLimits(threshold_tokens=300, keep_recent=2)


def question(text: str) -> ModelRequest:
    return ModelRequest(parts=[UserPromptPart(text)])


def answer(text: str) -> ModelResponse:
    return ModelResponse(parts=[TextPart(text)])


async def test_a_long_session_is_summarised_once_and_its_newest_turns_stay(stage: Stage) -> None:
    for turn in range(4):
        stage.server.script.add(say(f"Answer {turn}. " + "Long words follow here. " * 20, conclude()))
        await stage.ask(f"Question {turn}")
    before = len(stage.server.requests)
    stage.server.script.add(
        say("They asked three things."), say("Fifth.", conclude()), say("Sixth.", conclude())
    )

    await stage.ask("Question 4", compaction=SMALL)

    summary, asked = stage.server.requests[before:]
    assert "User: Question 2" in str(summary["messages"])
    first = asked["messages"][0]["content"][0]["text"]
    assert first == SUMMARY_HEAD + "They asked three things."
    assert "Question 3" in str(asked["messages"])
    assert "Question 2" not in str(asked["messages"])
    assert isinstance(stage.budget, MemoryBudget)
    assert len(stage.budget.spent) == 6

    await stage.ask("Question 5", compaction=CompactionLimits(threshold_tokens=10_000))
    assert_extends(*stage.server.requests[before + 1 :])


async def test_without_a_summary_questions_and_answers_are_kept_short(stage: Stage) -> None:
    for turn in range(3):
        stage.server.script.add(say(f"Answer {turn}. " + "Long words follow here. " * 60, conclude()))
        await stage.ask(f"Question {turn}")
    stage.server.script.add(overloaded(), overloaded(), say("Fourth.", conclude()))

    await stage.ask("Question 3", compaction=SMALL)

    first = stage.server.requests[-1]["messages"][0]["content"][0]["text"]
    assert first.startswith(SUMMARY_HEAD + "User: Question 0\n\nAgent: Answer 0.")
    assert len(first) < 2000


def test_a_short_session_is_left_alone() -> None:
    assert through([question("a"), answer("b"), question("c")], CompactionLimits()) == 0


def test_the_running_turn_and_the_newest_ones_stay() -> None:
    history = [question("a" * 4000), answer("b"), question("c"), answer("d"), question("e")]
    assert through(history, CompactionLimits(100, 1)) == 4
    assert through(history, CompactionLimits(100, 2)) == 2
    assert through(history, CompactionLimits(100, 4)) == 0


def test_a_summary_without_a_model_never_outgrows_its_place() -> None:
    history = [message for n in range(200) for message in (question(f"{n} " + "q" * 900), answer("a" * 900))]
    assert len(stubs(history)) <= LONGEST_STUBS + 2
    assert "199 q" in stubs(history)
