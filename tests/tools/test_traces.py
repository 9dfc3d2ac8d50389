"""Traces as the model reads them: who fails, where the time goes, and the way to the error."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from app.signals.models import Span
from app.sources.jaeger import Jaeger
from app.sources.tempo import Tempo
from app.tools import traces
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute
from tests.fakes.sources import FakeJaeger, FakeTempo, otlp_resource, otlp_span

AT = 1_763_715_600.0


def failing(n: int, error: str = "pool is full") -> tuple[str, dict[str, Any]]:
    """Web calls checkout, checkout calls the pool, the pool fails after a second."""
    trace = f"{n:032x}"
    web = otlp_span(trace, "a" * 16, "POST /pay", AT + n, 1.3, error="HTTP 500")
    checkout = otlp_span(trace, "b" * 16, "charge", AT + n + 0.1, 1.1, parent="a" * 16, error="no connection")
    pool = otlp_span(trace, "c" * 16, "acquire", AT + n + 0.1, 1.0, parent="b" * 16, error=error)
    members = [("web", web), ("checkout", checkout), ("pool", pool)]
    return trace, {"batches": [otlp_resource(name, [span]) for name, span in members]}


async def ask(source: object, *, service: str | None = "web", **arguments: Any) -> Executed:
    made = traces.tool(SimpleNamespace(traces=source))
    assert made is not None
    scope = ToolScope(service=service, clock=lambda: datetime.fromtimestamp(AT + 600, UTC))
    return await execute(Catalogue([made]), "traces", arguments, scope=scope, limit_bytes=4096)


@pytest.fixture
async def server() -> AsyncIterator[FakeTempo]:
    async with FakeTempo(
        dict([failing(n) for n in range(1, 7)] + [failing(9, "certificate expired")])
    ) as running:
        yield running


@pytest.fixture
async def tempo(server: FakeTempo) -> AsyncIterator[Tempo]:
    client = Tempo(server.endpoint)
    yield client
    await client.aclose()


async def test_failures_times_and_ways_are_told(server: FakeTempo, tempo: Tempo) -> None:
    done = await ask(tempo)

    head, *lines = done.text.splitlines()
    assert head == "7 traces, 21 spans, 21 failed (2025-11-21 08:40:00–09:10:00 UTC). By service:"
    assert lines[:3] == [
        "- pool: self-time 7.0 s (77%), 7 failed: 6× acquire: pool is full; 1× acquire: certificate expired",
        "- web: self-time 1.4 s (15%), 7 failed: 7× POST /pay: HTTP 500",
        "- checkout: self-time 700 ms (8%), 7 failed: 7× charge: no connection",
    ]
    way = "web “POST /pay” 1.3 s failed → checkout “charge” 1.1 s failed → pool “acquire” 1.0 s failed"
    assert lines[3] == f"- Trace {1:032x} at 09:00:01: {way}: pool is full"
    assert lines[4] == f"- Trace {9:032x} at 09:00:09: {way}: certificate expired"
    assert len(lines) == 6
    assert [source.url for source in done.sources][:2] == [tempo.link(f"{n:032x}") for n in (1, 9)]
    assert done.full is not None
    assert len(done.full.splitlines()) == 21
    assert server.asked[0].params["q"] == '{resource.service.name="web" && status=error}'


async def test_traceql_is_asked_instead_of_the_service(server: FakeTempo, tempo: Tempo) -> None:
    await ask(tempo, traceql="{ duration > 1s }")
    assert server.asked[0].params["q"] == "{ duration > 1s }"

    done = await ask(tempo, traceql="{ duration > ")
    assert (done.failed, done.text[:24]) == (True, "tempo rejects the query:")


async def test_nothing_found_says_so(server: FakeTempo, tempo: Tempo) -> None:
    server.traces.clear()
    assert (await ask(tempo)).text == "No trace matches (2025-11-21 08:40:00–09:10:00 UTC)."


async def test_jaeger_serves_the_same_tool() -> None:
    async with FakeJaeger() as server:
        jaeger = Jaeger(server.endpoint)
        assert (await ask(jaeger)).text.startswith("No trace matches")
        assert (await ask(jaeger, service=None)).text == "jaeger finds traces by service only: name one."
        assert (await ask(jaeger, traceql="{}")).failed
        await jaeger.aclose()


def span(identity: str, parent: str | None, ms: float, trace: str = "t1", **more: Any) -> Span:
    return Span(trace, identity, "web", "x", AT, ms, parent, **more)


def test_without_a_failure_the_longest_inner_span_is_led_to() -> None:
    spans = [span("a", None, 50), span("b", "a", 40), span("c", "a", 5), span("a", None, 30, "t2")]
    assert [[each.span_id for each in way] for way in traces.telling(spans)] == [["a", "b"]]


def test_a_circle_of_parents_ends() -> None:
    spans = [span("a", "b", 50, failed=True), span("b", "a", 40)]
    assert [[each.span_id for each in way] for way in traces.telling(spans)] == [["b", "a"]]


def test_a_large_result_fits() -> None:
    spans = [
        Span(f"t{n}", "a", f"service-{n}", "GET /" + "x" * 300, AT, 5, None, True, "broken " * 90)
        for n in range(200)
    ]
    text = traces.told(spans, traces.telling(spans), "over", 4096)
    assert len(text.encode()) <= 4096
    assert text.splitlines()[-1].endswith("more services)")
    assert text.count("- Trace") == 3


def test_without_a_source_there_is_no_tool() -> None:
    assert traces.tool(SimpleNamespace()) is None
