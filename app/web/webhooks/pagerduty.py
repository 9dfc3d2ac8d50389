"""PagerDuty's webhooks, version 3.

Events: https://developer.pagerduty.com/docs/webhooks-overview — one `event` a delivery, `data` its incident.
Signature: https://developer.pagerduty.com/docs/verifying-webhook-signatures — `X-PagerDuty-Signature` lists
`v1=` and the hex HMAC-SHA256 of the body for each secret in force, separated by commas.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from app.investigations.alert import Alert, AlertStatus
from app.settings import AlertSettings
from app.web.webhooks.fields import MOST_LABELS, TITLE, Fields, cleaned
from app.web.webhooks.meaning import LONGEST_NAME, incident_key, links, moment, severity, title
from app.web.webhooks.proof import hmac_sha256, same
from app.web.webhooks.refusals import NotProven
from app.web.webhooks.source import Head, Ignored, Off, WebhookSource

NAME = "pagerduty"

EVENTS: Mapping[str, AlertStatus] = {
    "incident.triggered": "firing",
    "incident.reopened": "firing",
    "incident.unacknowledged": "firing",
    "incident.acknowledged": "acknowledged",
    "incident.resolved": "resolved",
}

STATUS: Mapping[str, AlertStatus] = {
    "triggered": "firing",
    "acknowledged": "acknowledged",
    "resolved": "resolved",
}


def source(settings: AlertSettings) -> WebhookSource | Off:
    if not settings.pagerduty_secrets:
        return Off(NAME, needs="PAGERDUTY_WEBHOOK_SECRET")
    secrets = settings.pagerduty_secrets
    allowed = frozenset(each.casefold() for each in settings.pagerduty_allowed_services)

    def prove(head: Head, body: bytes, now: datetime) -> None:
        check_signature(head.headers.get("x-pagerduty-signature", ""), body, secrets)

    return WebhookSource(NAME, prove, partial(parse, allowed=allowed))


def check_signature(header: str, body: bytes, secrets: Collection[str]) -> None:
    """Raises:
    NotProven: none of the signatures is by one of the secrets; during a rotation there are two of both.
    """
    given = [each.strip() for each in header.split(",")]
    for secret in secrets:
        wanted = "v1=" + hmac_sha256(secret, body)
        if any(same(each, wanted) for each in given):
            return
    raise NotProven("The signature does not fit; is PAGERDUTY_WEBHOOK_SECRET the subscription's secret?")


def parse(
    payload: Any, now: datetime, *, allowed: frozenset[str] = frozenset()
) -> tuple[Alert, ...] | Ignored:
    """`allowed` are ids and names of services, case-folded; none means all."""
    event = Fields(payload).child("event")
    kind = event.text("event_type")
    if kind == "pagey.ping":
        return Ignored("a test event: address and secret fit")
    if kind not in EVENTS and kind != "incident.priority_updated":
        return Ignored(f"{kind} events change nothing here")
    incident = event.child("data")
    service = incident.maybe_child("service")
    if allowed and not allowed & _names(service):
        return Ignored("its service is not among PAGERDUTY_ALLOWED_SERVICES")
    status = EVENTS[kind] if kind in EVENTS else incident.one_of("status", STATUS)
    return (_alert(event, incident, status, now),)


def _alert(event: Fields, incident: Fields, status: AlertStatus, now: datetime) -> Alert:
    service = incident.maybe_child("service")
    priority = incident.maybe_child("priority").first("summary", "name")
    return Alert(
        source=NAME,
        incident_key=incident_key(incident.text("id")),
        title=title(incident.text("title")),
        status=status,
        service=service.maybe("summary", LONGEST_NAME) or service.maybe("name", LONGEST_NAME),
        severity=severity(priority),
        started_at=moment(incident.raw("created_at") or event.raw("occurred_at"), now),
        labels=_labels(incident, priority),
        annotations=_annotations(event, incident),
        links=links(PagerDuty=incident.maybe("html_url"), Service=service.maybe("html_url")),
    )


def _names(service: Fields) -> frozenset[str]:
    named = (service.maybe("id"), service.maybe("summary"), service.maybe("name"))
    return frozenset(each.casefold() for each in named if each)


def _labels(incident: Fields, priority: str | None) -> dict[str, str]:
    teams = incident.maybe_children("teams")[:MOST_LABELS]
    labels = {
        "number": incident.maybe("number"),
        "urgency": incident.maybe("urgency"),
        "priority": priority,
        "alert_key": incident.maybe("incident_key"),
        "service_id": incident.maybe_child("service").maybe("id"),
        "escalation_policy": incident.maybe_child("escalation_policy").maybe("summary"),
        "teams": cleaned(", ".join(filter(None, (each.maybe("summary") for each in teams))), TITLE),
    }
    return {name: value for name, value in labels.items() if value}


def _annotations(event: Fields, incident: Fields) -> dict[str, str]:
    reason = incident.maybe_child("resolve_reason")
    said = {
        # A reopened incident may read like the first time; the event's own id tells them apart.
        "event": event.maybe("id"),
        "changed_by": event.maybe_child("agent").maybe("summary"),
        # The one reason there is: this incident was merged into another.
        "merged_into": reason.maybe_child("incident").first("summary", "id"),
    }
    return {name: value for name, value in said.items() if value}
