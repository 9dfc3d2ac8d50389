from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from app.investigations.alert import Alert
from app.web.webhooks.gcp import parse
from app.web.webhooks.refusals import NotUnderstood
from app.web.webhooks.source import Ignored
from tests.web.webhooks.stage import NOW, sample


def only(**changes: Any) -> Alert:
    parsed = parse(sample("gcp", **changes), NOW)
    assert isinstance(parsed, tuple)
    (alert,) = parsed
    return alert


def test_an_incident_is_taken() -> None:
    alert = only()
    assert (alert.source, alert.incident_key, alert.status) == ("gcp", "0.nrwotmyokd9n", "firing")
    assert alert.title == "[ALERT - Error] Checkout fails"
    assert (alert.name, alert.service, alert.severity) == ("Checkout fails", "checkout", "P2")
    assert alert.started_at == datetime(2026, 11, 20, 2, 14, 2, tzinfo=UTC)
    assert alert.labels["response_code_class"] == "5xx"
    assert alert.labels["tier"] == "1"
    assert alert.annotations["documentation"] == "Look at the newest revision first."
    assert [link.title for link in alert.links] == ["Cloud Monitoring", "Playbook"]


@pytest.mark.parametrize(
    ("state", "status"), [("open", "firing"), ("OPEN", "firing"), ("closed", "resolved")]
)
def test_a_state_says_how_the_incident_stands(state: str, status: str) -> None:
    assert only(incident__state=state).status == status


@pytest.mark.parametrize(
    ("severity", "level"), [("Critical", "P1"), ("Error", "P2"), ("Warning", "P3"), ("No severity", None)]
)
def test_the_policys_severity_is_the_alerts(severity: str, level: str | None) -> None:
    assert only(incident__severity=severity).severity == level


def test_a_test_of_the_channel_is_not_investigated() -> None:
    assert isinstance(parse(sample("gcp", version="test"), NOW), Ignored)


def test_without_a_subject_the_policy_names_it() -> None:
    assert only(incident__documentation=None).title == "Checkout fails"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"incident": None}, "incident is missing"),
        ({"incident__incident_id": ""}, "incident.incident_id is missing"),
        ({"incident__state": "odd"}, "incident.state should be one of"),
        ({"incident__resource": []}, "incident.resource should be a JSON object"),
        ({"incident__documentation": {"links": {}}}, "incident.documentation.links should be a list"),
    ],
)
def test_a_field_that_is_wrong_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(NotUnderstood, match=field):
        parse(sample("gcp", **changes), NOW)
