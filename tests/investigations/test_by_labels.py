"""An alert that names no service is looked at by what its labels select, and by the query it fires on."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from app.investigations.alert import Link
from app.investigations.assembling import assembled
from app.investigations.by_labels import questions_by_labels
from app.investigations.first_brief import first_brief
from app.investigations.gather import Gatherer, Seen, Sources
from app.investigations.own_query import NAME, of_alert, own_query
from app.investigations.questions import Signal, Signals, packaged_signals
from app.investigations.ranking import rank
from app.signals.models import ClusterEvent, Series
from app.sources.failures import QueryRejected
from tests.investigations.conftest import SHOP, alert
from tests.investigations.test_gather import AT, NOW, SIGNALS, STEPPED, Systems, investigation

LABELS = {"alertname": "NodeDiskFull", "instance": "10.0.0.5:9100", "namespace": "infra", "severity": "page"}
FULL = 'node_filesystem_avail_bytes{mountpoint="/"} / node_filesystem_size_bytes < 0.1'


def rule(expression: str) -> tuple[Link, ...]:
    query = urlencode({"g0.expr": expression, "g0.tab": "1"})
    return (Link(title="Alert rule", url=f"http://prometheus.elsewhere.example/graph?{query}"),)


def disk_full(**changes: Any) -> Any:
    told = {
        "title": "Disk of 10.0.0.5:9100 is nearly full",
        "name": "NodeDiskFull",
        "service": None,
        "labels": LABELS,
        "links": rule(FULL),
    }
    return alert(**{**told, **changes})


# -- what is asked -----------------------------------------------------------------------------------------


class Machines(Systems):
    """All sources, which write down what they are asked; metrics know two machines."""

    def __init__(self, **faults: Any) -> None:
        super().__init__(faults)
        self.queries: list[str] = []

    async def query_range(self, query: str, start: float, end: float, step: float = 30) -> Any:
        self.queries.append(query)
        if "node_filesystem" not in query:
            return await super().query_range(query, start, end, step)
        other = tuple((at, 0.5) for at, _ in STEPPED)
        series = [
            Series(query, points, None, {"instance": instance, "device": "sda1"})
            for instance, points in (("10.0.0.4:9100", other), ("10.0.0.5:9100", STEPPED))
        ]
        return await self._answer("own", tuple(series))

    async def search(self, **asked: Any) -> Any:
        self.queries.append(str(asked["traceql"]))
        return await super().search(**asked)

    async def not_healthy_at(self, places: dict[str, str]) -> Any:
        self.queries.append(json.dumps(places))
        return await self._answer("kubernetes", (ClusterEvent(AT, "Node", "n", "DiskPressure", "full"),))


async def looked_at(systems: Machines, told: Any, signals: Signals = SIGNALS) -> Seen:
    async def given() -> Signals:
        return signals

    every: Any = systems
    sources = Sources(every, every, every, every, cluster=every, on_call=every.on_call, tickets=every.tickets)
    gatherer = Gatherer(sources, lambda: SHOP, given, clock=lambda: NOW, seconds=0.5)
    return await gatherer.gather(investigation(told))


async def test_every_source_is_asked_by_the_labels_and_the_alert_s_own_query() -> None:
    systems = Machines()
    seen = await looked_at(systems, disk_full())
    assert set(systems.queries) == {
        'node_filesystem_avail_bytes{mountpoint="/"} / node_filesystem_size_bytes',
        'errors{instance="10.0.0.5:9100",namespace="infra"}',
        'requests{instance="10.0.0.5:9100",namespace="infra"}',
        '{namespace="infra"}',
        '{ resource.k8s.namespace.name = "infra" }',
        '{"instance": "10.0.0.5:9100", "namespace": "infra"}',
    }
    assert [each.reason for each in seen.gaps] == [
        "the alert names no service; looked at by instance, namespace and the query it fires on alone"
    ]
    assert [each.reason for each in seen.observations.events] == ["DiskPressure"]
    assert seen.observations.logs


async def test_chart_and_onset_come_from_what_the_alert_fires_on() -> None:
    seen = await looked_at(Machines(), disk_full())
    symptom = seen.observations.symptom
    assert symptom is not None
    assert (symptom.name, symptom.points) == (f"{NAME} sda1", STEPPED)
    assert symptom in seen.observations.series
    assert rank(seen.observations).onset == STEPPED[101][0]
    assert seen.asked[f"series:{NAME}"].query.startswith("node_filesystem_avail_bytes")


async def test_a_query_our_prometheus_does_not_understand_is_a_gap() -> None:
    systems = Machines(own=QueryRejected("prometheus", "rejects the query: parse error."))
    seen = await looked_at(systems, disk_full())
    assert [(each.source, each.reason) for each in seen.gaps[1:]] == [
        ("the alert's own query", "prometheus rejects the query: parse error.")
    ]
    assert "prometheus" in seen.observations.sources_asked


async def test_an_alert_that_says_nothing_of_where_it_is_asks_nothing_and_says_so() -> None:
    systems = Machines()
    seen = await looked_at(systems, disk_full(labels={"alertname": "X", "severity": "page"}, links=()))
    assert systems.queries == []
    assert "were not asked" in seen.gaps[0].reason


async def test_the_usual_signal_of_a_known_service_stays_the_symptom() -> None:
    told = alert(links=rule(FULL), labels={"instance": "10.0.0.5:9100"})
    seen = await looked_at(Machines(), told)
    assert seen.observations.symptom is not None
    assert seen.observations.symptom.name == "error_rate"
    assert not any(each.name.startswith(NAME) for each in seen.observations.series)


async def test_what_fires_is_the_symptom_of_a_known_service_whose_signals_say_nothing() -> None:
    nothing = Signals(metrics=(), logs=None)
    told = alert(links=rule(FULL), labels={"instance": "10.0.0.5:9100"})
    seen = await looked_at(Machines(), told, nothing)
    assert seen.observations.symptom is not None
    assert seen.observations.symptom.name.startswith(NAME)


# -- a service that is not in the catalog ------------------------------------------------------------------


class Nameless(Machines):
    """Knows nothing by the name of a service."""

    async def query_range(self, query: str, start: float, end: float, step: float = 30) -> Any:
        found = await super().query_range(query, start, end, step)
        return () if '=~"' in query else found

    async def search(self, **asked: Any) -> Any:
        found = await super().search(**asked)
        return () if asked["service"] else found


def of_ghost(**changes: Any) -> Any:
    told = {"service": "ghost", "labels": {"pod": "ghost-7f", "namespace": "shop", "service": "ghost"}}
    return alert(**{**told, **changes})


async def test_what_the_catalog_lacks_is_asked_by_its_name_its_labels_and_its_query() -> None:
    systems = Nameless()
    seen = await looked_at(systems, of_ghost(links=rule(FULL)))
    assert set(systems.queries) == {
        'errors{service=~"ghost"}',
        'requests{service=~"ghost"}',
        '{service=~"ghost"}',
        'errors{pod="ghost-7f",namespace="shop"}',
        'requests{pod="ghost-7f",namespace="shop"}',
        '{pod="ghost-7f",namespace="shop"}',
        "None",
        '{"pod": "ghost-7f", "namespace": "shop"}',
        'node_filesystem_avail_bytes{mountpoint="/"} / node_filesystem_size_bytes',
    }
    assert [(each.source, each.reason) for each in seen.gaps] == [
        (
            "catalog",
            "ghost is not in the catalog, so its dependencies are not known; looked at by name, pod, "
            "namespace and the query it fires on alone",
        )
    ]
    assert {each.service for each in seen.observations.series if not each.name.startswith(NAME)} == {"ghost"}
    assert seen.asked["series:error_rate"].query == 'errors{pod="ghost-7f",namespace="shop"}'
    assert seen.asked["logs"].query == '{pod="ghost-7f",namespace="shop"}'
    assert seen.observations.logs
    assert "DiskPressure" in {each.reason for each in seen.observations.events}
    assert seen.observations.symptom is not None
    assert rank(seen.observations).onset == STEPPED[101][0]
    gathered = assembled(investigation(of_ghost()), seen, rank(seen.observations)).gathered
    assert any("not in the catalog" in each for each in first_brief(gathered).gaps)


async def test_what_is_known_by_its_name_is_not_told_twice() -> None:
    systems = Machines()
    seen = await looked_at(systems, of_ghost())
    names = [(each.service, each.name) for each in seen.observations.series]
    assert len(names) == len(set(names))
    assert seen.asked["series:error_rate"].query == 'errors{service=~"ghost"}'
    assert seen.asked["logs"].query == '{service=~"ghost"}'


async def test_a_service_of_the_catalog_is_not_asked_by_its_labels() -> None:
    systems = Machines()
    seen = await looked_at(systems, of_ghost(service="payments"))
    assert not any("ghost" in each for each in systems.queries)
    assert seen.gaps == ()


async def test_a_name_alone_is_looked_at_by_the_name() -> None:
    seen = await looked_at(Machines(), of_ghost(labels={}))
    assert seen.gaps[0].reason.endswith("not known; looked at by name alone")


# -- the brief ---------------------------------------------------------------------------------------------


async def test_no_service_is_assumed_where_none_is_named() -> None:
    """A deploy of checkout in the last day has nothing to do with a full disk."""
    told = disk_full()
    seen = await looked_at(Machines(), told)
    gathered = assembled(investigation(told), seen, rank(seen.observations)).gathered
    brief = first_brief(gathered)
    assert [each.service for each in seen.observations.changes] == ["checkout"]
    assert "checkout" not in " ".join((brief.headline, brief.likely_cause.text, *brief.next_steps))
    assert "the service" not in " ".join((brief.headline, *brief.next_steps, *brief.options))
    assert any("instance 10.0.0.5:9100, namespace infra" in each for each in brief.next_steps)
    assert "What the alert measures" in brief.impact.text


# -- selectors ---------------------------------------------------------------------------------------------


def test_the_packaged_signals_can_be_asked_by_labels() -> None:
    asked = questions_by_labels(packaged_signals(), {"pod": "db-0", "namespace": "shop"})
    assert len(asked.metrics) == len(packaged_signals().metrics)
    assert all('pod="db-0",namespace="shop"' in query and "$" not in query for _, query in asked.metrics)
    assert "by (pod)" in asked.metrics[0][1]
    assert asked.logs is not None
    assert asked.logs.startswith('{pod="db-0",namespace="shop"} |~')


def test_no_value_leaves_its_quotes() -> None:
    hostile = '"} or vector(1) # \\ $label $window\n'
    asked = questions_by_labels(SIGNALS, {"pod": hostile})
    quoted = json.dumps(hostile)
    assert asked.metrics[0][1] == f"errors{{pod={quoted}}}"
    assert asked.logs == f"{{pod={quoted}}}"
    assert asked.traces == f"{{ resource.k8s.pod.name = {quoted} }}"


def test_a_query_that_selects_otherwise_is_not_asked_by_labels() -> None:
    signals = Signals(metrics=(Signal(name="errors", query='errors{svc="$services"}'),))
    assert questions_by_labels(signals, {"pod": "p"}).metrics == ()


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        ("up == 0", "up"),
        ("sum by (x) (rate(y[5m])) > bool 1.5e3", "sum by (x) (rate(y[5m]))"),
        ("a > 5 and b", "a > 5 and b"),
        ("absent(up)", "absent(up)"),
        ('x{y=">1"}', 'x{y=">1"}'),
        ("a\n  / b >= -0.5", "a / b"),
        ("x" * 2001, None),
        ("up\x00", None),
        ("", None),
    ],
)
def test_the_query_is_asked_without_its_threshold(expression: str, asked: str | None) -> None:
    assert own_query(alert(links=rule(expression))) == asked


def test_links_of_other_products_tell_no_query() -> None:
    links = (Link(title="Rule", url="https://grafana.example/alerting/1/edit?expr=up"),)
    assert own_query(alert(links=links)) is None


def test_only_what_the_alert_is_about_is_kept() -> None:
    flat = tuple((at, 1.0) for at, _ in STEPPED)
    found = [
        Series("q", flat, None, {"instance": "a", "device": "sda"}),
        Series("q", STEPPED, None, {"instance": "a", "device": "sdb"}),
        Series("q", STEPPED, None, {"instance": "b", "device": "sda"}),
    ]
    kept = of_alert(found, {"instance": "a", "severity": "page"})
    assert [each.name for each in kept] == [f"{NAME} sdb", f"{NAME} sda"]
