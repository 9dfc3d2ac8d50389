"""Spans from Tempo and from Jaeger: the same questions, the same answers."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from app.sources.failures import SHAPE_ERRORS, QueryRejected, SourceFailed
from app.sources.jaeger import Jaeger
from app.sources.otlp import identifier, spans_of
from app.sources.tempo import Tempo, combined
from app.sources.traces import Traces
from tests.fakes.sources import Answer, FakeJaeger, FakeTempo, SourceServer, otlp_resource, otlp_span

AT = 1_763_715_600.0
T1, T2 = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b74bf92f3577b34da6"
ROOT, CHILD = "00f067aa0ba902b7", "53995c3f42cd8ad8"


def coded(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def trace(identity: str = T1, write: Any = str) -> list[dict[str, Any]]:
    """Web calls the pool; the pool fails."""
    root = otlp_span(write(identity), write(ROOT), "POST /pay", AT, 2, attributes={"http.status_code": "500"})
    child = otlp_span(
        write(identity), write(CHILD), "acquire", AT + 0.5, 1, parent=write(ROOT), error="pool is full"
    )
    return [otlp_resource("web", [root]), otlp_resource("pool", [child])]


@pytest.mark.parametrize(
    "answer",
    [
        {"batches": trace()},
        {"resourceSpans": trace()},
        {"trace": {"resourceSpans": trace()}},
        {"batches": trace(write=coded)},
    ],
)
def test_every_generation_of_tempo_s_json_is_read(answer: dict[str, Any]) -> None:
    web, pool = spans_of(answer)

    assert (web.trace_id, web.span_id, web.parent_id, web.service, web.failed) == (
        T1,
        ROOT,
        None,
        "web",
        False,
    )
    assert (pool.span_id, pool.parent_id, pool.duration_ms, pool.start) == (CHILD, ROOT, 1000.0, AT + 0.5)
    assert (pool.failed, pool.error, web.attributes) == (True, "pool is full", {"http.status_code": "500"})


def test_older_scopes_and_other_values_are_read() -> None:
    span = otlp_span(T1, ROOT, "x", AT, 1) | {
        "status": {"code": 2},
        "attributes": [
            {"key": "n", "value": {"intValue": "5"}},
            {"key": "b", "value": {"boolValue": True}},
            {"key": "l", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"stringValue": "b"}]}}},
            {"key": "none"},
        ],
        "events": [
            {
                "name": "exception",
                "attributes": [
                    {"key": "exception.type", "value": {"stringValue": "Timeout"}},
                    {"key": "exception.message", "value": {"stringValue": "30 s"}},
                ],
            }
        ],
    }
    (read,) = spans_of({"batches": [otlp_resource("web", [span], "instrumentationLibrarySpans")]})
    assert read.attributes == {"n": "5", "b": "true", "l": "a, b", "none": ""}
    assert read.error == "Timeout: 30 s"


@pytest.mark.parametrize(
    ("written", "read"),
    [(T1, T1), (T1.upper(), T1), (coded(T1), T1), (coded(ROOT), ROOT), ("", ""), ("0" * 16, ""), ("?", "?")],
)
def test_ids_are_hexadecimal_whichever_way_they_came(written: str, read: str) -> None:
    assert identifier(written) == read


@pytest.mark.parametrize(
    ("service", "traceql", "error_only", "query"),
    [
        (None, None, False, "{}"),
        ("web", None, True, '{resource.service.name="web" && status=error}'),
        ('a"}b', None, False, '{resource.service.name="a\\"}b"}'),
        (None, "{ duration > 1s }", False, "{ duration > 1s }"),
        (
            None,
            "{ duration > 1s } | count() > 2",
            True,
            "({ duration > 1s } | count() > 2) && ({status=error})",
        ),
    ],
)
def test_one_traceql_query_holds_all_wishes(
    service: str | None, traceql: str | None, error_only: bool, query: str
) -> None:
    assert combined(service, traceql, error_only) == query


async def test_tempo_searches_and_fetches_every_trace() -> None:
    async with FakeTempo({T1: {"batches": trace()}, T2: {"batches": trace(T2)}}) as server:
        tempo = Tempo(server.endpoint)
        assert isinstance(tempo, Traces)
        spans = await tempo.search(start=AT, end=AT + 60.5, service="web", error_only=True, limit=5)
        await tempo.aclose()

    assert [(span.trace_id, span.service) for span in spans] == [
        (T2, "web"),
        (T1, "web"),
        (T2, "pool"),
        (T1, "pool"),
    ]
    assert server.asked[0].params == {
        "q": '{resource.service.name="web" && status=error}', "start": "1763715600", "end": "1763715661", "limit": "5",
    }  # fmt: skip
    assert {asked.method for asked in server.asked} == {"GET"}
    assert tempo.link(T1) == f"{server.url}/api/traces/{T1}"


async def test_a_trace_that_is_gone_does_not_hide_the_others() -> None:
    async with FakeTempo({T1: {"batches": trace()}}) as server:
        server.routes["/api/search"] = Answer({"traces": [{"traceID": T2}, {"traceID": T1}]})
        tempo = Tempo(server.endpoint)
        assert {span.trace_id for span in await tempo.search(start=AT, end=AT + 60)} == {T1}

        server.traces.clear()
        with pytest.raises(SourceFailed, match="tempo has nothing at that address"):
            await tempo.search(start=AT, end=AT + 60)
        await tempo.aclose()


async def test_a_wrong_query_comes_back_with_tempo_s_own_words() -> None:
    async with FakeTempo() as server:
        tempo = Tempo(server.endpoint)
        with pytest.raises(QueryRejected, match="tempo rejects the query: invalid TraceQL query"):
            await tempo.search(start=AT, end=AT + 60, traceql="{ .x = ")
        assert await tempo.search(start=AT, end=AT + 60) == ()
        await tempo.aclose()


@pytest.mark.parametrize(
    "found",
    [[], {"traces": [{}]}, {"traces": 3}, {"traces": [{"traceID": "../../admin"}]}, {"traces": ["x"]}],
)
async def test_a_search_answered_in_another_shape_is_a_fault_of_tempo(found: object) -> None:
    async with SourceServer({"/api/search": Answer(found)}) as server:
        tempo = Tempo(server.endpoint)
        with pytest.raises(SourceFailed, match="in a shape that is not known"):
            await tempo.search(start=AT, end=AT + 60)
        await tempo.aclose()
        assert len(server.asked) == 1


def jaeger_trace() -> dict[str, Any]:
    def span(identity: str, process: str, name: str, start: float, **more: Any) -> dict[str, Any]:
        return {
            "traceID": T1, "spanID": identity, "operationName": name, "processID": process,
            "startTime": round(start * 1e6), "duration": 1_000_000, "references": [], "tags": [], "logs": [], **more,
        }  # fmt: skip

    parent = {"refType": "CHILD_OF", "traceID": T1, "spanID": ROOT}
    elsewhere = {"refType": "CHILD_OF", "traceID": T2, "spanID": "aa"}
    told = {
        "timestamp": 1,
        "fields": [{"key": "event", "value": "error"}, {"key": "message", "value": "pool is full"}],
    }
    return {
        "traceID": T1,
        "processes": {"p1": {"serviceName": "web", "tags": []}, "p2": {"serviceName": "pool"}},
        "spans": [
            span(CHILD, "p2", "acquire", AT + 0.5, references=[elsewhere, parent], logs=[told],
                 tags=[{"key": "error", "type": "bool", "value": True}]),
            span(ROOT, "p1", "POST /pay", AT, tags=[{"key": "http.status_code", "type": "int64", "value": 500}]),
        ],
    }  # fmt: skip


async def test_jaeger_s_spans_are_the_same() -> None:
    async with FakeJaeger([jaeger_trace()]) as server:
        jaeger = Jaeger(server.endpoint)
        assert isinstance(jaeger, Traces)
        web, pool = await jaeger.search(start=AT, end=AT + 60, service="web", error_only=True)
        await jaeger.aclose()

    assert (web.service, web.parent_id, web.attributes, web.failed) == (
        "web",
        None,
        {"http.status_code": "500"},
        False,
    )
    assert (pool.parent_id, pool.duration_ms, pool.start) == (ROOT, 1000.0, AT + 0.5)
    assert (pool.failed, pool.error) == (True, "pool is full")
    assert server.asked[0].params["tags"] == '{"error": "true"}'
    assert server.asked[0].params["start"] == "1763715600000000"
    assert jaeger.link(T1) == f"{server.url}/trace/{T1}"


@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ({"service": None}, "finds traces by service only"),
        ({"service": "x", "traceql": "{}"}, "does not know TraceQL"),
    ],
)
async def test_what_jaeger_cannot_be_asked_is_said(question: dict[str, Any], sentence: str) -> None:
    async with FakeJaeger() as server:
        jaeger = Jaeger(server.endpoint)
        with pytest.raises(QueryRejected, match=sentence):
            await jaeger.search(start=AT, end=AT + 60, **question)
        assert await jaeger.search(start=AT, end=AT + 60, service="nobody") == ()
        await jaeger.aclose()
        assert len(server.asked) == 1


@pytest.mark.parametrize(
    "body", [[], {"data": [{}]}, {"data": [{"spans": [{}], "processes": {}}]}, {"data": 3}]
)
async def test_an_answer_of_another_shape_is_a_fault_of_jaeger(body: object) -> None:
    async with SourceServer({"/api/traces": Answer(body)}) as server:
        jaeger = Jaeger(server.endpoint)
        with pytest.raises(SourceFailed, match="in a shape that is not known"):
            await jaeger.search(start=AT, end=AT + 60, service="x")
        await jaeger.aclose()


def test_a_time_that_no_number_holds_is_not_read() -> None:
    span = otlp_span(T1, ROOT, "x", AT, 1) | {"startTimeUnixNano": "9" * 400}
    with pytest.raises(SHAPE_ERRORS):
        list(spans_of({"batches": [otlp_resource("web", [span])]}))
