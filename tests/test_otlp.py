"""Telemetry over the wire: what a collector decodes, what none of it may say, and that its absence costs nothing."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections import Counter as Count
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import pytest
from pydantic_ai.exceptions import ModelOverloadedError
from pydantic_ai.settings import ModelSettings
from structlog.testing import capture_logs

from app import instruments, telemetry, tracing
from app.agent.models import ChosenModel, Made, Sdk
from app.agent.sending import sent
from app.errors import AgentError
from app.otlp import Otlp, pairs, root_span_id
from app.settings import Settings
from app.standing import STANDINGS
from tests.fakes.otlp import Collector


class Broken(AgentError):
    code = "broken"


@asynccontextmanager
async def exporting(url: str, **environment: str) -> AsyncIterator[Otlp]:
    settings = Settings.load(env_file=None, OTEL_EXPORTER_OTLP_ENDPOINT=url, **environment)
    otlp = Otlp(settings.telemetry, version="1.2.3", instance="pod-1:7")
    otlp.start()
    try:
        yield otlp
    finally:
        await otlp.close()


def points(collector: Collector, name: str) -> dict[tuple[str, ...], Any]:
    """Values of a metric by the values of its attributes."""
    metric = collector.metrics[name]
    kind = metric.WhichOneof("data")
    return {
        tuple(each.value.string_value for each in point.attributes): point
        for point in getattr(metric, kind).data_points
    }


def number(point: Any) -> float:
    return float(getattr(point, point.WhichOneof("value")))


async def test_jobs_of_other_processes_hang_below_the_webhook_that_began_their_trace() -> None:
    trace_id = uuid4().hex
    async with Collector() as collector:
        async with exporting(collector.url):
            tracing.entrance("sre_agent.webhook", trace_id, time.monotonic() - 250, {"a": "b"})
            tracing.entrance("sre_agent.webhook", trace_id, time.monotonic(), root=False)
            with tracing.work(trace_id, "sre_agent.process_alert", {"n": 1}), tracing.span("inner"):
                assert tracing.current_trace_id() == trace_id
        root, second = collector.named("sre_agent.webhook")
        (job,), (inner,) = collector.named("sre_agent.process_alert"), collector.named("inner")
    assert {each.trace_id for each in collector.spans} == {trace_id}
    assert (root.parent_id, root.span_id) == ("", f"{root_span_id(int(trace_id, 16)):016x}")
    assert root.seconds == pytest.approx(250, abs=60)
    assert second.parent_id == job.parent_id == root.span_id
    assert second.span_id != root.span_id
    assert inner.parent_id == job.span_id
    assert collector.resource["service.name"] == "sre-agent"
    assert (collector.resource["service.version"], collector.resource["service.instance.id"]) == (
        "1.2.3",
        "pod-1:7",
    )


async def test_a_failed_span_tells_its_code_and_not_the_words_of_the_error() -> None:
    async with Collector() as collector:
        async with exporting(collector.url):
            with pytest.raises(Broken), tracing.span("step", {"said": "api_key=abcdefgh12345678"}):
                raise Broken("the canary-5f2c91d0 sang")
            with pytest.raises(asyncio.CancelledError), tracing.span("cut"):
                raise asyncio.CancelledError
            with tracing.span("told") as span:
                span.set({"later": 3, "unknown": None})
                span.fail("overloaded")
        told = {each.name: each for each in collector.spans}
    assert all(each.failed for each in told.values())
    assert [told[name].attributes["error.type"] for name in ("step", "cut", "told")] == [
        "broken",
        "CancelledError",
        "overloaded",
    ]
    assert told["told"].attributes["later"] == 3
    assert b"canary" not in collector.raw
    assert b"abcdefgh12345678" not in collector.raw


async def test_counters_histograms_and_gauges_arrive_under_their_names() -> None:
    async with Collector() as collector, exporting(collector.url):
        instruments.WEBHOOKS_RECEIVED.add(2, source="of-this-test")
        instruments.RUN_DURATION.record(7, kind="of-this-test")
        instruments.INCIDENTS_ACTIVE.set(5)
    (received,) = [
        each
        for key, each in points(collector, "sre_agent.webhooks.received").items()
        if key == ("of-this-test",)
    ]
    assert number(received) == 2
    duration = points(collector, "sre_agent.agent.run.duration")["of-this-test",]
    assert (duration.count, duration.sum) == (1, 7)
    assert tuple(duration.explicit_bounds) == instruments.RUN_DURATION.bounds
    assert number(points(collector, "sre_agent.incidents.active")[()]) == 5
    assert collector.metrics["sre_agent.agent.run.duration"].unit == "s"


async def test_logs_arrive_masked_with_their_trace_and_span() -> None:
    trace_id = uuid4().hex
    async with Collector() as collector:
        async with exporting(collector.url):
            with tracing.work(trace_id, "job"):
                for hear in telemetry.listeners:
                    hear(
                        {
                            "event": "inside",
                            "level": "warning",
                            "trace_id": trace_id,
                            "count": 3,
                            "_record": 1,
                        }
                    )
            for hear in telemetry.listeners:
                hear({"event": "outside", "level": "info", "trace_id": trace_id})
                hear({"event": "nowhere", "level": "info"})
        inside, outside, nowhere = (
            next(each for each in collector.lines if each.body == name)
            for name in ("inside", "outside", "nowhere")
        )
        (job,) = collector.named("job")
    assert (inside.trace_id, inside.span_id, inside.severity) == (trace_id, job.span_id, "WARNING")
    assert inside.attributes == {"count": 3}
    assert (outside.trace_id, outside.span_id) == (trace_id, job.parent_id)
    assert nowhere.trace_id == ""


async def test_headers_and_resource_attributes_go_out_as_they_are_set() -> None:
    async with Collector() as collector:
        async with exporting(
            collector.url,
            OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20a-token,x-team=sre",
            OTEL_SERVICE_NAME="agent-eu",
            OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=production",
        ):
            with tracing.span("one"):
                pass
        assert collector.requests[0].headers["authorization"] == "Bearer a-token"
        assert collector.requests[0].headers["x-team"] == "sre"
    assert collector.resource["service.name"] == "agent-eu"
    assert collector.resource["deployment.environment.name"] == "production"


async def test_a_signal_may_have_an_address_of_its_own() -> None:
    settings = Settings.load(
        env_file=None,
        OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318/",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://tempo:4318/otlp/v1/traces",
    ).telemetry
    assert settings.address("traces") == "http://tempo:4318/otlp/v1/traces"
    assert settings.address("logs") == "http://collector:4318/v1/logs"
    assert pairs("") == {}
    off = Settings.load(
        env_file=None, OTEL_EXPORTER_OTLP_ENDPOINT="http://collector:4318", OTEL_SDK_DISABLED="true"
    ).telemetry
    assert (off.is_on, settings.is_on, Settings.load(env_file=None).telemetry.is_on) == (False, True, False)


def nobody() -> Made:
    raise AssertionError("no SDK is asked here")


async def test_a_request_to_a_model_that_failed_says_why_and_that_the_model_is_not_well() -> None:
    model = ChosenModel("anthropic", "claude-haiku-5-5", ModelSettings(max_tokens=100), Sdk(nobody))
    async with Collector() as collector:
        async with exporting(collector.url):
            with pytest.raises(ModelOverloadedError), sent(model, 7):
                raise ModelOverloadedError("claude-haiku-5-5", "canary-5f2c91d0")
        (chat,) = collector.named("chat claude-haiku-5-5")
    assert chat.failed
    assert chat.kind == 3, "a client's"
    assert chat.attributes["error.type"] == "overloaded"
    assert chat.attributes["gen_ai.request.max_tokens"] == 100
    assert chat.attributes["gen_ai.conversation.id"] == "7"
    assert b"canary" not in collector.raw
    assert STANDINGS.of["model"].is_up is False


def refused(collector: Collector) -> None:
    collector.status = 500


def hanging(collector: Collector) -> None:
    collector.hangs = True


@pytest.mark.parametrize("trouble", [refused, hanging])
async def test_a_collector_that_does_not_take_it_costs_nothing_but_a_line_an_outage(
    trouble: Callable[[Collector], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (
        ("OTEL_BSP_SCHEDULE_DELAY", "20"),
        ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1"),
    ):
        monkeypatch.setenv(name, value)
    failures = instruments.EXPORT_FAILURES.total
    async with Collector() as collector:
        trouble(collector)
        with capture_logs() as logs:
            async with exporting(collector.url):
                began, worked = time.monotonic(), time.thread_time()
                for number in range(20_000):
                    with tracing.span(f"step {number}"):
                        pass
                assert time.thread_time() - worked < 8, "a span takes well below a millisecond"
                assert time.monotonic() - began < 30, "no span waits for one of the exports"
                await collector.wait_for(lambda: instruments.EXPORT_FAILURES.total > failures)
                began = time.monotonic()
            assert time.monotonic() - began < 30
    said = [
        (each["event"], each["signal"]) for each in logs if "signal" in each and each["log_level"] != "info"
    ]
    assert {event for event, _ in said} == {"telemetry_not_exported"}
    # The last export of the test before may end in this one.
    assert max(Count(said).values()) <= 2


async def test_what_is_left_is_sent_when_the_process_ends() -> None:
    async with Collector() as collector:
        async with exporting(collector.url):
            with tracing.span("last"):
                pass
            assert collector.named("last") == []
        assert len(collector.named("last")) == 1
    with tracing.span("after the end"):
        pass
    assert len(collector.spans) == 1


def test_without_an_address_the_sdk_is_not_even_imported() -> None:
    looked = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, app.runtime, app.cli; "
            "print([m for m in sys.modules if m.startswith(('opentelemetry.sdk', 'opentelemetry.exporter'))])",
        ],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": ""},
        timeout=250,
    )
    assert looked.stdout.strip() == "[]"
