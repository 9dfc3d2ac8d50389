"""The loop against the real Anthropic SDK and a wire-level fake of its service."""

from __future__ import annotations

from tests.agent.stage import Stage, stage
from tests.fakes.script import conclude, say

__all__ = ["stage"]


async def test_an_answer_is_streamed_and_stored_with_its_confidence(stage: Stage) -> None:
    stage.server.script.add(say("Checkout needs an SLO and a runbook before launch.", conclude(0.8)))

    answer = await stage.ask("What does checkout need?")

    assert answer.text == "Checkout needs an SLO and a runbook before launch."
    assert answer.confidence == 0.8
    assert stage.progress.shown == answer.text
    assert stage.progress.deltas > 1
    assert [row.kind for row in await stage.transcript.history()] == ["request", "response", "request"]
