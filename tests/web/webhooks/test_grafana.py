from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta

import pytest

from app.web.webhooks.grafana import parse, source
from app.web.webhooks.refusals import NotProven
from app.web.webhooks.source import Head, Ignored, Off, WebhookSource
from tests.web.webhooks.stage import BEARER, GRAFANA, NOW, TOKEN, sample, settings

BODY = json.dumps(sample("grafana")).encode()


def signed(body: bytes = BODY, *, secret: str = GRAFANA, at: datetime | None = None) -> dict[str, str]:
    # …/integrations/webhook-notifier/#hmac-signature: HMAC(timestamp + ":" + body), or of the body alone.
    prefix = b"" if at is None else f"{int(at.timestamp())}:".encode()
    headers = {
        "x-grafana-alerting-signature": hmac.new(secret.encode(), prefix + body, hashlib.sha256).hexdigest()
    }
    return headers if at is None else headers | {"x-grafana-alerting-timestamp": str(int(at.timestamp()))}


def on(**values: str) -> WebhookSource:
    made = source(settings(**values))
    assert isinstance(made, WebhookSource)
    return made


def test_a_group_is_one_alert() -> None:
    parsed = parse(sample("grafana"), NOW)
    assert isinstance(parsed, tuple)
    (alert,) = parsed
    assert (alert.source, alert.incident_key, alert.status) == ("grafana", "{}:{}", "firing")
    assert (alert.name, alert.service, alert.severity) == ("High memory usage", "inventory", "P1")
    assert alert.title == "High memory usage on inventory (2 alerts)"
    assert alert.started_at == datetime(2026, 11, 20, 7, 51, 3, 157076, tzinfo=UTC)
    assert "zone=us-1" in alert.annotations["instances"]
    assert "zone=eu-1" in alert.annotations["instances"]
    assert [link.title for link in alert.links] == ["Alert rule", "Dashboard", "Grafana"]


def test_the_test_button_says_that_the_set_up_works() -> None:
    payload = sample("grafana")
    payload["alerts"] = [{"status": "firing", "labels": {"alertname": "TestAlert", "instance": "Grafana"}}]
    assert isinstance(parse(payload, NOW), Ignored)


@pytest.mark.parametrize(
    "headers",
    [
        signed(),
        signed(at=NOW),
        signed(at=NOW - timedelta(seconds=299)),
        signed(at=NOW + timedelta(seconds=299)),
        {"x-grafana-alert-signature": signed()["x-grafana-alerting-signature"]},
    ],
)
def test_a_signature_over_the_body_or_over_time_and_body_fits(headers: dict[str, str]) -> None:
    on(GRAFANA_WEBHOOK_SECRET=GRAFANA).prove(Head(headers, {}), BODY, NOW)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        BEARER,
        signed(BODY + b" "),
        signed(secret="another"),
        signed(at=NOW - timedelta(seconds=301)),
        signed(at=NOW + timedelta(seconds=301)),
        signed(at=NOW) | {"x-grafana-alerting-timestamp": str(int(NOW.timestamp()) + 1)},
        {name: value for name, value in signed(at=NOW).items() if "timestamp" not in name},
        signed() | {"x-grafana-alerting-timestamp": str(int(NOW.timestamp()))},
        signed() | {"x-grafana-alerting-timestamp": "ä"},
        signed() | {"x-grafana-alerting-timestamp": ""},
    ],
)
def test_a_signature_that_is_missing_wrong_or_old_proves_nothing(headers: dict[str, str]) -> None:
    both = on(GRAFANA_WEBHOOK_SECRET=GRAFANA, ALERT_WEBHOOK_TOKEN=TOKEN)
    with pytest.raises(NotProven):
        both.prove(Head(headers, {}), BODY, NOW)


def test_without_a_secret_of_its_own_the_token_proves_it() -> None:
    tokened = on(ALERT_WEBHOOK_TOKEN=TOKEN)
    tokened.prove(Head(BEARER, {}), BODY, NOW)
    with pytest.raises(NotProven):
        tokened.prove(Head(signed(), {}), BODY, NOW)


def test_without_any_secret_it_is_off() -> None:
    assert source(settings()) == Off("grafana", needs="GRAFANA_WEBHOOK_SECRET or ALERT_WEBHOOK_TOKEN")
