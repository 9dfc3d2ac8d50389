"""Alert rules are found wherever repos keep them, and no file can stop the search."""

from __future__ import annotations

import pytest

from app.workflows.wants.rule_files import is_one, rules_in

FILE = """\
groups:
  - name: checkout
    labels: {team: checkout}
    rules:
      - record: job:errors:rate5m
        expr: sum(rate(errors[5m]))
      - alert: CheckoutErrors
        expr: |
          job:errors:rate5m{service="checkout"} > 0.05
        for: 1m30s
        labels: {severity: page, tier: 1}
        annotations:
          runbook_url: https://wiki.acme.example/r
"""
MANIFEST = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
---
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: checkout}
spec:
  groups:
    - name: checkout
      rules: [{alert: PoolFull, expr: pool > 9}, {alert: Mute}, just words]
"""
LIST = "kind: List\nitems:\n  - kind: PrometheusRule\n    spec: {groups: [{rules: [{alert: A, expr: 1}]}]}\n"
HELM = "groups:\n  - rules:\n{{- range .Values.alerts }}\n      - alert: {{ .name }}\n{{- end }}\n"


def test_a_file_of_rules_for_prometheus() -> None:
    [rule] = rules_in(FILE)

    assert (rule.name, rule.group, rule.seconds) == ("CheckoutErrors", "checkout", 90)
    assert rule.query == 'job:errors:rate5m{service="checkout"} > 0.05'
    assert rule.labels == {"team": "checkout", "severity": "page", "tier": "1"}
    assert rule.annotations == {"runbook_url": "https://wiki.acme.example/r"}


@pytest.mark.parametrize(
    ("text", "names"),
    [
        (MANIFEST, ["PoolFull"]),
        (LIST, ["A"]),
        ("groups:\n", []),
        ("groups: [1, {rules: 2}]\n", []),
        ("- alert: A\n  expr: x\n", []),
        ("just words", []),
        ("", []),
    ],
)
def test_manifests_and_what_holds_none(text: str, names: list[str]) -> None:
    assert [each.name for each in rules_in(text)] == names


@pytest.mark.parametrize("text", [HELM, "a: [" * 5000, "a: &x [1]\nb: *x\n", "x" * 300_000])
def test_what_is_no_plain_yaml_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="."):
        rules_in(text)


@pytest.mark.parametrize(
    ("text", "holds"), [(FILE, True), (LIST, True), (HELM, True), ("no alert: here", False)]
)
def test_what_looks_like_one(text: str, holds: bool) -> None:
    assert is_one(text) is holds
