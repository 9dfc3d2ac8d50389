from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.web.webhooks.alertmanager import parse
from app.web.webhooks.refusals import NotUnderstood
from tests.web.webhooks.stage import NOW, sample


def test_a_group_is_one_alert() -> None:
    (alert,) = parse(sample("alertmanager"), NOW)
    assert (alert.source, alert.status) == ("alertmanager", "firing")
    assert alert.incident_key == '{}/{severity="page"}:{alertname="HighErrorRate", service="checkout"}'
    assert (alert.name, alert.service, alert.severity) == ("HighErrorRate", "checkout", "P1")
    assert alert.title == "More than 5 % of the requests fail (2 alerts)"
    assert alert.labels == {
        "alertname": "HighErrorRate",
        "job": "checkout",
        "service": "checkout",
        "severity": "critical",
    }


def test_the_members_of_a_group_are_counted_and_told_apart() -> None:
    (alert,) = parse(sample("alertmanager"), NOW)
    assert alert.annotations["alerts"] == "2 firing, 1 resolved"
    assert alert.annotations["instances"] == (
        "instance=10.0.0.11:8080; instance=10.0.0.12:8080; instance=10.0.0.13:8080 (resolved)"
    )


def test_it_began_when_the_first_of_those_that_fire_began() -> None:
    (alert,) = parse(sample("alertmanager"), NOW)
    assert alert.started_at == datetime(2026, 11, 20, 2, 13, 32, 266739, tzinfo=UTC)


def test_the_links_lead_to_the_rule_the_runbook_and_alertmanager() -> None:
    (alert,) = parse(sample("alertmanager"), NOW)
    assert [link.title for link in alert.links] == ["Alert rule", "Runbook", "Alertmanager"]


def test_a_group_of_one_has_all_labels_of_its_alert() -> None:
    payload = sample("alertmanager")
    payload["alerts"] = payload["alerts"][:1]
    (alert,) = parse(payload, NOW)
    assert alert.labels["instance"] == "10.0.0.11:8080"
    assert alert.title == "More than 5 % of the requests fail"
    assert alert.annotations.keys() == {"summary", "runbook_url"}


def test_a_resolved_group_is_over() -> None:
    payload = sample("alertmanager", status="resolved")
    for each in payload["alerts"]:
        each["status"] = "resolved"
    (alert,) = parse(payload, NOW)
    assert (alert.status, alert.annotations["alerts"]) == ("resolved", "0 firing, 3 resolved")


def test_a_group_over_several_services_is_of_the_one_most_are_about_and_as_bad_as_the_worst() -> None:
    payload = sample("alertmanager", commonLabels={}, commonAnnotations={})
    told = [("cart", "info"), ("payments", "warning"), ("payments", "critical")]
    for each, (service, severity) in zip(payload["alerts"], told, strict=True):
        each["status"], each["labels"] = "firing", {"alertname": "Slow", "app": service, "severity": severity}
    (alert,) = parse(payload, NOW)
    assert (alert.service, alert.severity, alert.title) == ("payments", "P1", "Slow on payments (3 alerts)")


def test_a_huge_group_is_counted_to_its_end() -> None:
    payload = sample("alertmanager", truncatedAlerts=7)
    payload["alerts"] *= 100
    (alert,) = parse(payload, NOW)
    assert "107 not shown" in alert.annotations["alerts"]
    assert alert.annotations["instances"].endswith("; and 180 more")
    assert len(alert.annotations["instances"]) < 4000


def test_a_group_key_longer_than_a_key_may_be_stays_a_key_of_its_own() -> None:
    keys = {parse(sample("alertmanager", groupKey="x" * 2000 + end), NOW)[0].incident_key for end in "ab"}
    assert len(keys) == 2
    assert all(len(key) <= 1000 for key in keys)


def test_an_exporter_is_not_the_service() -> None:
    labels = {"alertname": "PodCrashLooping", "job": "kube-state-metrics", "container": "checkout"}
    payload = sample("alertmanager", commonLabels=labels)
    assert parse(payload, NOW)[0].service == "checkout"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"version": "3"}, "version should be one of 4"),
        ({"groupKey": None}, "groupKey is missing"),
        ({"status": "pending"}, "status should be one of firing, resolved"),
        ({"alerts": []}, "alerts is missing"),
        ({"alerts": [1]}, r"alerts\[0\] should be a JSON object"),
        ({"alerts": [{"status": "firing", "labels": {"a": []}}]}, r"alerts\[0\].labels.a should be a text"),
        ({"commonLabels": "x"}, "commonLabels should be a JSON object"),
    ],
)
def test_a_field_that_is_wrong_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(NotUnderstood, match=field):
        parse(sample("alertmanager", **changes), NOW)
