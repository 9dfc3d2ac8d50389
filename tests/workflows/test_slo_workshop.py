"""The SLO workshop from the first question to files that their own tools accept, without a model."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from app.knowledge.bounded_yaml import load_documents
from app.settings import Endpoint
from app.sources.prometheus import Prometheus
from app.workflows.schemas import violations
from tests.sources.prometheus_server import PROMETHEUS, PROMTOOL, free_port, need_prometheus, ready
from tests.workflows.books import Book, book, datadog, promtool, reads

END = 1_763_715_600.0
"""2025-11-21 09:00 UTC."""
DAYS, EVERY = 30, 600
OUTAGE = (END - 10 * 86_400, END - 10 * 86_400 + 7200)
"""Two hours in which one pay of ten fails."""


def openmetrics() -> str:
    """Checkout for 30 days: 600 pays in ten minutes, of which one of a thousand takes longer than 500 ms and
    none fails but in the outage; 300 quotes that never fail, a tenth of them slow."""
    lines = ["# TYPE http_requests counter"]
    steps = range(DAYS * 86_400 // EVERY + 1)
    at = [END - DAYS * 86_400 + EVERY * n for n in steps]
    failed = [0.0]
    for time in at[1:]:
        failed.append(failed[-1] + (60 if OUTAGE[0] < time <= OUTAGE[1] else 0))
    for route, amount in (("/pay", 600), ("/cart/{id}/quote", 300)):
        labels = f'service="checkout",route="{route}"'
        bad = failed if route == "/pay" else [0.0] * len(at)
        lines += [f'http_requests_total{{{labels},status="503"}} {bad[n]:.0f} {at[n]:.0f}' for n in steps]
        lines += [
            f'http_requests_total{{{labels},status="200"}} {amount * n - bad[n]:.0f} {at[n]:.0f}'
            for n in steps
        ]
    lines.append("# TYPE http_request_duration_seconds histogram")
    for route, amount, fast in (("/pay", 600, 0.999), ("/cart/{id}/quote", 300, 0.9)):
        labels = f'service="checkout",route="{route}"'
        for bound, share in (("0.1", 0.5), ("0.5", fast), ("1.0", fast), ("+Inf", 1.0)):
            name = f'http_request_duration_seconds_bucket{{{labels},le="{bound}"}}'
            lines += [f"{name} {amount * n * share:.1f} {at[n]:.0f}" for n in steps]
        lines += [f"http_request_duration_seconds_count{{{labels}}} {amount * n} {at[n]:.0f}" for n in steps]
    return "\n".join([*lines, "# EOF", ""])


@pytest.fixture(scope="module")
async def prometheus() -> AsyncIterator[Prometheus]:
    """Debian's Prometheus over 30 days of checkout."""
    need_prometheus()
    home = Path(tempfile.mkdtemp(prefix="prometheus-"))
    (home / "metrics").write_text(openmetrics())
    (home / "prometheus.yml").write_text("")
    load = await asyncio.create_subprocess_exec(
        PROMTOOL, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=960h", home / "metrics",
        home / "data", stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert await load.wait() == 0
    url = f"http://127.0.0.1:{free_port()}"
    server = await asyncio.create_subprocess_exec(
        PROMETHEUS, f"--config.file={home}/prometheus.yml", f"--storage.tsdb.path={home}/data",
        "--storage.tsdb.retention.time=100y", f"--web.listen-address={url.removeprefix('http://')}",
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    client = Prometheus(Endpoint(url))
    try:
        await ready(url)
        yield client
    finally:
        await client.aclose()
        server.terminate()
        await server.wait()
        shutil.rmtree(home)


def measured(prometheus: Prometheus) -> Book:
    drawn: list[tuple[str, str, Sequence[tuple[float, float]]]] = []

    async def chart(title: str, unit: str, points: Sequence[tuple[float, float]]) -> bytes:
        drawn.append((title, unit, points))
        return title.encode()

    return book(
        "let's define SLOs for checkout", reads(prometheus=prometheus, chart=chart, clock=lambda: END + 60)
    )


async def test_it_proposes_by_what_30_days_delivered_and_tries_the_targets_on_them(
    prometheus: Prometheus,
) -> None:
    run = await measured(prometheus).begin()
    assert "Over the last 30 days it answered 99.98 % of 3.89 million requests well" in run.asked
    assert "Tier 1 asks for 99.95 % per journey" in run.asked

    await run.say("pay and quote")
    # 720 of 2,592,000 pays failed: 99.972 %.
    assert (
        "Over the last 30 days 99.97 % of 2.59 million requests were answered well; tier 1 asks for 99.95 %, and it kept that"
        in run.asked
    )
    assert "99 % within 500ms" in run.asked
    assert "The tier's 800ms is no bound of a bucket" in run.asked
    assert run.state.proposed == 99.95

    await run.say("yes")
    assert "For its speed I take 90 % within 1s" in run.asked
    await run.say("yes")
    assert (
        "- **pay availability** at 99.95 %: delivered 99.97 %, 56 % of the error budget used; 1 page"
        in run.asked
    )
    assert "worst day 11 November (56 % of the budget)" in run.asked
    assert "**quote latency** at 90 %: delivered 90 %, 100 % of the error budget used" in run.asked
    assert "cannot promise more than 99.35 %" in run.asked
    assert [(each.file_name, each.media_type) for each in run.pictures] == [
        ("error-budget-quote-latency.png", "image/png")
    ]


async def test_a_corrected_target_is_tried_anew(prometheus: Prometheus) -> None:
    run = await measured(prometheus).begin()
    await run.say("pay", "yes", "availability target of pay: 99.99")

    # The outage failed 720 pays; 99.99 % leaves 259.
    assert (
        "**pay availability** at 99.99 %: delivered 99.97 %, 278 % of the error budget used, all of it by 11 November; 1 page"
        in run.asked
    )
    assert run.state.at == "verdict"


async def test_the_rules_are_accepted_by_promtool(prometheus: Prometheus, tmp_path: Path) -> None:
    run = await measured(prometheus).begin()
    await run.say("pay", "yes", "keep")
    assert run.state.proposed == "prometheus"
    await run.say("yes", "https://wiki.acme.example/runbooks/pay")

    made = run.file("slo/checkout-rules.yaml")
    assert (made.faults, made.todos) == ((), ())
    # five windows and four alerts for each of two objectives
    assert "SUCCESS: 18 rules found" in promtool(made.content, tmp_path)
    assert "> 13.44 * 0.0005" in made.content
    assert 'le="0.5"' in made.content
    assert made.content.count("severity: page") == 4
    assert len(run.questions) == 5


async def test_the_rules_work_on_the_series_they_were_made_for(prometheus: Prometheus) -> None:
    run = await measured(prometheus).begin()
    await run.say("pay", "yes", "keep", "prometheus", "skip")
    [document] = load_documents(run.file("slo/checkout-rules.yaml").content)
    recorded = {each["record"]: each["expr"] for each in document["groups"][0]["rules"] if "record" in each}

    [series] = await prometheus.query(recorded["slo:error_ratio:rate1h"], OUTAGE[0] + 3600)
    assert series.points[0][1] == pytest.approx(0.1)
    [calm] = await prometheus.query(recorded["slo:error_ratio:rate1h"], OUTAGE[0] - 3600)
    assert calm.points[0][1] == 0
    slow = {each["record"]: each["expr"] for each in document["groups"][1]["rules"] if "record" in each}
    [series] = await prometheus.query(slow["slo:error_ratio:rate6h"], END)
    assert series.points[0][1] == pytest.approx(0.001, rel=0.01)


async def test_without_prometheus_it_goes_by_the_tier_and_says_so() -> None:
    run = await book("SLO workshop").begin()
    assert run.state.proposed == ["quote", "order status", "pay"]
    await run.agree()

    assert run.notices == [
        "No Prometheus is configured, so I propose by tier alone and cannot test the targets."
    ]
    made = run.file("slo/checkout.yaml")
    assert made.faults == ()
    assert made.todos == (
        "runbook url",
        "try these two queries in Datadog: its metrics could not be looked up",
    )
    assert "# A draft: these targets are to be discussed" in made.content
    assert len(run.questions) == 6


async def test_the_datadog_file_is_read_back() -> None:
    run = await book("SLO workshop").begin()
    await run.say(
        "pay", "99.9", "latency threshold of pay: 300 ms", "datadog", "https://wiki.acme.example/pay"
    )
    good, fast = load_documents(run.file("slo/checkout.yaml").content)

    assert good["name"] == "checkout: pay availability"
    assert good["thresholds"] == [
        {"timeframe": "7d", "target": 99.9, "warning": 99.94},
        {"timeframe": "30d", "target": 99.9, "warning": 99.94},
    ]
    assert "Runbook: https://wiki.acme.example/pay." in good["description"]
    assert good["tags"] == ["service:checkout", "team:Checkout", "tier:1", "env:production", "journey:pay"]
    assert fast["query"]["numerator"] == (
        "count(v: v<=0.3):http.request.duration{service:checkout,route:/pay}.as_count()"
    )
    schema = run.workflow.artifacts[0].schema
    assert schema is not None
    assert [violations(schema, each) for each in (good, fast)] == [[], []]
    assert violations(schema, good | {"thresholds": [{"timeframe": "28d", "target": 99.9}]})


HARD = "buy \"now\": #1, 'free' – 100 %"


@pytest.mark.parametrize("journeys", ["pay, log in", HARD, "no, 1.5, on", "skip"])
@pytest.mark.parametrize("answer", ["yes", "99.5"])
async def test_datadogs_own_client_takes_every_file(journeys: str, answer: str) -> None:
    run = await book("SLO workshop").begin()
    await run.say(journeys)
    while run.state.status == "asking":
        is_target = run.state.at.partition("[")[0] == "availability_target"
        await run.say("datadog" if run.state.at == "format" else answer if is_target else "skip")
    made = run.file("slo/checkout.yaml")

    assert made.faults == ()
    slos = datadog(made.content)
    assert {slo["name"].rpartition(" ")[2] for slo in slos} == {"availability", "latency"}
    assert {slo["thresholds"][0]["target"] for slo in slos} == {99.5 if answer == "99.5" else 99.95, 99}


async def test_an_objective_without_a_target_is_left_open_and_datadog_takes_the_others() -> None:
    run = await book("SLO workshop").begin("reports")
    await run.say("pay, log in", "skip", "skip", "availability target of pay: 99.5")
    while run.state.status == "asking":
        await run.say("datadog" if run.state.at == "format" else "skip")
    made = run.file("slo/reports.yaml")

    assert made.faults == ()
    assert "target of log in availability; Datadog takes no SLO without one" in made.todos
    assert [slo["name"] for slo in datadog(made.content)] == ["reports: pay availability"]


async def test_measured_targets_are_taken_by_datadogs_own_client(prometheus: Prometheus) -> None:
    run = await measured(prometheus).begin()
    await run.say("pay", "yes", "keep", "datadog", "skip")

    good, fast = datadog(run.file("slo/checkout.yaml").content)
    assert good["thresholds"][1] == {"timeframe": "30d", "target": 99.95, "warning": 99.97}
    assert (fast["timeframe"], fast["target_threshold"]) == ("30d", 99)


@pytest.mark.parametrize(
    "change",
    [
        {"thresholds": [{"timeframe": "28d", "target": 99.9}]},
        {"thresholds": [{"timeframe": "30d", "target": "99.9"}]},
        {"type": "ratio"},
        {"labels": ["a:b"]},
        {"name": None},
    ],
)
def test_datadogs_own_client_refuses_what_is_no_slo(change: dict[str, Any]) -> None:
    slo = {
        "name": "x",
        "type": "metric",
        "query": {"numerator": "a", "denominator": "b"},
        "thresholds": [{"timeframe": "30d", "target": 99.9}],
    }
    assert datadog(json.dumps(slo)) == [slo]
    with pytest.raises(Exception, match=r"Datadog does not know|Invalid type|empty values"):
        datadog(json.dumps(slo | change))


async def test_rules_without_prometheus_are_valid_and_say_what_is_open(tmp_path: Path) -> None:
    run = await book("define SLOs").begin("reports")
    while run.state.status == "asking" and run.state.at != "format":
        await run.say("skip")
    await run.say("prometheus", "skip")
    made = run.file("slo/reports-rules.yaml")

    assert made.faults == ()
    assert "target of all requests availability; without it there is nothing to alert on" in made.todos
    promtool(made.content, tmp_path)


async def test_a_route_is_asked_only_where_it_cannot_be_told() -> None:
    run = await book("define SLOs").begin()
    await run.say("pay and log in")
    assert run.asked.startswith("Which route carries “log in”? I know /cart/{id}/quote, /pay, /orders/{id}.")
    await run.say("POST /login")

    assert "“pay”" in run.asked
    await run.agree()
    assert "route:/login" in run.file("slo/checkout.yaml").content
