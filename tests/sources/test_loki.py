"""Log lines from Loki: which, in what order, and what each of them says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest

from app.sources.failures import QueryRejected, SourceFailed
from app.sources.log_lines import understood
from app.sources.loki import Loki
from tests.fakes.sources import Answer, FakeLoki

AT = 1_763_715_600.0
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
async def server() -> AsyncIterator[FakeLoki]:
    checkout = [(AT + n, f"level=error msg=boom n={n}") for n in range(6)]
    async with FakeLoki(
        [({"app": "checkout"}, checkout), ({"service": "db", "job": "x"}, [(AT + 2.5, "INFO started")])]
    ) as running:
        yield running


@pytest.fixture
async def loki(server: FakeLoki) -> AsyncIterator[Loki]:
    client = Loki(server.endpoint)
    yield client
    await client.aclose()


async def test_lines_of_all_streams_come_in_the_order_of_time(server: FakeLoki, loki: Loki) -> None:
    lines = await loki.query_range('{app=~".+"}', AT + 1, AT + 4, 100)

    assert [(line.at, line.service, line.level) for line in lines] == [
        (AT + 1, "checkout", "error"),
        (AT + 2, "checkout", "error"),
        (AT + 2.5, "db", "info"),
        (AT + 3, "checkout", "error"),
        (AT + 4, "checkout", "error"),
    ]
    assert server.asked[0].params["direction"] == "backward"
    assert server.asked[0].params["start"] == "1763715601000000000"


async def test_of_too_many_lines_the_newest_come(loki: Loki) -> None:
    lines = await loki.query_range("{}", AT, AT + 60, 2)
    assert [line.at for line in lines] == [AT + 4, AT + 5]


async def test_the_link_answers_the_same_question(loki: Loki) -> None:
    async with aiohttp.ClientSession() as session, session.get(loki.link("{}", AT, AT + 60, 2)) as answer:
        body = await answer.json()
    assert len(body["data"]["result"][0]["values"]) == 2


async def test_a_wrong_query_comes_back_with_loki_s_own_words(loki: Loki) -> None:
    with pytest.raises(QueryRejected, match="loki rejects the query: parse error at line 1, col 1"):
        await loki.query_range("nonsense", AT, AT + 60)


async def test_a_query_that_counts_is_sent_back(server: FakeLoki, loki: Loki) -> None:
    server.routes["/loki/api/v1/query_range"] = Answer({"data": {"resultType": "matrix", "result": []}})
    with pytest.raises(QueryRejected, match="found numbers, not lines"):
        await loki.query_range('count_over_time({app="x"}[1m])', AT, AT + 60)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"data": {"resultType": "streams", "result": [{"stream": {}, "values": [["x", "y"]]}]}},
        {"data": {"resultType": "streams", "result": [{"stream": {}, "values": [["9" * 400, "y"]]}]}},
        {"data": 3},
    ],
)
async def test_an_answer_of_another_shape_is_a_fault_of_the_source(
    server: FakeLoki, loki: Loki, body: object
) -> None:
    server.routes["/loki/api/v1/query_range"] = Answer(body)
    with pytest.raises(SourceFailed, match="in a shape that is not known"):
        await loki.query_range("{}", AT, AT + 60)


@pytest.mark.parametrize(
    "metadata",
    [{"trace_id": TRACE, "level": "WARN"}, {"structuredMetadata": {"trace_id": TRACE, "level": "WARN"}}],
)
async def test_structured_metadata_tells_level_and_trace(
    server: FakeLoki, loki: Loki, metadata: dict[str, object]
) -> None:
    stream = {"stream": {"app": "x"}, "values": [["1763715600000000000", "slow", metadata]]}
    server.routes["/loki/api/v1/query_range"] = Answer(
        {"data": {"resultType": "streams", "result": [stream]}}
    )
    (line,) = await loki.query_range("{}", AT, AT + 60)

    assert (line.level, line.trace_id, line.labels) == ("warn", TRACE, {"app": "x"})


@pytest.mark.parametrize(
    ("line", "labels", "said"),
    [
        ("plain words", {}, ("plain words", "", None)),
        ("2026-11-20 10:00 ERROR it broke", {}, ("2026-11-20 10:00 ERROR it broke", "error", None)),
        ("ts=1 lvl=warning msg=slow", {}, ("ts=1 lvl=warning msg=slow", "warn", None)),
        (f"level=info trace_id={TRACE} done", {}, (f"level=info trace_id={TRACE} done", "info", TRACE)),
        ("level=info x", {"level": "critical"}, ("level=info x", "fatal", None)),
        ("no errors found", {}, ("no errors found", "", None)),
        (
            json.dumps(
                {"level": "ERROR", "msg": "refused", "error": "timeout", "code": 504, "traceId": TRACE}
            ),
            {},
            ("refused error=timeout code=504", "error", TRACE),
        ),
        ('{"level": "ERROR"', {}, ('{"level": "ERROR"', "error", None)),
        ('{"a": 1}', {"severity": "odd"}, ('{"a": 1}', "", None)),
        ("[1]", {}, ("[1]", "", None)),
        ("x" * 20_000, {}, ("x" * 8_000, "", None)),
    ],
)
def test_a_line_is_understood(line: str, labels: dict[str, str], said: tuple[str, str, str | None]) -> None:
    assert understood(line, labels) == said
