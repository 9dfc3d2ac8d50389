"""Each scenario tells one story: figures, lines, spans and rollouts agree, and who is well looks well."""

from __future__ import annotations

import pytest

from app.playground.example import BLUEPRINTS
from app.playground.stack.logs import Logs
from app.playground.stack.prometheus import RULES
from app.playground.stack.promql import evaluate
from app.playground.stack.requests import Requests
from app.playground.stack.scenarios import SCENARIOS
from app.playground.stack.shop import FIGURES, Shop
from app.playground.stack.traces import spans
from app.signals.models import LogLine, Span
from tests.playground.stack.conftest import NOW, SHOP, by_service, metrics_of, story_of

ERRORS = (
    'sum by (service) (rate(http_requests_total{status=~"5.."}[2m]))'
    " / sum by (service) (rate(http_requests_total[2m]))"
)
TRAFFIC = "sum by (service) (rate(http_requests_total[2m]))"
P99 = "histogram_quantile(0.99, sum by (service, le) (rate(http_request_duration_seconds_bucket[2m])))"
POOL = "max by (service) (db_pool_connections_in_use / db_pool_connections_max)"
BEFORE = 1800.0
SICK = {
    "bad-deploy": {"checkout"},
    "pool-exhausted": {"checkout", "payments"},
    "traffic-surge": {"checkout"},
    "expired-certificate": {"checkout"},
}
"""Who answers with 5xx."""


def lines_of(name: str | None, seconds: float = 300) -> list[LogLine]:
    story = story_of(name)
    end = NOW.timestamp()
    return list(Logs(story, Requests(story)).between(end - seconds, end))


def traces_of(name: str, seconds: float = 120) -> list[tuple[Span, ...]]:
    story = story_of(name)
    end = NOW.timestamp()
    return [spans(story, request) for request in Requests(story).between(end - seconds, end)]


def test_the_shop_is_the_example_catalog_with_figures_for_every_service() -> None:
    shop = Shop.example(BLUEPRINTS / "services.yaml")
    assert set(shop.services) == set(FIGURES)
    assert shop.services["checkout"].depends_on == ("payments", "inventory", "notifications")
    called = {(s.name, call.service) for s in shop.services.values() for r in s.routes for call in r.calls}
    assert all(callee in shop.services[caller].depends_on for caller, callee in called)


@pytest.mark.parametrize("name", SCENARIOS)
def test_those_who_suffer_fail_and_all_others_look_well(name: str) -> None:
    errors = by_service(ERRORS, metrics_of(name))
    assert {service for service, ratio in errors.items() if ratio > 0.05} == SICK[name]
    assert all(ratio < 0.005 for service, ratio in errors.items() if service not in SICK[name])


@pytest.mark.parametrize("name", SCENARIOS)
def test_half_an_hour_before_all_was_well(name: str) -> None:
    metrics = metrics_of(name)
    assert max(by_service(ERRORS, metrics, BEFORE).values()) < 0.005
    assert max(by_service(P99, metrics, BEFORE).values()) < 1.0
    assert max(by_service(POOL, metrics, BEFORE).values()) < 0.6
    assert not [line for line in lines_of(name) if line.level == "error" and line.at < NOW.timestamp() - 900]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_rule_that_pages_fires_now_and_did_not_before(name: str) -> None:
    metrics, paging = metrics_of(name), SCENARIOS[name].paging
    query = next(rule.query for rule in RULES if rule.name == paging.rule)
    assert paging.service in by_service(query, metrics)
    assert by_service(query, metrics, BEFORE) == {}


@pytest.mark.parametrize("seed", [1, 2, 99])
def test_on_a_quiet_day_no_rule_fires_at_any_time(seed: int) -> None:
    metrics = metrics_of(None, seed=seed)
    fired = [
        (rule.name, ago)
        for rule in RULES
        for ago in range(0, 9000, 300)
        if by_service(rule.query, metrics, ago)
    ]
    assert fired == []


@pytest.mark.parametrize("name", SCENARIOS)
def test_one_seed_tells_one_story_and_another_seed_another(name: str) -> None:
    end = NOW.timestamp()
    first, again, other = (evaluate(TRAFFIC, metrics_of(name, seed=seed), end) for seed in (7, 7, 8))
    assert first == again != other
    assert lines_of(name, 60) == lines_of(name, 60)


def test_figures_do_not_depend_on_what_was_asked_before() -> None:
    fresh, used = metrics_of("bad-deploy"), metrics_of("bad-deploy")
    for ago in (5000, 100, 2500):
        by_service(ERRORS, used, ago)
    assert by_service(ERRORS, used) == by_service(ERRORS, fresh)


@pytest.mark.parametrize("name", SCENARIOS)
def test_errors_in_lines_and_spans_begin_with_the_onset(name: str) -> None:
    story = story_of(name)
    lines = [
        line for line in lines_of(name, 1800) if line.level == "error" and "connection reset" not in line.text
    ]
    usual = {line.trace_id for line in lines_of(name, 1800) if "connection reset" in line.text}
    failing = [line.at for line in lines if line.trace_id not in usual]
    assert -60 < min(failing) - story.onset < 90


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_trace_named_in_a_line_is_there_and_tells_the_same(name: str) -> None:
    story = story_of(name)
    requests = Requests(story)
    named = [line for line in lines_of(name, 90) if line.trace_id and line.level == "error"]
    assert named
    for line in named:
        found = requests.find(line.trace_id or "")
        assert found is not None
        trace = spans(story, found)
        assert trace[0].failed
        assert line.service in {span.service for span in trace if span.failed}


