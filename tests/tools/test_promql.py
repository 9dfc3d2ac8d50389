"""Metrics as the model reads them: against a real Prometheus, and as a table of shapes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.settings import Endpoint
from app.signals.models import Series
from app.sources.prometheus import Prometheus
from app.tools import promql
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute
from tests.fakes.sources import Answer, SourceServer
from tests.sources.prometheus_server import BROKE, END, START, prometheus_url

__all__ = ["prometheus_url"]  # a fixture is found by its name here

ERRORS = 'sum by (service, route) (rate(http_requests_total{status="500"}[1m]))'
NOW = datetime.fromtimestamp(END, UTC)


async def ask(prometheus: Prometheus, limit_bytes: int = 4096, **arguments: Any) -> Executed:
    made = promql.tool(SimpleNamespace(prometheus=prometheus))
    assert made is not None
    scope = ToolScope(clock=lambda: NOW)
    return await execute(Catalogue([made]), "promql", arguments, scope=scope, limit_bytes=limit_bytes)


@pytest.fixture
async def prometheus(prometheus_url: str) -> AsyncIterator[Prometheus]:
    client = Prometheus(Endpoint(prometheus_url))
    yield client
    await client.aclose()


@pytest.mark.slow
async def test_the_series_that_changed_comes_first_with_its_change(prometheus: Prometheus) -> None:
    done = await ask(prometheus, query=ERRORS, minutes=55)

    first, *others = done.text.splitlines()
    assert first == "14 series, 2025-11-21 09:05:00–10:00:00 UTC; the 10 that changed most:"
    assert others[0] == 'All have {route="/pay"}.'
    assert others[1].startswith('- {service="checkout"}: shifts up at 09:4')
    assert "→ 2 (size " in others[1]
    assert others[2].startswith("  from 09:50:30: 2 2 2")
    assert len(others[2].split()) == 2 + 20
    assert len([line for line in others if line.startswith("- ")]) == 10
    assert len(done.text.encode()) <= 4096
    assert done.full is not None
    assert len([line for line in done.full.splitlines() if "checkout" in line]) == 6
    assert done.title == "Asked Prometheus: 14 series"


@pytest.mark.slow
async def test_a_result_names_the_page_where_it_can_be_checked(prometheus: Prometheus) -> None:
    (source,) = (await ask(prometheus, query=ERRORS)).sources
    assert source.path == ERRORS
    assert source.url is not None
    async with aiohttp.ClientSession() as session, session.get(source.url) as page:
        assert page.status == 200


@pytest.mark.slow
async def test_an_instant_in_the_past_is_asked_about(prometheus: Prometheus) -> None:
    before = datetime.fromtimestamp(BROKE, UTC).isoformat()
    done = await ask(prometheus, query='rate(http_requests_total{service="checkout",status="500"}[2m])', minutes=0, until=before)  # fmt: skip
    assert "at 09:45:00 UTC" in done.text
    assert "0.02" in done.text
    assert done.full is None


@pytest.mark.slow
async def test_a_wrong_query_comes_back_in_prometheus_own_words(prometheus: Prometheus) -> None:
    done = await ask(prometheus, query="sum(rate(x[5m])")
    assert done.failed
    assert done.text.startswith("prometheus rejects the query: 1:")
    assert "unclosed left parenthesis" in done.text


@pytest.mark.slow
async def test_nothing_found_says_so(prometheus: Prometheus) -> None:
    done = await ask(prometheus, query="odd")
    assert done.text.startswith("No series with a number (2025-11-21 09:30:00–10:00:00 UTC);")
    assert not done.failed


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("500", "prometheus answered with an error (HTTP 500): out of disk"),
        ("huge", "prometheus answered more than 8 MiB; ask for less."),
        ("cut", "prometheus broke its answer off."),
        ("redirect", "prometheus redirects to another address (HTTP 302), which is not followed."),
    ],
)
async def test_a_source_that_fails_is_a_sentence(fault: str, sentence: str) -> None:
    async with SourceServer() as server:
        server.fault = fault
        client = Prometheus(server.endpoint)
        assert await ask(client, query="up") == Executed(sentence, failed=True)
        await client.aclose()


@pytest.mark.parametrize(
    "arguments",
    [
        {"query": ""},
        {"query": "up", "minutes": 181},
        {"query": "up", "minutes": -1},
        {"query": "up", "step_seconds": 0},
    ],
)
async def test_arguments_out_of_bounds_ask_nothing(arguments: dict[str, Any]) -> None:
    async with SourceServer() as server:
        client = Prometheus(server.endpoint)
        done = await ask(client, **arguments)
        await client.aclose()
        assert done.failed
        assert "do not fit" in done.text
        assert server.asked == []


async def test_a_clock_that_is_off_is_said_before_the_numbers() -> None:
    result = [{"metric": {}, "values": [[END, "1"]]}]
    body = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    late = Answer(body, headers={"Date": "Fri, 21 Nov 2025 09:50:00 GMT"})
    async with SourceServer({"/api/v1/query_range": late}) as server:
        client = Prometheus(server.endpoint, clock=lambda: NOW)
        done = await ask(client, query="up")
        await client.aclose()
    assert done.text.startswith("The clock of prometheus is 600 s behind ours;")


async def test_the_future_is_not_asked_about() -> None:
    async with SourceServer({"/api/v1/query_range": Answer({})}) as server:
        client = Prometheus(server.endpoint)
        await ask(client, query="up", until="2099-01-01T00:00:00Z")
        await client.aclose()
        assert server.asked[0].params["end"] == f"{END:.3f}"


def test_without_prometheus_there_is_no_tool() -> None:
    assert promql.tool(SimpleNamespace()) is None


values = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(max_size=120)


@given(
    st.lists(
        st.builds(
            lambda points, labels: Series(
                "m", tuple((START + 30 * i, v) for i, v in enumerate(points)), labels=labels
            ),
            st.lists(values, min_size=1, max_size=30),
            st.dictionaries(texts, texts, max_size=4),
        ),
        max_size=14,
    ),
    st.integers(600, 4096),
)
def test_the_text_fits_by_construction(series: list[Series], limit: int) -> None:
    text = promql.told(promql.by_change(series), "over", limit)
    assert len(text.encode()) <= limit or text.count("\n- ") == 0
