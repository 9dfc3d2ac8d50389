"""A group of alerts as Alertmanager sends it, and Grafana after its model: one payload is one alert.

The group is what the source deduplicates on (`groupKey`), so it is the incident; its members are told in
the labels they share and in two annotations: how many there are (`alerts`) and what tells them apart
(`instances`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from app.investigations.alert import Alert, AlertStatus, Link, Severity
from app.web.webhooks.fields import PROSE, Fields
from app.web.webhooks.meaning import incident_key, links, moment, service_of, severity_of, title

STATUS: Mapping[str, AlertStatus] = {"firing": "firing", "resolved": "resolved"}

MOST_MEMBERS = 200
"""Members that are looked at; the others of a huge group are only counted."""

MOST_INSTANCES = 20


@dataclass(frozen=True)
class _Member:
    status: AlertStatus
    labels: dict[str, str]
    annotations: dict[str, str]
    started_at: datetime
    links: tuple[Link, ...]


def parse_group(source: str, group: Fields, now: datetime) -> Alert:
    """The one alert of a group.

    Raises:
        NotUnderstood: `groupKey`, `status` or `alerts` is missing, or a field has a wrong type.
    """
    status = group.one_of("status", STATUS)
    key = incident_key(group.text("groupKey", limit=PROSE * 4))
    found = group.children("alerts")
    members = [_member(each, now) for each in found[:MOST_MEMBERS]]
    telling = [each for each in members if each.status == status] or members
    more = _uncounted(group, found)
    alone = len(found) == 1
    labels = telling[0].labels if alone else group.texts("commonLabels")
    annotations = telling[0].annotations if alone else group.texts("commonAnnotations", PROSE)
    name = labels.get("alertname") or telling[0].labels.get("alertname")
    service = service_of(labels) or _usual_service(telling)
    return Alert(
        source=source,
        incident_key=key,
        title=_title(annotations, name or key, service, len(telling) + more),
        status=status,
        name=name,
        service=service,
        severity=severity_of(labels) or _worst(telling),
        started_at=min(each.started_at for each in telling),
        labels=labels,
        annotations={**annotations, **_about_members(members, labels, more)},
        links=telling[0].links + _group_links(source, group, annotations),
    )


def _member(alert: Fields, now: datetime) -> _Member:
    return _Member(
        status=alert.one_of("status", STATUS),
        labels=alert.texts("labels"),
        annotations=alert.texts("annotations", PROSE),
        started_at=moment(alert.raw("startsAt"), now),
        links=links(
            Alert_rule=alert.maybe("generatorURL"),
            Dashboard=alert.maybe("dashboardURL"),
            Panel=alert.maybe("panelURL"),
        ),
    )


def _usual_service(members: list[_Member]) -> str | None:
    """Of a group over several services: the one most members are about, of those the first."""
    counted = Counter(name for each in members if (name := service_of(each.labels)))
    return counted.most_common(1)[0][0] if counted else None


def _worst(members: list[_Member]) -> Severity | None:
    return min((level for each in members if (level := severity_of(each.labels))), default=None)


def _title(annotations: Mapping[str, str], name: str, service: str | None, count: int) -> str:
    said = annotations.get("summary") or annotations.get("title")
    text = said or (f"{name} on {service}" if service else name)
    return title(f"{text} ({count} alerts)" if count > 1 else text)


def _uncounted(group: Fields, found: list[Fields]) -> int:
    """Members beyond those that are looked at, and those the sender has left out."""
    truncated = group.maybe("truncatedAlerts") or ""
    left_out = int(truncated[:9]) if truncated.isascii() and truncated.isdigit() else 0
    return max(0, len(found) - MOST_MEMBERS) + left_out


def _about_members(members: list[_Member], shared: Mapping[str, str], more: int) -> dict[str, str]:
    if len(members) == 1 and not more:
        return {}
    firing = sum(each.status == "firing" for each in members)
    counts = [f"{firing} firing", f"{len(members) - firing} resolved"] + [f"{more} not shown"] * (more > 0)
    about = {"alerts": ", ".join(counts)}
    if apart := [text for each in members if (text := _apart(each, shared))]:
        rest = len(apart) - MOST_INSTANCES
        told = apart[:MOST_INSTANCES] + [f"and {rest} more"] * (rest > 0)
        about["instances"] = "; ".join(told)
    return about


def _apart(member: _Member, shared: Mapping[str, str]) -> str:
    """What tells a member from the others: `instance=db-1, zone=us-1`."""
    own = ", ".join(f"{name}={value}" for name, value in member.labels.items() if shared.get(name) != value)
    return own[:160] + (" (resolved)" if own and member.status == "resolved" else "")


def _group_links(source: str, group: Fields, annotations: Mapping[str, str]) -> tuple[Link, ...]:
    return links(
        Runbook=annotations.get("runbook_url") or annotations.get("runbook"),
        Dashboard=annotations.get("dashboard_url") or annotations.get("dashboard"),
        **{source.capitalize(): group.maybe("externalURL")},
    )
