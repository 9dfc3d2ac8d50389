"""Grafana Alerting's webhook contact point.

Payload and signature:
https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
— a hex HMAC-SHA256 of the body, or of `<timestamp>:<body>` where a timestamp header is configured.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.investigations.alert import Alert
from app.settings import AlertSettings
from app.web.webhooks.fields import Fields
from app.web.webhooks.groups import parse_group
from app.web.webhooks.proof import check_token, hmac_sha256, same
from app.web.webhooks.refusals import NotProven
from app.web.webhooks.source import Head, Ignored, Off, WebhookSource

NAME = "grafana"

# The documented default, and the one Grafana's own code (grafana/alerting, http/hmac.go) falls back to.
SIGNATURES = ("x-grafana-alerting-signature", "x-grafana-alert-signature")
TIMESTAMP = "x-grafana-alerting-timestamp"

OLDEST = 5 * 60
"""Seconds a signed timestamp may be away from now, in either direction."""


def source(settings: AlertSettings) -> WebhookSource | Off:
    secret, token = settings.grafana_secret, settings.token
    if secret is None and token is None:
        return Off(NAME, needs="GRAFANA_WEBHOOK_SECRET or ALERT_WEBHOOK_TOKEN")

    def prove(head: Head, body: bytes, now: datetime) -> None:
        if secret is not None:
            check_signature(head, body, now, secret.get_secret_value())
        elif token is not None:
            check_token(head, token.get_secret_value())

    return WebhookSource(NAME, prove, parse)


def check_signature(head: Head, body: bytes, now: datetime, secret: str) -> None:
    """Raises:
    NotProven: the signature does not fit, or what it signs is too old.
    """
    given = next((value for name in SIGNATURES if (value := head.headers.get(name))), "")
    stamp = head.headers.get(TIMESTAMP)
    signed = (body,) if stamp is None else (stamp.encode("utf-8", "replace"), b":", body)
    if not same(given.strip().lower(), hmac_sha256(secret, *signed)):
        raise NotProven(
            "The signature does not fit; is GRAFANA_WEBHOOK_SECRET the contact point's HMAC secret, and its"
            " timestamp header X-Grafana-Alerting-Timestamp or empty?"
        )
    if stamp is not None and not _recent(stamp, now):
        raise NotProven("The signed timestamp is more than five minutes away; check the clocks.")


def _recent(stamp: str, now: datetime) -> bool:
    return (
        stamp.isascii()
        and stamp.isdigit()
        and len(stamp) <= 12
        and abs(now.timestamp() - int(stamp)) <= OLDEST
    )


def parse(payload: Any, now: datetime) -> tuple[Alert, ...] | Ignored:
    alert = parse_group(NAME, Fields(payload), now)
    # What the “Test” button of a contact point sends: an alert of this name on this instance.
    if (alert.labels.get("alertname"), alert.labels.get("instance")) == ("TestAlert", "Grafana"):
        return Ignored("a test of the contact point: address and secret fit")
    return (alert,)
