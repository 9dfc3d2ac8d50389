"""Prometheus Alertmanager's webhook receiver, payload version 4.

https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from app.investigations.alert import Alert
from app.settings import AlertSettings
from app.web.webhooks.fields import Fields
from app.web.webhooks.groups import parse_group
from app.web.webhooks.proof import with_token
from app.web.webhooks.source import Off, WebhookSource

NAME = "alertmanager"


def source(settings: AlertSettings) -> WebhookSource | Off:
    return with_token(NAME, settings, parse)


def parse(payload: Any, now: datetime) -> tuple[Alert, ...]:
    group = Fields(payload)
    group.one_of("version", {"4": "4"})
    return (parse_group(NAME, group, now),)