def test_a_trace_id_that_nobody_has_is_not_found() -> None:
    requests = Requests(story_of("bad-deploy"))
    assert [requests.find(each) for each in ("", "zz", "0" * 32, "f" * 32)] == [None] * 4


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_span_lies_in_its_trace_below_a_parent_that_is_there(name: str) -> None:
    for trace in traces_of(name):
        ids = {span.span_id for span in trace}
        assert len(ids) == len(trace)
        assert [span.parent_id for span in trace].count(None) == 1
        assert all(span.parent_id in ids for span in trace[1:])
        assert all(span.start >= trace[0].start - 0.001 and span.duration_ms > 0 for span in trace)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_guilty_version_is_the_one_that_fails_and_the_innocent_ones_are_not(name: str) -> None:
    truth = SCENARIOS[name].truth
    metrics = metrics_of(name)
    query = 'sum by (service, version) (rate(http_requests_total{status=~"5.."}[10m]))'
    found = evaluate(query, metrics, NOW.timestamp() - 30)
    assert isinstance(found, list)
    failing = {
        each.labels["version"]: each.value for each in found if each.labels["service"] == truth.service
    }
    rolled_out = {each.version for each in SCENARIOS[name].rollouts}
    assert set(truth.innocent) | {truth.change} - {None} == rolled_out
    if truth.change:
        assert failing[truth.change] > 10 * max(
            v for version, v in failing.items() if version != truth.change
        )


def test_a_bad_deploy_leaves_those_it_calls_with_less_to_do() -> None:
    metrics = metrics_of("bad-deploy")
    now, before = by_service(TRAFFIC, metrics), by_service(TRAFFIC, metrics, BEFORE)
    assert now["notifications"] < 0.75 * before["notifications"]
    assert now["payments"] < 0.95 * before["payments"]
    assert now["checkout"] > 0.9 * before["checkout"]


def test_an_exhausted_pool_is_full_with_requests_waiting_and_nobody_elses_is() -> None:
    metrics = metrics_of("pool-exhausted")
    pools = by_service(POOL, metrics)
    assert pools.pop("payments") == 1
    assert max(pools.values()) < 0.6
    assert by_service("db_pool_requests_waiting > 0", metrics).keys() == {"payments"}
    assert any("waiting 1" in line.text or "waiting 2" in line.text for line in lines_of("pool-exhausted"))


def test_a_wait_for_a_connection_takes_most_of_a_charge() -> None:
    traces = [trace for trace in traces_of("pool-exhausted") if trace[0].name == "POST /v2/charges"]
    failed = [trace for trace in traces if trace[0].failed]
    assert failed
    for trace in failed:
        wait = next(span for span in trace if span.name == "acquire connection (ledger)")
        assert wait.failed
        assert wait.duration_ms > 0.9 * trace[0].duration_ms


def test_a_caller_sees_a_status_and_not_what_went_wrong_behind_it() -> None:
    calls = [
        span
        for trace in traces_of("pool-exhausted")
        for span in trace
        if span.name == "call payments /v2/charges"
    ]
    assert {span.error for span in calls if span.failed} == {"payments answered 503"}


def test_a_surge_is_seen_in_traffic_processors_and_queue_and_not_only_on_the_new_version() -> None:
    metrics = metrics_of("traffic-surge")
    now, before = by_service(TRAFFIC, metrics), by_service(TRAFFIC, metrics, BEFORE)
    assert now["checkout"] > 4 * before["checkout"]
    cpu = "avg by (service) (rate(process_cpu_seconds_total[2m]))"
    assert by_service(cpu, metrics)["checkout"] > 3 * by_service(cpu, metrics, BEFORE)["checkout"]
    queue = 'max by (service) (queue_depth{queue="order-confirmed"})'
    assert (
        by_service(queue, metrics)["notifications"]
        > 100
        > by_service(queue, metrics, BEFORE)["notifications"]
    )
    limited = 'sum by (service) (rate(http_requests_total{status="429"}[2m])) > 1'
    assert by_service(limited, metrics).keys() == {"payments"}
    quiet = story_of("traffic-surge").onset - NOW.timestamp()
    # The new version ran for minutes before the traffic came, and was well.
    assert by_service(ERRORS, metrics, -quiet + 5)["checkout"] < 0.005


def test_a_certificate_ends_at_the_onset_and_its_service_is_well_but_idle() -> None:
    metrics = metrics_of("expired-certificate")
    left = by_service("tls_certificate_expiry_seconds", metrics)
    story = story_of("expired-certificate")
    assert left.pop("payments") == pytest.approx(story.onset - NOW.timestamp(), abs=16)
    assert min(left.values()) > 20 * 86_400
    now, before = by_service(TRAFFIC, metrics), by_service(TRAFFIC, metrics, BEFORE)
    assert now["payments"] < 0.5 * before["payments"]
    assert by_service(P99, metrics)["payments"] < 1
    failing = [trace for trace in traces_of("expired-certificate") if "x509" in (trace[0].error or "")]
    assert failing
    assert all("payments" not in {span.service for span in trace} for trace in failing)


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_many_pods_run_as_there_should_also_during_a_rollout(name: str) -> None:
    metrics = metrics_of(name)
    wanted = {each.name: each.replicas for each in SHOP.services.values() if each.replicas}
    # On scrapes: between two of them a pod that is gone has no follower yet.
    for ago in range(7, 1200, 30):
        assert by_service("count by (service) (up == 1)", metrics, ago) == wanted


def test_what_must_be_found_can_be_found_in_what_the_systems_say() -> None:
    for name, scenario in SCENARIOS.items():
        said = " ".join(line.text for line in lines_of(name))
        said += " ".join(
            f"{span.service} {span.name} {span.error}" for trace in traces_of(name) for span in trace
        )
        said += " ".join(each.version for each in scenario.rollouts) + " traffic"
        missing = [word for word in scenario.truth.must_find if word not in said]
        assert missing == [], name
