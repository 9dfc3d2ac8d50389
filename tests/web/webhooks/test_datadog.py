from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from app.web.webhooks.datadog import parse
from app.web.webhooks.refusals import NotUnderstood
from tests.web.webhooks.stage import NOW, sample

PAGE = Path(__file__).parents[3] / "docs" / "webhooks" / "datadog.md"


def test_an_alert_is_taken() -> None:
    (alert,) = parse(sample("datadog"), NOW)
    assert (alert.source, alert.incident_key) == ("datadog", "7716548234055550000")
    assert alert.title == "[Triggered on {service:payments}] Payments answer slowly"
    assert (alert.name, alert.service, alert.severity) == ("Payments answer slowly", "payments", "P2")
    assert alert.started_at == datetime(2026, 11, 20, 2, 14, 2, tzinfo=UTC)
    assert alert.labels["env"] == "production"
    assert alert.labels["team"] == "money"
    assert alert.annotations["alert_query"].startswith("avg(last_5m)")
    assert [link.title for link in alert.links] == ["Datadog"]


@pytest.mark.parametrize(
    ("transition", "status", "severity"),
    [
        ("Triggered", "firing", None),
        ("Re-Triggered", "firing", None),
        ("No Data", "firing", None),
        ("Re-No Data", "firing", None),
        ("Renotify", "firing", None),
        ("Warn", "firing", "P3"),
        ("Re-Warn", "firing", "P3"),
        ("Recovered", "resolved", None),
    ],
)
def test_a_transition_says_how_the_incident_stands(
    transition: str, status: str, severity: str | None
) -> None:
    (alert,) = parse(sample("datadog", alert_transition=transition, alert_priority=""), NOW)
    assert (alert.status, alert.severity) == (status, severity)


def test_variables_without_a_value_count_as_absent() -> None:
    (alert,) = parse(sample("datadog", alert_cycle_key="$ALERT_CYCLE_KEY", alert_priority="null"), NOW)
    assert (alert.incident_key, alert.severity) == ("9bd4ac313a4d1e8fae2482df7b77628", None)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"alert_transition": ""}, "alert_transition is missing"),
        ({"alert_transition": "Muted"}, "alert_transition should be one of"),
        ({"alert_title": None}, "alert_title is missing"),
        ({"alert_cycle_key": "", "aggreg_key": "", "alert_id": ""}, "alert_cycle_key is missing"),
    ],
)
def test_a_field_that_is_wrong_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(NotUnderstood, match=field):
        parse(sample("datadog", **changes), NOW)


def test_the_payload_of_the_docs_has_the_fields_of_the_sample() -> None:
    block = re.search(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    assert block
    template = json.loads(block[1])
    assert template.keys() == sample("datadog").keys()
    assert all(value == f"${name.upper()}" for name, value in template.items())
