from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.investigations.alert import Alert
from app.web.webhooks.pagerduty import parse, source
from app.web.webhooks.refusals import NotProven, NotUnderstood
from app.web.webhooks.source import Head, Ignored, Off, WebhookSource
from tests.web.webhooks.stage import NOW, PAGERDUTY, sample, settings

BODY = json.dumps(sample("pagerduty")).encode()


def signature(secret: str, body: bytes = BODY) -> str:
    # https://developer.pagerduty.com/docs/verifying-webhook-signatures
    return "v1=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def only(parsed: tuple[Alert, ...] | Ignored) -> Alert:
    assert isinstance(parsed, tuple)
    (alert,) = parsed
    return alert


def on(secrets: str = ", ".join(PAGERDUTY), **values: str) -> WebhookSource:
    made = source(settings(PAGERDUTY_WEBHOOK_SECRET=secrets, **values))
    assert isinstance(made, WebhookSource)
    return made


def test_an_incident_becomes_an_alert() -> None:
    alert = only(parse(sample("pagerduty"), NOW))
    assert alert.source == "pagerduty"
    assert alert.incident_key == "PGR0VU2"
    assert alert.title == "Checkout answers every third request with a 500"
    assert (alert.status, alert.service, alert.severity) == ("firing", "checkout", "P1")
    assert alert.started_at == datetime(2026, 11, 20, 2, 14, 2, tzinfo=UTC)
    assert alert.labels["urgency"] == "high"
    assert alert.labels["teams"] == "Shop"
    assert [link.url for link in alert.links] == [
        "https://acme.pagerduty.com/incidents/PGR0VU2",
        "https://acme.pagerduty.com/services/PF9KMXH",
    ]


@pytest.mark.parametrize(
    ("event", "state", "status"),
    [
        ("incident.triggered", "triggered", "firing"),
        ("incident.reopened", "triggered", "firing"),
        ("incident.unacknowledged", "triggered", "firing"),
        ("incident.acknowledged", "acknowledged", "acknowledged"),
        ("incident.resolved", "resolved", "resolved"),
        ("incident.priority_updated", "triggered", "firing"),
        ("incident.priority_updated", "acknowledged", "acknowledged"),
    ],
)
def test_an_event_says_how_the_incident_stands(event: str, state: str, status: str) -> None:
    payload = sample("pagerduty", event__event_type=event, event__data__status=state)
    assert only(parse(payload, NOW)).status == status


@pytest.mark.parametrize(
    "event",
    [
        "incident.annotated",
        "incident.escalated",
        "incident.responder.added",
        "incident.status_update_published",
        "service.updated",
    ],
)
def test_events_that_change_nothing_are_ignored_by_name(event: str) -> None:
    assert parse(sample("pagerduty", event__event_type=event), NOW) == Ignored(
        f"{event} events change nothing here"
    )


def test_the_test_event_says_that_the_set_up_works() -> None:
    parsed = parse(sample("pagerduty_ping"), NOW)
    assert isinstance(parsed, Ignored)
    assert "address and secret fit" in parsed.reason


@pytest.mark.parametrize(
    ("priority", "severity"),
    [
        (None, None),
        ({"summary": "P3"}, "P3"),
        ({"summary": "SEV-2"}, "P2"),
        ({"name": "P1 – all down"}, "P1"),
    ],
)
def test_the_priority_is_the_severity(priority: Any, severity: str | None) -> None:
    assert only(parse(sample("pagerduty", event__data__priority=priority), NOW)).severity == severity


def test_a_merged_incident_says_into_which() -> None:
    reason = {"type": "merge_resolve_reason", "incident": {"id": "PXYZ", "summary": "[#1] All of the shop"}}
    payload = sample("pagerduty", event__event_type="incident.resolved", event__data__resolve_reason=reason)
    assert only(parse(payload, NOW)).annotations["merged_into"] == "[#1] All of the shop"


@pytest.mark.parametrize(
    ("allowed", "taken"), [("PF9KMXH", True), ("Checkout", True), ("payments, PXXX", False)]
)
def test_services_are_filtered_by_id_or_name(allowed: str, taken: bool) -> None:
    parsed = on(PAGERDUTY_ALLOWED_SERVICES=allowed).parse(sample("pagerduty"), NOW)
    assert isinstance(parsed, tuple) is taken
    if isinstance(parsed, Ignored):
        assert "PAGERDUTY_ALLOWED_SERVICES" in parsed.reason


@pytest.mark.parametrize(
    "header",
    [
        signature(PAGERDUTY[0]),
        signature(PAGERDUTY[1]),
        f"{signature('a third')},{signature(PAGERDUTY[1])}",
        f"{signature(PAGERDUTY[0])}, {signature('a third')}",
    ],
)
def test_any_secret_in_force_may_have_signed(header: str) -> None:
    on().prove(Head({"x-pagerduty-signature": header}, {}), BODY, NOW)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "v1=",
        "v1",
        signature("a third"),
        signature(PAGERDUTY[0]).removeprefix("v1="),
        signature(PAGERDUTY[0]).replace("v1", "v2"),
        signature(PAGERDUTY[0], BODY + b" "),
        "v1=ä",
        "," * 500,
    ],
)
def test_what_no_secret_has_signed_is_not_proven(header: str) -> None:
    with pytest.raises(NotProven, match="PAGERDUTY_WEBHOOK_SECRET"):
        on().prove(Head({"x-pagerduty-signature": header}, {}), BODY, NOW)


def test_the_signature_of_a_known_delivery_fits() -> None:
    # RFC 4231, test case 2: the HMAC itself is the standard's.
    proof = "v1=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    on("Jefe").prove(Head({"x-pagerduty-signature": proof}, {}), b"what do ya want for nothing?", NOW)


def test_without_a_secret_it_is_off() -> None:
    assert source(settings()) == Off("pagerduty", needs="PAGERDUTY_WEBHOOK_SECRET")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"event": None}, "event is missing"),
        ({"event__event_type": None}, "event.event_type is missing"),
        ({"event__data": []}, "event.data should be a JSON object"),
        ({"event__data__id": " "}, "event.data.id is missing"),
        ({"event__data__title": {"a": 1}}, "event.data.title should be a text"),
        ({"event__data__service": "checkout"}, "event.data.service should be a JSON object"),
        ({"event__data__teams": "Shop"}, "event.data.teams should be a list"),
        (
            {"event__event_type": "incident.priority_updated", "event__data__status": "odd"},
            "event.data.status should be one of",
        ),
    ],
)
def test_a_field_that_is_wrong_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(NotUnderstood, match=field):
        parse(sample("pagerduty", **changes), NOW)
