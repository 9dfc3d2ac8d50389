"""One trace from the webhook to the last tool, as a collector sees it, and none of what was said."""

from __future__ import annotations

import time

import httpx
import pytest

from tests.acceptance.conftest import MAYA, Stack
from tests.acceptance.investigating import INCIDENTS, TOKEN, diagnosis, incident
from tests.fakes.otlp import Collector, Span
from tests.fakes.script import call, conclude, say
from tests.test_recent_errors import lines

__all__ = ["lines"]

CANARY = "canary-5f2c91d07ab34e68"
ISSUE_INSTRUMENTS = (
    *(f"sre_agent.webhooks.{each}" for each in ("received", "processed")),
    "sre_agent.agent.runs.completed",
    "sre_agent.agent.run.duration",
    "sre_agent.incidents.active",
    *(f"sre_agent.intake.{each}" for each in ("queued", "queue_depth")),
    *(f"sre_agent.tokens.{each}" for each in ("input", "output", "per_run")),
)


def path(span: Span, spans: list[Span]) -> list[str]:
    """The names from the root of its trace down to a span."""
    by_id, names = {each.span_id: each for each in spans}, [span.name]
    while span.parent_id:
        span = by_id[span.parent_id]
        names.insert(0, span.name)
    return names


@pytest.mark.usefixtures("lines")
async def test_a_page_is_one_trace_from_the_webhook_to_the_tool_that_asks_a_service(stack: Stack) -> None:
    async with Collector() as collector:
        async with incident(stack, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as one:
            asked = call("call_ops_endpoint", service="checkout", path="/ops/status")
            one.model.script.add(say(f"I look. {CANARY}", asked), say("", diagnosis()))
            door = f"http://127.0.0.1:{one.runtime.ports['PORT']}"
            async with httpx.AsyncClient(
                base_url=door, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60
            ) as sender:
                answer = await sender.post("/webhooks/alertmanager", json=one.sim.alert())
                again = await sender.post("/webhooks/alertmanager", json=one.sim.alert())
                refused = await sender.post("/webhooks/alertmanager", headers={"Authorization": "Bearer no"})
            trace_id = answer.json()["investigation_id"].replace("-", "")
            assert answer.headers["X-Trace-Id"] == again.headers["X-Trace-Id"] == trace_id
            assert refused.headers["X-Trace-Id"] != trace_id
            await one.ended()
            outwards = {each.trace_id for each in one.sim.asked}
            assert trace_id in outwards
            # Whatever else was asked meanwhile was asked for nobody's trace.
            assert outwards <= {trace_id, ""}
            (kept,) = await stack.rows("SELECT trace_id FROM investigations")
            assert kept == (trace_id,)
            await one.runtime.stop()

        ours = [each for each in collector.spans if each.trace_id == trace_id]
        assert [path(each, ours) for each in ours if each.name == "sre_agent.tool.call_ops_endpoint"] == [
            [
                "sre_agent.webhook",
                "sre_agent.process_alert",
                "sre_agent.agent.turn",
                "sre_agent.tool.execute",
                "sre_agent.tool.call_ops_endpoint",
            ]
        ]
        stages = [
            each.attributes["sre_agent.stage"] for each in ours if each.name == "sre_agent.process_alert"
        ]
        assert sorted(stages) == ["diagnose", "look"]
        assert any(
            path(each, ours) == ["sre_agent.webhook", "sre_agent.process_alert", "sre_agent.source.read"]
            for each in ours
        )
        chats = [each for each in ours if each.name.startswith("chat ")]
        assert [each.failed for each in chats] == [False, False]
        first = chats[0].attributes
        assert (first["gen_ai.operation.name"], first["gen_ai.provider.name"]) == ("chat", "anthropic")
        assert first["gen_ai.usage.input_tokens"] > 0
        assert first["gen_ai.response.finish_reasons"] == ["tool_call"]
        (tool,) = [each for each in ours if each.name == "sre_agent.tool.execute"]
        assert tool.attributes["gen_ai.tool.name"] == "call_ops_endpoint"

        assert collector.metrics.keys() >= set(ISSUE_INSTRUMENTS)
        assert {each.trace_id for each in collector.lines if each.body == "investigated"} == {trace_id}
        # Nothing that was said is in any of it: neither the model's words, nor the page's.
        assert CANARY.encode() not in collector.raw
        assert b"refuses payments" not in collector.raw
        assert TOKEN.encode() not in collector.raw


async def test_a_conversation_is_one_trace_from_its_message_to_its_answer(stack: Stack) -> None:
    async with Collector() as collector:
        async with incident(stack, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as one:
            one.model.script.add(
                say("", call("service_context", service="checkout")), say(CANARY, conclude(0.9))
            )
            await stack.ask(f"<@U0AGENT> who owns checkout? {CANARY}", user=MAYA, channel=INCIDENTS)
            ((trace_id,),) = await stack.rows("SELECT trace_id FROM turns")
            await one.runtime.stop()
        ours = [each for each in collector.spans if each.trace_id == trace_id]
        (turn,) = [each for each in ours if each.name == "sre_agent.conversation.turn"]
        assert path(turn, ours) == ["sre_agent.conversation.accept", "sre_agent.conversation.turn"]
        assert turn.attributes["sre_agent.turn.kind"] == "mention"
        assert len([each for each in ours if each.name == "sre_agent.agent.turn"]) == 2
        assert "sre_agent.conversation.turns" in collector.metrics
        assert CANARY.encode() not in collector.raw


async def test_a_collector_that_hangs_slows_no_turn_and_no_shutdown(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "120")
    async with Collector(hangs=True) as collector:
        runtime = await stack.serve(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        began = time.monotonic()
        await stack.ask()
        assert time.monotonic() - began < 60
        began = time.monotonic()
        await runtime.stop()
        assert time.monotonic() - began < 60
