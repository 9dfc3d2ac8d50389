"""Metrics from a real Prometheus, and what becomes of answers that are not as they should be."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from app.settings import Endpoint
from app.sources.failures import QueryRejected, SourceFailed
from app.sources.prometheus import Prometheus, numbers, series_of, unit_of
from tests.fakes.sources import Answer, SourceServer
from tests.sources.prometheus_server import BROKE, END, START, prometheus_url

__all__ = ["prometheus_url"]  # a fixture is found by its name here

ERRORS = 'sum by (service) (rate(http_requests_total{status="500"}[1m]))'


@pytest.fixture
async def prometheus(prometheus_url: str) -> AsyncIterator[Prometheus]:
    client = Prometheus(Endpoint(prometheus_url))
    yield client
    await client.aclose()


@pytest.mark.slow
async def test_a_range_is_answered_with_a_series_for_each_service(prometheus: Prometheus) -> None:
    found = await prometheus.query_range(ERRORS, START + 120, END, 30)

    assert len(found) == 14
    checkout = next(each for each in found if each.service == "checkout")
    assert (checkout.name, checkout.labels, checkout.unit) == (ERRORS, {"service": "checkout"}, "1/s")
    assert checkout.points[0] == (START + 120, pytest.approx(0.02))
    assert checkout.points[-1] == (END, pytest.approx(2.0))
    assert next(at for at, value in checkout.points if value > 1) - BROKE < 61


@pytest.mark.slow
async def test_an_instant_is_answered_with_a_point(prometheus: Prometheus) -> None:
    (pool,) = await prometheus.query("pool_in_use", END)
    assert (pool.name, pool.service, pool.points) == ("pool_in_use", "db", ((END, 5.0),))

    (scalar,) = await prometheus.query("scalar(pool_in_use) * 2", END)
    assert scalar.points == ((END, 10.0),)


@pytest.mark.slow
async def test_what_is_not_a_number_is_left_out(prometheus: Prometheus) -> None:
    assert await prometheus.query_range("odd", START, END, 30) == ()
    assert await prometheus.query("odd", END) == ()
    assert await prometheus.query("no_such_metric", END) == ()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("promql", "words"),
    [
        ("sum(rate(x[5m])", "unclosed left parenthesis"),
        ("rate(x)", "expected type range vector in call to function"),
        ("pool_in_use[5m]", "invalid expression type"),
    ],
)
async def test_a_wrong_query_comes_back_with_prometheus_own_words(
    prometheus: Prometheus, promql: str, words: str
) -> None:
    with pytest.raises(QueryRejected, match=f"prometheus rejects the query: .*{words}"):
        await prometheus.query_range(promql, START, END)


@pytest.mark.slow
async def test_too_fine_a_step_is_refused_in_words(prometheus: Prometheus) -> None:
    with pytest.raises(QueryRejected, match="exceeded maximum resolution of 11,000 points"):
        await prometheus.query_range("pool_in_use", START, END, 0.1)


@pytest.mark.slow
async def test_the_alert_rules_are_read(prometheus: Prometheus) -> None:
    (rule,) = await prometheus.rules()
    assert (rule.name, rule.group, rule.labels) == ("HighErrorRate", "checkout", {"severity": "critical"})
    assert rule.query == 'rate(http_requests_total{status="500"}[5m]) > 0.05'


@pytest.mark.slow
async def test_the_link_opens_a_page(prometheus: Prometheus) -> None:
    link = prometheus.link(ERRORS, START, END)
    assert "g0.range_input=3600s" in link
    assert "g0.end_input=2025-11-21+10%3A00%3A00" in link
    async with aiohttp.ClientSession() as session, session.get(link) as page:
        assert (page.status, page.content_type) == (200, "text/html")


@pytest.mark.parametrize(
    "body",
    [
        [],
        {"status": "success"},
        {"data": {"resultType": "matrix", "result": [{"metric": {}}, 3]}},
        {"data": {"resultType": "matrix", "result": [{"metric": {}, "values": [["x"]]}]}},
        {"data": {"resultType": "vector", "result": "none"}},
        {"data": None},
    ],
)
async def test_an_answer_of_another_shape_is_a_fault_of_the_source(body: object) -> None:
    async with SourceServer({"/api/v1/query_range": Answer(body), "/api/v1/rules": Answer(body)}) as server:
        prometheus = Prometheus(server.endpoint)
        with pytest.raises(SourceFailed, match="in a shape that is not known"):
            await prometheus.query_range("up", START, END)
        with pytest.raises(SourceFailed, match="in a shape that is not known"):
            await prometheus.rules()
        await prometheus.aclose()


async def test_every_question_is_a_get_even_a_long_one() -> None:
    answer = Answer({"status": "success", "data": {"resultType": "matrix", "result": []}})
    async with SourceServer({"/api/v1/query_range": answer}) as server:
        prometheus = Prometheus(server.endpoint)
        assert await prometheus.query_range("up == 1 or " * 400 + "up", START, END) == ()
        await prometheus.aclose()
        assert [asked.method for asked in server.asked] == ["GET"]


def test_points_are_ascending_and_finite() -> None:
    raw = [[30, "2"], [10, "1e3"], [20, "NaN"], [25, "+Inf"], [26, "-Inf"]]
    assert numbers(raw) == ((10.0, 1000.0), (30.0, 2.0))


def test_a_series_that_holds_histograms_only_is_left_out() -> None:
    assert series_of("matrix", [{"metric": {}, "histograms": [[1, {"count": "3"}]]}], "x") == ()


@pytest.mark.parametrize(
    ("expression", "unit"),
    [
        ("process_resident_memory_bytes", "bytes"),
        ("rate(http_requests_total[5m])", "1/s"),
        ('sum by (route) (irate(http_requests_total{route="/a_bytes"}[1m]))', "1/s"),
        ("histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket[5m])))", "seconds"),
        ("rate(process_cpu_seconds_total[1m])", ""),
        ("sum(rate(a_total[5m])) / sum(rate(b_total[5m]))", ""),
        ("up", ""),
    ],
)
def test_a_unit_is_named_only_where_the_names_tell_it(expression: str, unit: str) -> None:
    assert unit_of(expression) == unit
