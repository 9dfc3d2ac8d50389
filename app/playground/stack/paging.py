"""What a scenario's page looks like on the wire: the webhook of Alertmanager, or of PagerDuty.

Shapes follow https://prometheus.io/docs/alerting/latest/configuration/#webhook_config and
https://developer.pagerduty.com/docs/webhooks-overview (V3).
"""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import urlencode

from app.playground.stack.noise import salt
from app.playground.stack.prometheus import RULES
from app.playground.stack.scenario import Paging
from app.playground.stack.world import World, stamp

State = Literal["firing", "resolved"]
NOT_ENDED = "0001-01-01T00:00:00Z"


def from_alertmanager(world: World, paging: Paging, prometheus: str, state: State) -> dict[str, Any]:
    """One group with one alert, version 4."""
    group = {"alertname": paging.rule, "service": paging.service}
    labels = {**group, "severity": paging.severity, "namespace": "shop"}
    annotations = {"summary": paging.summary, "description": paging.description}
    key = ", ".join(f'{name}="{value}"' for name, value in sorted(group.items()))
    alert = {
        "status": state,
        "labels": labels,
        "annotations": annotations,
        "startsAt": stamp(world.paged_at),
        "endsAt": NOT_ENDED if state == "firing" else stamp(world.now()),
        "generatorURL": _graph(paging, prometheus),
        "fingerprint": f"{salt(key):016x}",
    }
    return {
        "version": "4",
        "groupKey": f"{{}}:{{{key}}}",
        "truncatedAlerts": 0,
        "status": state,
        "receiver": "sre-agent",
        "groupLabels": group,
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "http://alertmanager.acme.example",
        "alerts": [alert],
    }


def _graph(paging: Paging, prometheus: str) -> str:
    query = next((rule.query for rule in RULES if rule.name == paging.rule), "up")
    return f"{prometheus}/graph?" + urlencode({"g0.expr": query, "g0.tab": "0", "g0.range_input": "1h"})


def from_pagerduty(world: World, incident: dict[str, Any], state: State) -> dict[str, Any]:
    """`incident.triggered` or `incident.resolved`."""
    event = "triggered" if state == "firing" else "resolved"
    data = {
        "id": incident["id"],
        "type": "incident",
        "self": incident["self"],
        "html_url": incident["html_url"],
        "number": incident["incident_number"],
        "status": event,
        "incident_key": incident["incident_key"],
        "created_at": incident["created_at"],
        "title": incident["title"],
        "service": incident["service"],
        "assignees": [each["assignee"] for each in incident["assignments"]],
        "escalation_policy": incident["escalation_policy"],
        "teams": [],
        "priority": {"id": "PPRIO01", "type": "priority_reference", "summary": "P1"},
        "urgency": incident["urgency"],
        "conference_bridge": None,
        "resolve_reason": None,
    }
    at = world.paged_at if state == "firing" else world.now()
    return {
        "event": {
            "id": f"01{salt(incident['id'], event):020d}",
            "event_type": f"incident.{event}",
            "resource_type": "incident",
            "occurred_at": stamp(at),
            "agent": None,
            "client": None,
            "data": data,
        }
    }
