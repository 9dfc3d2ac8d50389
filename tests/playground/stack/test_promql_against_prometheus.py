"""The same samples in a real Prometheus: both must give the same answers."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app.playground.stack.metrics import Metrics
from app.playground.stack.promql import BadQuery, Sample, evaluate, evaluate_range
from app.playground.stack.promql.vectors import Key
from app.playground.stack.scenarios import SCENARIOS
from app.playground.stack.story import Story
from tests.playground.stack.conftest import SHOP

PROMETHEUS, PROMTOOL = Path("/usr/bin/prometheus"), Path("/usr/bin/promtool")
HISTORY = 3600.0

pytestmark = pytest.mark.slow

QUERIES = [
    'sum by (service) (rate(http_requests_total{status=~"5.."}[5m]))',
    'sum by (service) (rate(http_requests_total{status=~"5.."}[2m]))'
    " / sum by (service) (rate(http_requests_total[2m])) * 100",
    'rate(http_requests_total{service="checkout", route="/pay"}[1m])',
    'irate(http_requests_total{service="payments"}[5m])',
    'increase(http_requests_total{service!~"check.*|pay.*", status!="200"}[10m])',
    'rate(http_requests_total{service="checkout"}[5m] offset 7m)',
    "histogram_quantile(0.99, sum by (service, le) (rate(http_request_duration_seconds_bucket[5m])))",
    'histogram_quantile(0.5, rate(http_request_duration_seconds_bucket{service="checkout"}[5m]))',
    "sum by (service) (rate(http_request_duration_seconds_sum[5m]))"
    " / sum by (service) (rate(http_request_duration_seconds_count[5m]))",
    "avg by (service) (rate(process_cpu_seconds_total[5m]))",
    'max without (pod) (container_memory_working_set_bytes{service="payments"}) / 1024 ^ 2',
    'min by (service) (min_over_time(container_memory_working_set_bytes{service!="checkout"}[30m]))',
    "db_pool_connections_in_use / db_pool_connections_max",
    "db_pool_connections_in_use / on (service, pool) db_pool_connections_max > 0.3",
    "avg_over_time(db_pool_connections_in_use[10m])",
    "max_over_time(db_pool_requests_waiting[30m])",
    "nothing_of_this_name or count_over_time(queue_depth[10m])",
    'count by (service) (up{service!~"checkout|notifications"})',
    "topk(2, sum by (service) (rate(http_requests_total[5m])))",
    "bottomk(1, sum by (service) (rate(http_requests_total[5m])))",
    "tls_certificate_expiry_seconds < bool 30 * 86400",
    'tls_certificate_expiry_seconds{host=~".*internal.*"} / 86400',
    "delta(queue_depth[10m])",
    "deriv(tls_certificate_expiry_seconds[10m])",
    "changes(db_pool_connections_in_use[15m])",
    "quantile_over_time(0.9, db_pool_connections_in_use[15m])",
    "quantile(0.75, db_pool_connections_in_use)",
    "sum(rate(http_requests_total[5m])) > 1000 or vector(0)",
    'sum by (service) (rate(http_requests_total{status=~"5.."}[5m])) > 0.5'
    " and sum by (service) (rate(http_requests_total[5m])) > 10",
    "sum by (service) (db_pool_connections_max) unless sum by (service) (queue_depth)",
    'sum by (version) (rate(http_requests_total{service="checkout"}[2m]))',
    "-sum(queue_depth) + 2 ^ 3 % 5",
    "ceil(avg by (service) (db_pool_connections_in_use)) - floor(avg by (service) (db_pool_connections_in_use))",
    "absent(nothing_of_this_name)",
    "clamp(db_pool_connections_in_use, 10, 30)",
    'scalar(sum(up{service="payments"})) * vector(2)',
    "time() - timestamp(queue_depth)",
]


@pytest.fixture(scope="module")
def metrics() -> Metrics:
    """Samples that end about now, for Prometheus deletes what is older than its retention."""
    now = datetime.now(UTC).timestamp() // 15 * 15
    scenario = SCENARIOS["bad-deploy"]
    return Metrics(Story(SHOP, scenario, now - scenario.age), lambda: now)


def exposition(metrics: Metrics, start: float, end: float) -> Iterator[str]:
    """The samples as OpenMetrics text: https://github.com/prometheus/OpenMetrics."""
    for stored in sorted(metrics.select([], start, end), key=lambda each: each.labels["__name__"]):
        labels = ",".join(f"{k}={json.dumps(v)}" for k, v in stored.labels.items() if k != "__name__")
        for at, value in zip(stored.times, stored.values, strict=True):
            yield f"{stored.labels['__name__']}{{{labels}}} {value!r} {at:.3f}\n"
    yield "# EOF\n"


