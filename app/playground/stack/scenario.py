"""What a scenario is: one incident told as effects on figures, failures of requests, changes and notices.

Everything a system of the stack answers is derived from these, so all of them tell one story. Times are
seconds after the onset; before it they are negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from app.investigations.evidence import CauseKind

Quantity = Literal["rps", "latency", "cpu", "memory", "pool", "queue"]
Level = Literal["debug", "info", "warn", "error"]


@dataclass(frozen=True)
class Effect:
    """From `at` on a quantity of a service grows to `factor` times its usual, over `ramp` seconds.

    `of` limits it to routes, pools or queues of those names; empty means all.
    """

    service: str
    quantity: Quantity
    factor: float
    of: tuple[str, ...] = ()
    at: float = 0
    ramp: float = 60


@dataclass(frozen=True)
class Failure:
    """How requests to a route fail: a `share` of them, with a status, after about `seconds`.

    `error` is what the failing span says, `lines` what the service logs about it. `through` names the
    failure of the callee that causes this one: its spans and lines hang below, `attempts` times.
    """

    name: str
    service: str
    route: str
    status: str
    share: float
    seconds: float
    error: str
    lines: tuple[str, ...]
    through: str | None = None
    attempts: int = 1
    callee: str | None = None
    """Who was called in vain when the callee itself never saw the request."""
    version: str | None = None
    """The version that fails; others do not."""
    at: float = 0
    ramp: float = 60


@dataclass(frozen=True)
class Notice:
    """A line a service logs by itself: once at `at`, or `every` so many seconds from then on."""

    service: str
    level: Level
    text: str
    at: float = 0
    every: float | None = None


@dataclass(frozen=True)
class Rollout:
    """A new version of a service, guilty or not."""

    service: str
    version: str
    at: float
    message: str
    author: str = "Jonas Weber"
    files: tuple[str, ...] = ()
    roll_seconds: float = 90


@dataclass(frozen=True)
class Happening:
    """An event Kubernetes tells; `kind` and `object_name` are what it is about, "" the service's pods."""

    service: str
    reason: str
    message: str
    at: float
    warning: bool = True
    kind: str = "Pod"
    object_name: str = ""
    count: int = 1


@dataclass(frozen=True)
class Before:
    """An incident of earlier days that PagerDuty remembers."""

    days_ago: float
    title: str
    resolution: str


@dataclass(frozen=True)
class Paging:
    """What pages: the rule and its words. `delay` is how long after the onset it fires."""

    rule: str
    service: str
    summary: str
    description: str
    severity: Literal["critical", "warning"] = "critical"
    delay: float = 180


@dataclass(frozen=True)
class Truth:
    """What an investigation ought to find; nothing of the stack ever says it."""

    statement: str
    kinds: tuple[CauseKind, ...]
    """The kinds a right answer may give, the most exact one first."""
    service: str
    must_find: tuple[str, ...]
    change: str | None = None
    """The guilty version; None when no change is to blame."""
    innocent: tuple[str, ...] = ()
    """Versions that only look guilty."""


@dataclass(frozen=True)
class Scenario:
    """One incident. `age` is how long ago it began when somebody starts it."""

    name: str
    title: str
    paging: Paging
    truth: Truth
    age: float = 420
    effects: tuple[Effect, ...] = ()
    failures: tuple[Failure, ...] = ()
    notices: tuple[Notice, ...] = ()
    rollouts: tuple[Rollout, ...] = ()
    happenings: tuple[Happening, ...] = ()
    before: tuple[Before, ...] = ()
    expiries: Mapping[str, float] = field(default_factory=dict)
    """Service → when the certificate of its host ends; others have weeks."""

    def failure(self, name: str) -> Failure:
        return next(each for each in self.failures if each.name == name)


def progress(seconds: float, at: float, ramp: float) -> float:
    """How far something that begins at `at` has come, 0–1; smooth at both ends."""
    if seconds <= at:
        return 0.0
    if seconds >= at + ramp:
        return 1.0
    part = (seconds - at) / ramp
    return part * part * (3 - 2 * part)
