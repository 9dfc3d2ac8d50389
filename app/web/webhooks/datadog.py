"""Datadog's webhooks integration, with the payload of docs/webhooks/datadog.md.

Its payload is a template of ours; the variables in it: https://docs.datadoghq.com/integrations/webhooks/
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.investigations.alert import Alert, AlertStatus
from app.settings import AlertSettings
from app.web.webhooks.fields import MOST_LABELS, PROSE, Fields, cleaned
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
from app.web.webhooks.source import Off, WebhookSource

NAME = "datadog"

TRANSITIONS: Mapping[str, AlertStatus] = {
    **dict.fromkeys(
        ("triggered", "re-triggered", "warn", "re-warn", "no data", "re-no data", "renotify"), "firing"
    ),
    "recovered": "resolved",
}


def source(settings: AlertSettings) -> WebhookSource | Off:
    return with_token(NAME, settings, parse)


def parse(payload: Any, now: datetime) -> tuple[Alert, ...]:
    said = Fields(_filled_in(payload))
    status = said.one_of("alert_transition", TRANSITIONS)
    key = said.first("alert_cycle_key", "aggreg_key", "alert_id")
    if key is None:
        raise said.missing("alert_cycle_key")
    heading = said.first("alert_title", "event_title") or said.text("alert_title")
    name = re.sub(r"^(\[[^\]]*\]\s*)+", "", heading)
    labels = _labels(said)
    warned = severity("warning") if "warn" in said.text("alert_transition").lower() else None
    return (
        Alert(
            source=NAME,
            incident_key=incident_key(key),
            title=title(heading),
            status=status,
            name=title(name) or None,
            service=service_of(labels),
            severity=severity(said.maybe("alert_priority")) or severity_of(labels) or warned,
            started_at=moment(said.raw("date"), now),
            labels=labels,
            annotations=_annotations(said),
            links=links(Datadog=said.maybe("link"), Snapshot=said.maybe("snapshot")),
        ),
    )


def _filled_in(payload: Any) -> Any:
    """Without variables Datadog had no value for: it sends their names, or `null` as a text."""
    if not isinstance(payload, dict):
        return payload
    return {
        key: None if isinstance(value, str) and re.fullmatch(r"\$[A-Z_]+|null", value.strip()) else value
        for key, value in payload.items()
    }


def _labels(said: Fields) -> dict[str, str]:
    """The tags of the event and of what triggered it, `name:value` each, and the host."""
    tags = ",".join(filter(None, (said.maybe("alert_scope", PROSE), said.maybe("tags", PROSE))))
    labels: dict[str, str] = {}
    for tag in tags.split(",")[:MOST_LABELS]:
        name, _, value = tag.strip().partition(":")
        if name and value:
            labels.setdefault(cleaned(name, 200), value)
    for name in ("hostname", "alert_metric", "alert_id", "alert_type"):
        if told := said.maybe(name):
            labels.setdefault(name, told)
    return labels


def _annotations(said: Fields) -> dict[str, str]:
    named = {name: said.maybe(name, PROSE) for name in ("alert_query", "alert_status", "text_only_msg")}
    return {name: value for name, value in named.items() if value}
