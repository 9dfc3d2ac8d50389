"""What the monitored systems say, as plain values: series, log lines, spans, changes, cluster events.

Times are seconds since the epoch in UTC. Everything that is computed from these is a pure function.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

COMMIT = re.compile(r"[0-9a-f]{32,64}")
ChangeKind = Literal["deploy", "commit", "flag", "config"]


@dataclass(frozen=True)
class Series:
    """One line of a chart: `points` are (time, value), ascending in time, without NaN or infinities.

    `name` says what is measured (`error_rate`, `latency_p99`, `cpu`); `unit` is `ratio`, `seconds`,
    `bytes`, `1/s`, `percent`, `count` or empty.
    """

    name: str
    points: tuple[tuple[float, float], ...]
    service: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    unit: str = ""


@dataclass(frozen=True)
class LogLine:
    """`level` is lower case (`debug`, `info`, `warn`, `error`, `fatal`) or empty when it is not known."""

    at: float
    text: str
    service: str | None = None
    level: str = ""
    trace_id: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Span:
    """One span of a trace. `parent_id` is None for the root."""

    trace_id: str
    span_id: str
    service: str
    name: str
    start: float
    duration_ms: float
    parent_id: str | None = None
    failed: bool = False
    error: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """Something people changed: a rollout, a commit, a flag, a piece of configuration.

    `id` is what a person would look it up by (a commit, a revision, a flag's name); `commits` are those a
    deploy brought; `diff` is the changed text where the source gives it, `files` the paths touched; `source`
    is the system that tells it.
    """

    kind: ChangeKind
    id: str
    at: float
    title: str
    service: str | None = None
    author: str | None = None
    link: str | None = None
    commits: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    diff: str | None = None
    source: str = "argocd"

    @property
    def short_id(self) -> str:
        """The id as people write it: eight characters of a commit."""
        return self.id[:8] if COMMIT.fullmatch(self.id) else self.id


@dataclass(frozen=True)
class ClusterEvent:
    """A Kubernetes event or the state of an object that is not as it should be."""

    at: float
    kind: str
    name: str
    reason: str
    message: str
    service: str | None = None
    count: int = 1
    warning: bool = True
