"""Evidence: findings with an id, the gaps beside them, and the frozen inputs the ranking works on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.signals.models import Change, ClusterEvent, LogLine, Series, Span

FindingKind = Literal[
    "symptom",
    "metric",
    "log",
    "trace",
    "change",
    "cluster",
    "ops_page",
    "mcp",
    "past_incident",
    "runbook",
    "service",
    "on_call",
]
CauseKind = Literal["change", "dependency", "saturation", "traffic", "certificate", "platform", "service"]
Verdict = Literal["cause", "none_of_the_changes", "unknown"]


@dataclass(frozen=True)
class Finding:
    """One piece of evidence: one sentence, and all one needs to check it oneself.

    `label` is E1, E2 … within an investigation; `query` is exactly what was asked of `source`; times are
    seconds since the epoch; `link` opens the evidence in the source's own page.
    """

    label: str
    kind: FindingKind
    source: str
    statement: str
    service: str | None = None
    query: str | None = None
    window_start: float | None = None
    window_end: float | None = None
    at: float | None = None
    link: str | None = None


@dataclass(frozen=True)
class Gap:
    """What could not be looked at, and why, in words for the reader."""

    source: str
    reason: str


@dataclass(frozen=True)
class Observations:
    """Everything that was seen, frozen: the input of `rank`.

    `alerted_at` is the alert's own time, which is late by minutes as a rule. `service` is the node that
    pages, `symptom` the series it pages on where known (also among `series`). `depends_on` maps a service
    to those it calls; services not in it are leaves. `sources_asked` names the kinds of sources that
    answered, even with nothing: the absence of deploys means something only if deploys were looked at.
    """

    service: str | None
    alerted_at: float
    title: str = ""
    symptom: Series | None = None
    series: tuple[Series, ...] = ()
    logs: tuple[LogLine, ...] = ()
    spans: tuple[Span, ...] = ()
    changes: tuple[Change, ...] = ()
    events: tuple[ClusterEvent, ...] = ()
    depends_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources_asked: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Reason:
    """One point for or against a cause: the sentence, and what was seen (shown as evidence)."""

    text: str
    weight: float
    service: str | None = None
    seen: str | None = None
    """Which observation it rests on: `series:<service>/<name>`, `change:<id>`, `log:<service>/<template>`,
    `span:<trace>/<span>`, `event:<kind>/<name>`."""


@dataclass(frozen=True)
class Cause:
    """A candidate: what, where, how likely (0–1), with the reasons on both sides."""

    kind: CauseKind
    service: str | None
    statement: str
    score: float
    change_id: str | None = None
    reasons_for: tuple[Reason, ...] = ()
    reasons_against: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Ranking:
    """The deterministic answer: causes, best first, and how far to trust the first one.

    `verdict` is `cause` when a change or a component stands out, `none_of_the_changes` when something else
    than a change explains the onset (the first cause says what), `unknown` when nothing does.
    `services` are all candidate services in order of suspicion (for a walk along dependencies).
    """

    onset: float | None
    verdict: Verdict
    confidence: float
    causes: tuple[Cause, ...] = ()
    services: tuple[str, ...] = ()
    impact: tuple[str, ...] = ()
    """Services that suffer because of the first one, nearest first."""
