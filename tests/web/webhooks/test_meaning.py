"""How bad, which service, since when: tables of what products write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.web.webhooks.fields import Fields, cleaned
from app.web.webhooks.meaning import links, moment, service_of, severity, severity_of
from tests.web.webhooks.stage import NOW


@pytest.mark.parametrize(
    ("words", "level"),
    [
        ("critical", "P1"), ("CRIT", "P1"), ("page", "P1"), ("fatal", "P1"), ("P1", "P1"), ("p0", "P1"),
        ("sev1", "P1"), ("SEV-0", "P1"), ("sev 2", "P2"), ("severity: 3", "P3"), ("S4", "P4"), ("1", "P1"),
        ("3 - Moderate", "P3"), ("P2 (customers feel it)", "P2"), ("major", "P2"), ("Error", "P2"),
        ("high", "P2"), ("warning", "P3"), ("warn", "P3"), ("medium", "P3"), ("low", "P4"), ("info", "P5"),
        ("none", "P5"), ("p5", "P5"), ("", None), (None, None), ("No severity", None), ("p95", None),
        ("team-a", None), ("7", None), ("10", None), ("0.95", None), ("5xx", None), ("2%", None),
    ],
)  # fmt: skip
def test_the_words_for_severity(words: str | None, level: str | None) -> None:
    assert severity(words) == level


@pytest.mark.parametrize(
    ("labels", "level"),
    [
        ({"severity": "warning", "priority": "P1"}, "P1"),
        ({"severity": "warning", "priority": "soon"}, "P3"),
        ({"Severity": "page"}, "P1"),
        ({"alert_priority": "P4"}, "P4"),
        ({"level": "error"}, None),
        ({"team": "critical"}, None),
    ],
)
def test_the_labels_for_severity(labels: dict[str, str], level: str | None) -> None:
    assert severity_of(labels) == level


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"job": "api", "service": "checkout"}, "checkout"),
        ({"service.name": "checkout"}, "checkout"),
        ({"app.kubernetes.io/name": "checkout", "job": "x"}, "checkout"),
        ({"job": "shop/checkout"}, "checkout"),
        ({"job": "node-exporter"}, None),
        ({"service": "kube-prometheus-kube-state-metrics", "deployment": "checkout"}, "checkout"),
        ({"instance": "10.0.0.1"}, None),
        ({"service": " "}, None),
    ],
)
def test_the_labels_for_the_service(labels: dict[str, str], service: str | None) -> None:
    assert service_of(labels) == service


BEFORE = datetime(2026, 11, 20, 2, 14, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2026-11-20T02:14:02Z", BEFORE),
        ("2026-11-20T03:14:02+01:00", BEFORE),
        ("2026-11-20T02:14:02.266739876Z", BEFORE + timedelta(microseconds=266739)),
        ("2026-11-20T02:14:02", BEFORE),
        (1795140842, BEFORE),
        ("1795140842", BEFORE),
        (1795140842000, BEFORE),
        ("1795140842000", BEFORE),
        ("2026-11-20T09:04:59Z", NOW + timedelta(minutes=4, seconds=59)),
        ("2026-11-20T09:05:01Z", NOW),
        ("0001-01-01T00:00:00Z", NOW),
        ("9999-12-31T23:59:59-23:59", NOW),
        ("2018-08-03T09:52:26Z", NOW),
        (0, NOW),
        (-1, NOW),
        (10**400, NOW),
        ("9" * 64, NOW),
        (float("nan"), NOW),
        (float("inf"), NOW),
        (True, NOW),
        (None, NOW),
        ("soon", NOW),
        ({}, NOW),
    ],
)
def test_a_time_as_products_write_it(written: Any, meant: datetime) -> None:
    assert moment(written, NOW) == meant


def test_only_web_addresses_become_links_and_each_once() -> None:
    made = links(
        Rule="https://a.example/x",
        Same="https://a.example/x",
        Script="javascript:alert(1)",
        Blank="https://",
        Two="https://a.example/ https://b.example/",
        Long="https://a.example/" + "x" * 2000,
        Nothing=None,
    )
    assert [(link.title, link.url) for link in made] == [("Rule", "https://a.example/x")]


@pytest.mark.parametrize(
    ("text", "kept"),
    [("a\0b", "ab"), ("a\ud83db", "ab"), (" a ", "a"), ("x" * 30, "x" * 19 + "…"), ("\0", "")],
)
def test_text_is_storable_and_bounded(text: str, kept: str) -> None:
    assert cleaned(text, 20) == kept


def test_labels_are_bounded_in_number_and_length() -> None:
    labels = Fields({"labels": {f"label{n}" + "x" * 300: "y" * 3000 for n in range(500)}}).texts("labels")
    assert len(labels) == 64
    assert max(map(len, labels)) == 200
    assert max(map(len, labels.values())) == 1000
