from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.web.webhooks.newrelic import parse
from app.web.webhooks.refusals import NotUnderstood
from tests.web.webhooks.stage import NOW, sample


def test_an_issue_is_taken() -> None:
    (alert,) = parse(sample("newrelic"), NOW)
    assert (alert.source, alert.incident_key) == ("newrelic", "d1b1f3fd-995a-4066-88ab-8ce4f6960654")
    assert alert.title == "Memory Used % > 90 for at least 2 minutes on 'checkout'"
    assert (alert.name, alert.service, alert.severity) == ("Memory high", "checkout", "P1")
    assert alert.started_at == datetime(2026, 11, 20, 2, 14, 2, tzinfo=UTC)
    assert alert.labels["entities"] == "checkout, checkout-canary"
    assert [link.title for link in alert.links] == ["New Relic"]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"state": "CREATED"}, "firing"),
        ({"state": "ACTIVATED"}, "firing"),
        ({"state": "ACTIVATED", "trigger": "INCIDENT_ADDED"}, "firing"),
        ({"state": "ACTIVATED", "isAcknowledged": True}, "acknowledged"),
        ({"state": "CLOSED", "isAcknowledged": True}, "resolved"),
    ],
)
def test_a_state_says_how_the_incident_stands(changes: dict[str, Any], status: str) -> None:
    assert parse(sample("newrelic", **changes), NOW)[0].status == status


@pytest.mark.parametrize(
    ("priority", "severity"),
    [("CRITICAL", "P1"), ("HIGH", "P2"), ("MEDIUM", "P3"), ("LOW", "P4"), ("", None)],
)
def test_the_priority_is_the_severity(priority: str, severity: str | None) -> None:
    assert parse(sample("newrelic", priority=priority), NOW)[0].severity == severity


def test_a_service_named_in_the_payload_wins_over_the_entities() -> None:
    assert parse(sample("newrelic", service="cart"), NOW)[0].service == "cart"
    assert parse(sample("newrelic", labels={"app": "cart"}), NOW)[0].service == "cart"
    assert parse(sample("newrelic", impactedEntities=[]), NOW)[0].service is None


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, "id is missing"),
        ({"title": []}, "title should be a text"),
        ({"state": "ODD"}, "state should be one of created, activated, acknowledged, closed"),
        ({"impactedEntities": [{}]}, r"impactedEntities\[0\] should be a text"),
    ],
)
def test_a_field_that_is_wrong_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(NotUnderstood, match=field):
        parse(sample("newrelic", **changes), NOW)
