"""What a webhook says, whatever its source: one `Alert` for each thing that fires, changes or is over."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer

from app.frozen import Frozen

LONGEST_TITLE = 1000
Severity = Literal["P1", "P2", "P3", "P4", "P5"]
AlertStatus = Literal["firing", "acknowledged", "resolved"]
Texts = Annotated[
    Mapping[str, str],
    AfterValidator(lambda value: MappingProxyType(dict(value))),
    PlainSerializer(dict, return_type=dict[str, str]),
]


class Link(Frozen):
    """An address somebody may open: the source's page of the incident, a dashboard, a runbook."""

    title: str
    url: str


class Alert(Frozen):
    """One alert, normalised. All of its text is data from outside and may be hostile.

    `incident_key` is what the source deduplicates on (PagerDuty: incident id; Alertmanager and Grafana:
    `groupKey`; others: their incident or condition id). `severity` is None when the source names none.
    `service` is the name the source gives, not yet looked up in the catalog. `name` is the alert rule's
    own name (`HighErrorRate`), by which a runbook is found. `note` is what a human wrote on resolving.
    """

    source: str
    incident_key: str = Field(min_length=1, max_length=1000)
    title: str = Field(max_length=LONGEST_TITLE)
    status: AlertStatus = "firing"
    name: str | None = None
    service: str | None = None
    severity: Severity | None = None
    started_at: datetime
    labels: Texts = Field(default_factory=lambda: MappingProxyType({}))
    annotations: Texts = Field(default_factory=lambda: MappingProxyType({}))
    links: tuple[Link, ...] = ()
    note: str | None = None
