"""The page, the dashboard and the alert rules name what the code has, and Prometheus' own tool accepts them."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from app.instruments import INSTRUMENTS, Counter, Gauge, Histogram, Instrument
from app.operations.exposition import family, metric_name

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/telemetry.md").read_text("utf-8")
DASHBOARD = json.loads((ROOT / "deploy/grafana/sre-agent.json").read_text("utf-8"))
RULES = ROOT / "deploy/prometheus/alerts.yml"
OUT_OF_THE_PROCESS = {"process_resident_memory_bytes", "process_cpu_seconds_total"}
KINDS = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
NAME = re.compile(r"\b(?:sre_agent|gen_ai_client|process)_[a-z_]+\b")
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool comes with Debian's prometheus"
)


def exposed(instrument: Instrument) -> set[str]:
    """The names under which Prometheus has an instrument."""
    name = metric_name(instrument)
    match instrument:
        case Counter():
            return {f"{name}_total"}
        case Histogram():
            return {f"{name}_bucket", f"{name}_sum", f"{name}_count"}
        case _:
            return {name}


NAMES = {name for each in INSTRUMENTS for name in exposed(each)}


def expressions() -> Iterator[tuple[str, str]]:
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def alerts() -> list[dict[str, str]]:
    return [rule for group in yaml.safe_load(RULES.read_text("utf-8"))["groups"] for rule in group["rules"]]


def named(expression: str) -> set[str]:
    labels = {each.replace(".", "_") for one in INSTRUMENTS for each in one.attributes}
    return set(NAME.findall(expression)) - labels


@pytest.mark.parametrize("instrument", INSTRUMENTS, ids=lambda each: each.name)
def test_the_page_explains_every_instrument_as_it_is(instrument: Instrument) -> None:
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| `{instrument.name}` |")]
    _, _, prometheus, kind, attributes, where, says, _ = (cell.strip() for cell in row.split("|"))
    assert prometheus.strip("`") in exposed(instrument) | {metric_name(instrument)}
    assert kind == f"{KINDS[type(instrument)]}, {instrument.unit}"
    assert re.findall(r"`([^`]+)`", attributes) == list(instrument.attributes)
    assert (where == "all replicas") == instrument.everywhere
    assert says == instrument.description


def test_the_page_explains_nothing_that_is_not_there() -> None:
    explained = re.findall(r"^\| `((?:sre_agent|gen_ai)[^`]+)` \| `", PAGE, re.MULTILINE)
    assert sorted(explained) == [each.name for each in INSTRUMENTS]


def spans() -> set[str]:
    """The names that the code gives to spans."""
    found = set()
    for path in (ROOT / "app").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in ("span", "work", "entrance"):
                found |= {
                    each.value
                    for each in node.args
                    if isinstance(each, ast.Constant) and str(each.value).startswith("sre_agent.")
                }
    return found


def test_the_page_explains_every_span() -> None:
    explained = set(re.findall(r"^\| `(sre_agent\.[^`]+)` \| [^`|]", PAGE, re.MULTILINE))
    assert explained == spans()
    assert spans() >= {
        "sre_agent.process_alert",
        "sre_agent.agent.turn",
        "sre_agent.tool.execute",
        "sre_agent.tool.call_ops_endpoint",
    }


def test_every_metric_of_the_dashboard_is_one_that_is_exposed() -> None:
    asked = {name for _, expression in expressions() for name in named(expression)}
    assert asked - NAMES == OUT_OF_THE_PROCESS
    shown = {each.name for each in INSTRUMENTS if exposed(each) & asked}
    # What is for alerts and scripts alone.
    assert {each.name for each in INSTRUMENTS} - shown == {
        "sre_agent.dependency.answered",
        "sre_agent.knowledge.refused",
    }


def test_every_label_the_dashboard_groups_by_is_one_of_its_metric() -> None:
    labels = {
        name: {each.replace(".", "_") for each in one.attributes} | {"instance", "le"}
        for one in INSTRUMENTS
        for name in exposed(one)
    }
    for title, expression in expressions():
        known = set().union(*(labels[name] for name in named(expression) if name in labels))
        grouped = re.findall(r"(?:by|on) ?\(([^)]*)\)", expression)
        assert {each.strip() for group in grouped for each in group.split(",")} <= known, title


def test_every_metric_of_an_alert_is_one_that_is_exposed_and_every_alert_says_what_to_do() -> None:
    for rule in alerts():
        asked = named(rule["expr"])
        assert asked, rule["alert"]
        assert asked <= NAMES, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}  # type: ignore[attr-defined]


def test_what_is_the_same_on_every_replica_is_never_summed() -> None:
    shared = {name for each in INSTRUMENTS if each.everywhere for name in exposed(each)}
    for title, expression in [*expressions(), *((rule["alert"], rule["expr"]) for rule in alerts())]:
        for name in named(expression) & shared:
            before = expression.replace("\n", " ").split(name)[0]
            assert re.search(r"max( by \([a-z, ]+\))? ?\($", before.rstrip(" ")), f"{title}: {expression}"


def test_panels_do_not_overlap_and_each_has_a_unit() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
        assert panel["type"] == "row" or panel["fieldConfig"]["defaults"]["unit"]


@needs_promtool
def test_prometheus_parses_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    rules = [
        {
            "record": f"panel:{number}",
            "expr": expression.replace("$__rate_interval", "5m").replace("$instance", ".*"),
        }
        for number, (_, expression) in enumerate(expressions())
    ]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    assert len(rules) > 40
    promtool("check", "rules", str(file))


@needs_promtool
def test_prometheus_accepts_the_alerts_and_they_fire_when_they_should() -> None:
    promtool("check", "rules", "--lint-fatal", str(RULES))
    promtool("test", "rules", str(RULES.with_name("alerts_test.yml")))


def promtool(*arguments: str) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, check=False, timeout=250)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_families_of_an_instrument_are_those_the_page_and_the_dashboard_name() -> None:
    for each in INSTRUMENTS:
        told = family(each)
        assert {sample.name for sample in told.samples} <= exposed(each)
        assert told.documentation
