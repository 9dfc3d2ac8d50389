"""The alerting review: rules against the standard, what is missing, and rules that promtool accepts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.context.blueprints import read_blueprints
from app.context.repos import Repos
from app.settings import Endpoint
from app.signals.models import Series
from app.sources.prometheus import AlertRule, Prometheus
from app.storage.engine import create_engine
from app.storage.tree import Tree
from app.workflows.wants.alerting import missing, repaired, reviewed
from app.workflows.wants.alerts import KnownRules, firings
from app.workflows.wants.reads import Reads
from app.workflows.wants.rules import Fired, covers, decision, is_burn_rate, problems
from app.workflows.wants.slis import slis_of
from app.workflows.wants.standard import Standard
from tests.context.origin import Origin
from tests.sources.prometheus_server import END, prometheus_server
from tests.workflows.books import book, knowledge, promtool, reads

GOOD = {"severity": "page", "service": "checkout", "tier": "1"}
RUNBOOK = {"runbook_url": "https://wiki.acme.example/r"}


@pytest.fixture(scope="module")
async def prometheus() -> AsyncIterator[Prometheus]:
    async with prometheus_server() as url:
        client = Prometheus(Endpoint(url))
        yield client
        await client.aclose()


async def test_from_the_rules_there_are_to_rules_that_are_accepted(
    prometheus: Prometheus, tmp_path: Path
) -> None:
    run = await book("alerting review", reads(prometheus=prometheus, clock=lambda: END)).begin()
    assert "**HighErrorRate** (critical, for all services" in run.asked
    assert "its severity is critical, not page or ticket" in run.asked
    assert run.state.proposed == "repair"
    await run.say("yes")
    assert (
        "CheckoutErrorBudgetBurnFast: no page on the burn of the error budget over 1h at 99.95 %" in run.asked
    )
    await run.say("yes", "https://wiki.acme.example/runbooks/checkout")

    rules = run.file("checkout-alerts.yaml")
    assert (rules.faults, rules.todos) == ((), ())
    assert "SUCCESS: 5 rules found" in promtool(rules.content, tmp_path)
    made = run.file("alerting-review-checkout.md").content
    assert "| `HighErrorRate` | critical | all services |" in made
    assert "- `HighErrorRate`: repair" in made
    assert "- `CheckoutNotMeasured`: nothing tells when its metrics are gone" in made


async def test_without_prometheus_it_proposes_what_the_tier_asks_for(tmp_path: Path) -> None:
    run = await book("review the alerts").begin()
    await run.agree()

    assert run.notices == ["No Prometheus is configured, so I do not know which alert rules are in force."]
    assert "SUCCESS: 4 rules found" in promtool(run.file("checkout-alerts.yaml").content, tmp_path)
    assert "no alert rule of checkout could be read" in run.file("alerting-review-checkout.md").todos[0]


RULES = """\
groups:
  - name: checkout
    rules:
      - alert: CheckoutErrors
        expr: sum(rate(http_requests_total{service="checkout",status="500"}[5m])) > 3
        for: 2m
        labels: {severity: page, service: checkout, tier: "1"}
      - alert: HighErrorRate
        expr: other
      - alert: PaymentsErrors
        expr: errors{service="payments"} > 1
"""
MANIFEST = """\
kind: PrometheusRule
spec:
  groups:
    - name: all
      rules: [{alert: PodsRestart, expr: pod_restarts_total > 1, labels: {severity: page}}]
