"""New Relic's workflows, with the payload their webhook destination suggests.

Variables in it: https://docs.newrelic.com/docs/alerts/get-notified/custom-variables-incident-workflows/
An incident here is their issue.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.investigations.alert import Alert, AlertStatus
from app.settings import AlertSettings
from app.web.webhooks.fields import PROSE, TITLE, Fields, cleaned
from app.web.webhooks.meaning import LONGEST_NAME, incident_key, links, moment, service_of, severity, title
from app.web.webhooks.proof import with_token
from app.web.webhooks.source import Off, WebhookSource

NAME = "newrelic"

STATES: Mapping[str, AlertStatus] = {
    "created": "firing",
    "activated": "firing",
    "acknowledged": "acknowledged",
    "closed": "resolved",
}


def source(settings: AlertSettings) -> WebhookSource | Off:
    return with_token(NAME, settings, parse)


def parse(payload: Any, now: datetime) -> tuple[Alert, ...]:
    issue = Fields(payload)
    entities = issue.listed("impactedEntities")
    conditions = issue.listed("alertConditionNames")
    labels = {**_labels(issue), **issue.texts("labels")}
    return (
        Alert(
            source=NAME,
            incident_key=incident_key(issue.text("id")),
            title=title(next(iter(issue.listed("title")), "") or issue.text("title")),
            status=_status(issue),
            name=conditions[0] if conditions else None,
            service=service_of({"service": issue.maybe("service") or "", **labels})
            or (entities[0][:LONGEST_NAME] if entities else None),
            severity=severity(issue.maybe("priority")),
            started_at=moment(issue.raw("activatedAt") or issue.raw("createdAt"), now),
            labels=labels,
            annotations=_annotations(issue),
            links=links(
                New_Relic=issue.maybe("issueUrl"),
                Chart=issue.maybe("violationChartUrl"),
                Runbook=next(iter(issue.listed("runbookUrl")), None),
            ),
        ),
    )


def _status(issue: Fields) -> AlertStatus:
    """The state does not say that somebody took the issue; `isAcknowledged` does, where it is sent."""
    state = issue.one_of("state", STATES)
    taken = issue.maybe("isAcknowledged") == "true"
    return "acknowledged" if taken and state == "firing" else state


def _labels(issue: Fields) -> dict[str, str]:
    labels = {
        "entities": ", ".join(issue.listed("impactedEntities"))[:PROSE],
        "policies": cleaned(", ".join(issue.listed("alertPolicyNames")), TITLE),
        "conditions": cleaned(", ".join(issue.listed("alertConditionNames")), TITLE),
        "incidents": issue.maybe("totalIncidents"),
        "workflow": issue.maybe("workflowName"),
    }
    return {name: value for name, value in labels.items() if value}


def _annotations(issue: Fields) -> dict[str, str]:
    said = {
        "description": "\n".join(issue.listed("description"))[:PROSE],
        "trigger": issue.maybe("trigger"),
    }
    return {name: value for name, value in said.items() if value}
