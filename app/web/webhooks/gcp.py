"""Google Cloud Monitoring's webhook notification channel, schema version 1.2.

https://cloud.google.com/monitoring/support/notification-options#webhooks — it proves itself by
`?auth_token=` in the address or by basic authentication.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.investigations.alert import Alert, AlertStatus
from app.settings import AlertSettings
from app.web.webhooks.fields import PROSE, Fields
from app.web.webhooks.meaning import (
    incident_key,
    links,
    moment,
    service_of,
    severity,
    severity_of,
    title,
)
from app.web.webhooks.proof import with_token
from app.web.webhooks.source import Ignored, Off, WebhookSource

NAME = "gcp"

STATES: Mapping[str, AlertStatus] = {
    "open": "firing",
    "acknowledged": "acknowledged",
    "closed": "resolved",
}


def source(settings: AlertSettings) -> WebhookSource | Off:
    return with_token(NAME, settings, parse)


def parse(payload: Any, now: datetime) -> tuple[Alert, ...] | Ignored:
    body = Fields(payload)
    incident = body.child("incident")
    if body.maybe("version") == "test":
        return Ignored("a test of the channel: address and token fit")
    labels = _labels(incident)
    name = incident.first("policy_name", "condition_name")
    return (
        Alert(
            source=NAME,
            incident_key=incident_key(incident.text("incident_id")),
            title=title(_heading(incident)),
            status=incident.one_of("state", STATES),
            name=name,
            service=service_of(labels),
            severity=severity(incident.maybe("severity")) or severity_of(labels),
            started_at=moment(incident.raw("started_at"), now),
            labels=labels,
            annotations=_annotations(incident),
            links=links(**{"Cloud_Monitoring": incident.maybe("url"), **_documented(incident)}),
        ),
    )


def _heading(incident: Fields) -> str:
    subject = incident.maybe_child("documentation").maybe("subject")
    return subject or incident.first("policy_name", "condition_name") or incident.text("summary")


def _labels(incident: Fields) -> dict[str, str]:
    """Labels of the resource, the metric and the policy; what a person wrote wins."""
    metadata = incident.maybe_child("metadata")
    told = {
        "project": incident.maybe("scoping_project_id"),
        "resource": incident.maybe("resource_display_name") or incident.maybe("resource_name"),
        "resource_type": incident.maybe("resource_type_display_name"),
        "metric": incident.maybe_child("metric").first("type", "displayName"),
        "condition": incident.maybe("condition_name"),
    }
    return {
        **{name: value for name, value in told.items() if value},
        **incident.maybe_child("resource").texts("labels"),
        **incident.maybe_child("metric").texts("labels"),
        **metadata.texts("system_labels"),
        **metadata.texts("user_labels"),
        **incident.texts("policy_user_labels"),
    }


def _annotations(incident: Fields) -> dict[str, str]:
    said = {
        "summary": incident.maybe("summary", PROSE),
        "documentation": incident.maybe_child("documentation").maybe("content", PROSE),
        "observed_value": incident.maybe("observed_value"),
        "threshold_value": incident.maybe("threshold_value"),
    }
    return {name: value for name, value in said.items() if value}


def _documented(incident: Fields) -> dict[str, str | None]:
    """The links of the policy's documentation, by the names they have there."""
    found = incident.maybe_child("documentation").maybe_children("links")
    return {each.maybe("displayName", 80) or "Documentation": each.maybe("url") for each in found[:5]}
