"""Whatever a source answers, a tool says something sensible: the result, or whose fault it is."""

from __future__ import annotations

import copy
import random
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.sources.jaeger import Jaeger
from app.sources.loki import Loki
from app.sources.prometheus import Prometheus
from app.sources.tempo import Tempo
from app.tools import logql, promql, traces
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute
from tests.fakes.sources import Answer, SourceServer, otlp_resource, otlp_span
from tests.sources.test_traces import jaeger_trace

AT = 1_763_715_600.0
NOW = datetime.fromtimestamp(AT + 600, UTC)
MATRIX = {"metric": {"__name__": "up", "job": "x"}, "values": [[AT + n, str(n)] for n in range(8)]}
STREAM = {
    "stream": {"app": "x"},
    "values": [[str(int(AT * 1e9)), '{"level": "ERROR", "msg": "no"}', {"trace_id": "ab"}]],
}
FAILING = otlp_span("a" * 32, "b" * 16, "GET /", AT, 1, error="no", attributes={"k": "v"})

SAMPLES: dict[str, tuple[str, dict[str, Any]]] = {
    "promql": (
        "/api/v1/query_range",
        {"status": "success", "data": {"resultType": "matrix", "result": [MATRIX]}},
    ),
    "logql": (
        "/loki/api/v1/query_range",
        {"status": "success", "data": {"resultType": "streams", "result": [STREAM]}},
    ),
    "tempo": ("/api/traces/abc", {"batches": [otlp_resource("web", [FAILING])]}),
    "jaeger": ("/api/traces", {"data": [jaeger_trace()], "errors": None}),
}
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "NaN", "-1", "9" * 40, "9" * 400, "1e999", "\x00\x1b[31m", "<!channel>", "ä" * 600]),
    st.just([]),
    st.just({}),
    st.just([[]]),
    st.just({"a": {"b": [1]}}),
)


async def ask(kind: str, server: SourceServer) -> Executed:
    sources = {"promql": Prometheus, "logql": Loki, "tempo": Tempo, "jaeger": Jaeger}
    client = sources[kind](server.endpoint)
    made = {"promql": promql, "logql": logql}.get(kind, traces).tool(
        SimpleNamespace(prometheus=client, loki=client, traces=client)
    )
    assert made is not None
    arguments = {"promql": {"query": "up"}, "logql": {"query": "{}"}}.get(kind, {"service": "web"})
    scope = ToolScope(clock=lambda: NOW)
    done = await execute(Catalogue([made]), made.name, arguments, scope=scope, limit_bytes=4096)
    await client.aclose()
    return done


def mutated(answer: Any, rng: random.Random, odd: Any) -> Any:
    """`answer` with one part of it, anywhere, replaced by something odd or left out."""
    answer = copy.deepcopy(answer)
    places = list(_places(answer))
    holder, key = rng.choice(places)
    if isinstance(holder, dict) and rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = odd
    return answer


def _places(value: Any) -> Any:
    for key in list(value) if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], dict | list):
            yield from _places(value[key])


@pytest.mark.parametrize("kind", SAMPLES)
async def test_the_samples_themselves_are_understood(kind: str) -> None:
    path, sample = SAMPLES[kind]
    async with SourceServer(
        {path: Answer(sample), "/api/search": Answer({"traces": [{"traceID": "abc"}]})}
    ) as server:
        done = await ask(kind, server)
    assert not done.failed
    assert len(done.sources) == 1


@pytest.mark.parametrize("kind", SAMPLES)
@settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rng=st.randoms(use_true_random=False), odd=ODD)
async def test_a_part_that_is_odd_breaks_nothing(kind: str, rng: random.Random, odd: Any) -> None:
    path, sample = SAMPLES[kind]
    answer = mutated(sample, rng, odd)
    async with SourceServer(
        {path: Answer(answer), "/api/search": Answer({"traces": [{"traceID": "abc"}]})}
    ) as server:
        done = await ask(kind, server)
    assert "failed inside" not in done.text
    assert len(done.text.encode()) <= 4096