"""


@pytest.fixture
async def repos(tmp_path: Path, database_url: str) -> AsyncIterator[Repos]:
    engine = create_engine(database_url)
    yield Repos(tmp_path / "mirrors", engine, github_api_url="http://localhost:1")
    await engine.dispose()


def organisation(tmp_path: Path, repos: Repos | None, files: dict[str, str | bytes], **more: Any) -> Reads:
    """Checkout with a repo of these files, and a manifest of rules beside the blueprints."""
    origin = Origin(tmp_path / "git" / "checkout")
    origin.commit(files)
    catalog = f"services:\n  - {{name: checkout, tier: 1, team: Checkout, repo: '{origin.url}'}}\n"
    tree = Tree("b1", {"services.yaml": catalog, "monitoring/all.yml": MANIFEST, "notes.md": "alert: no"})
    return replace(reads(**more), repos=repos, blueprints=lambda: read_blueprints(tree))


async def test_rules_in_repos_are_reviewed_where_no_prometheus_tells_any(
    tmp_path: Path, repos: Repos
) -> None:
    given = organisation(
        tmp_path, repos, {"deploy/rules.yaml": RULES, "helm/rules.yaml": "- alert: {{ x }\n"}
    )
    run = await book("alerting review", given).begin()
    [notice] = run.notices
    assert "I go by the rules that are written in the repos" in notice
    assert "The alert rules in checkout/helm/rules.yaml could not be read" in notice
    await run.agree()

    made = run.file("alerting-review-checkout.md").content
    assert "| `CheckoutErrors` | page | this service | deploy/rules.yaml | not known |" in made
    assert (
        "| `PodsRestart` | page | all services | monitoring/all.yml | not known | it pages on a cause" in made
    )
    assert "PaymentsErrors" not in made
    rules = run.file("checkout-alerts.yaml").content
    assert promtool(rules, tmp_path)
    assert (
        'expr: |-\n          sum(rate(http_requests_total{service="checkout",status="500"}[5m])) > 3\n'
        in rules
    )
    assert 'for: "120s"' in rules


async def test_what_is_written_and_not_in_force_is_told_from_what_is(
    tmp_path: Path, repos: Repos, prometheus: Prometheus
) -> None:
    given = organisation(
        tmp_path, repos, {"deploy/rules.yaml": RULES}, prometheus=prometheus, clock=lambda: END
    )
    run = await book("alerting review", given).begin()
    await run.agree()

    made = run.file("alerting-review-checkout.md").content
    assert run.notices == []
    assert "`CheckoutErrors` | page | this service | deploy/rules.yaml | not in force: Prometheus" in made
    assert "| `HighErrorRate` | critical | all services | deploy/rules.yaml | did not fire |" in made


async def test_a_repo_that_is_away_costs_no_rule_that_prometheus_knows(
    tmp_path: Path, repos: Repos, prometheus: Prometheus
) -> None:
    given = organisation(tmp_path, repos, {"a": ""}, prometheus=prometheus, clock=lambda: END)
    (tmp_path / "git").rename(tmp_path / "gone")
    run = await book("alerting review", given).begin()

    assert "I could not look for alert rules in the repo of checkout" in run.notices[0]
    assert "**HighErrorRate**" in run.asked


async def test_nothing_wanted_is_an_empty_group(tmp_path: Path) -> None:
    run = await book("review the alerts").begin()
    await run.say("none of them", "skip")

    made = run.file("checkout-alerts.yaml")
    assert made.faults == ()
    promtool(made.content, tmp_path)


def test_a_repaired_rule_waits_as_long_as_the_old_one_and_a_demoted_one_is_a_ticket() -> None:
    old = AlertRule("HighCPU", "cpu > 1", "inactive", "g", {"severity": "page"}, RUNBOOK, seconds=120)
    [review] = [each.as_fact() for each in reviewed(KnownRules((old,)), "checkout", {})]

    [made] = repaired([review], {"decision[HighCPU]": "demote"})
    assert (made["expr"], made["for"], made["severity"]) == ("cpu > 1", "120s", "ticket")
    assert made["summary"] == "HighCPU of {{ $labels.service }}"
    assert list(repaired([review], {"decision[HighCPU]": "delete"})) == []


def rule(name: str, query: str, annotations: dict[str, str] | None = None, **labels: str) -> AlertRule:
    return AlertRule(name, query, "inactive", "g", labels, RUNBOOK if annotations is None else annotations)


@pytest.mark.parametrize(
    ("given", "fired", "said", "decided"),
    [
        (rule("Burn", "x > 1", **GOOD), None, [], "keep"),
        (rule("HighCPU", "cpu > 1", **GOOD), None, ["cause"], "demote"),
        (rule("DiskFull", "disk > 1", **GOOD), None, [], "keep"),
        (rule("Errors", "x > 1", **GOOD), Fired(20, 3600, 28), ["noisy"], "repair"),
        (rule("Errors", "x > 1", **GOOD | {"severity": "ticket"}), Fired(20, 60, 28), ["noisy", "flaps"], "delete"),
        (rule("Errors", "x > 1", {}, **GOOD), None, ["runbook_url"], "repair"),
        (rule("Errors", "x > 1", service="checkout", tier="1"), None, ["no severity"], "repair"),
        (rule("Errors", "sum(x) by (tier) > 1", severity="page"), None, ["no label service"], "repair"),
    ],
)  # fmt: skip
def test_what_the_standard_says_of_a_rule(
    given: AlertRule, fired: Fired | None, said: list[str], decided: str
) -> None:
    found = list(problems(given, fired))

    assert len(found) == len(said)
    assert all(word in each for word, each in zip(said, found, strict=True))
    assert decision(found, given) == decided


@pytest.mark.parametrize(
    ("query", "labels", "scope"),
    [
        ('x{service="checkout"} > 1', {}, "named"),
        ('x{job=~"a|checkout"} > 1', {}, "named"),
        ("x > 1", {"service": "checkout"}, "named"),
        ("sum by (service) (x) > 1", {}, "all"),
        ('x{service="payments"} > 1', {}, None),
        ("x > 1", {"service": "payments"}, None),
    ],
)
def test_what_a_rule_covers(query: str, labels: dict[str, str], scope: str | None) -> None:
    assert covers(rule("A", query, **labels), "checkout") == scope


@pytest.mark.parametrize(
    ("tier", "rules", "names"),
    [
        (1, [], ["BurnFast", "Burn", "BurnSlow", "NotMeasured"]),
        (3, [], ["BurnSlow", "NotMeasured"]),
        (1, [rule("CheckoutBurn", "x", **GOOD)], ["BurnSlow", "NotMeasured"]),
        (3, [rule("CheckoutBurn", "x", service="checkout", severity="ticket"), rule("Gone", 'absent(x{service="checkout"})')], []),
    ],
)  # fmt: skip
def test_what_is_missing_by_tier(tier: int, rules: list[AlertRule], names: list[str]) -> None:
    found = missing("checkout", Standard(tier, availability=99.9), rules, slis_of(knowledge()))

    assert [each["name"].removeprefix("Checkout").removeprefix("ErrorBudget") for each in found] == names


def test_a_burn_rate_has_two_windows_or_the_name() -> None:
    assert is_burn_rate(rule("A", "rate(x[1h]) > 1 and rate(x[5m]) > 1"))
    assert not is_burn_rate(rule("A", "rate(x[5m]) / rate(y[5m]) > 1"))


def test_points_next_to_each_other_are_one_firing() -> None:
    points = tuple((float(at), 1.0) for at in (0, 900, 1800, 9000))

    assert firings([Series("ALERTS", points, labels={"alertname": "A"})], 900, 28) == {"A": Fired(2, 900, 28)}