@pytest.fixture(scope="module")
async def prometheus(metrics: Metrics, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a Prometheus that holds an hour of the same samples."""
    if not (PROMETHEUS.exists() and PROMTOOL.exists()):
        reason = f"no Prometheus at {PROMETHEUS}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("prometheus")
    end = metrics.now()
    (folder / "samples.txt").write_text("".join(exposition(metrics, end - HISTORY, end)))
    (folder / "prometheus.yml").write_text("{}\n")
    load = [PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", folder / "samples.txt", folder / "data"]
    await asyncio.to_thread(subprocess.run, load, check=True, capture_output=True)
    process = await asyncio.create_subprocess_exec(
        PROMETHEUS,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr
    address = await _listening(process.stderr)
    drained = asyncio.create_task(process.stderr.read())
    yield f"http://{address}"
    process.terminate()
    await process.wait()
    await drained


async def _listening(log: asyncio.StreamReader) -> str:
    """The address from the line that says so, once it is ready."""
    address = ""
    while line := (await log.readline()).decode():
        if found := re.search(r'msg="Listening on" address=(\S+)', line):
            address = found[1]
        if "Server is ready to receive web requests" in line:
            return address
    raise AssertionError("Prometheus ended before it was ready")


async def ask(address: str, path: str, **query: str) -> Any:
    async with aiohttp.ClientSession() as session, session.get(address + path, params=query) as response:
        body = await response.json()
        assert response.status == 200, body
        return body["data"]


def key(labels: Mapping[str, str]) -> Key:
    return tuple(sorted(labels.items()))


@pytest.mark.parametrize("query", QUERIES)
async def test_an_instant_query_is_answered_alike(query: str, metrics: Metrics, prometheus: str) -> None:
    at = metrics.now() - 4
    theirs = await ask(prometheus, "/api/v1/query", query=query, time=str(at))
    found = evaluate(query, metrics, at)
    assert isinstance(found, list)
    ours = {each.key: each.value for each in found if isinstance(each, Sample)}
    expected = {key(each["metric"]): float(each["value"][1]) for each in theirs["result"]}
    assert expected
    assert ours == pytest.approx(expected, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize("query", QUERIES)
async def test_a_range_query_is_answered_alike(query: str, metrics: Metrics, prometheus: str) -> None:
    # Steps that fall between scrapes and on them; the first windows reach back before the first sample.
    end = metrics.now()
    start, step = end - HISTORY + 97, 47.0
    theirs = await ask(
        prometheus, "/api/v1/query_range", query=query, start=str(start), end=str(end), step=str(step)
    )
    expected = {
        (key(line["metric"]), at): float(value) for line in theirs["result"] for at, value in line["values"]
    }
    # The real one has an hour of samples, so what reaches back further is not compared.
    horizon = end - HISTORY + 40 * 60
    ours = {
        (key(line.labels), at): value
        for line in evaluate_range(query, metrics, start, end, step)
        for at, value in line.points
        if at >= horizon
    }
    compared = {place: value for place, value in expected.items() if place[1] >= horizon}
    assert compared
    assert ours == pytest.approx(compared, rel=1e-9, nan_ok=True)


@pytest.mark.parametrize(
    "query",
    [
        "sum(",
        "rate(up)",
        "up[5m]]",
        "{}",
        "up{job=x}",
        "1 > 2",
        "sum(1)",
        "up[5m] + 1",
        "up offset x",
        "foo(up)",
    ],
)
async def test_what_is_wrong_is_wrong_for_both(query: str, metrics: Metrics, prometheus: str) -> None:
    address = f"{prometheus}/api/v1/query"
    async with aiohttp.ClientSession() as session, session.get(address, params={"query": query}) as response:
        body = await response.json()
    assert (response.status, body["errorType"]) == (400, "bad_data")
    with pytest.raises(BadQuery):
        evaluate(query, metrics, metrics.now())
