"""What a look brought together, frozen: the input of the evidence brief, the digest and the checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from pydantic import TypeAdapter

from app.investigations.alert import Alert, Severity
from app.investigations.brief import Past
from app.investigations.evidence import Cause, Finding, FindingKind, Gap, Ranking, Reason
from app.signals.models import Change

MEASURED: frozenset[FindingKind] = frozenset({"symptom", "metric", "log", "trace", "change", "cluster"})
"""Kinds of findings that systems made for it have seen."""

SUPPORTS: frozenset[FindingKind] = MEASURED | {"ops_page", "mcp"}
"""Kinds of findings a cause can rest on; a runbook or a past incident says what may be, not what is."""

KINDS: Mapping[str, frozenset[FindingKind]] = MappingProxyType(
    {
        "series": frozenset({"symptom", "metric"}),
        "change": frozenset({"change"}),
        "log": frozenset({"log"}),
        "span": frozenset({"trace"}),
        "event": frozenset({"cluster"}),
    }
)
"""Which findings tell of an observation, by the first word of `Reason.seen`."""


@dataclass(frozen=True)
class Runbook:
    """A runbook that fits: its title, where it opens, and its first lines."""

    title: str
    link: str | None = None
    head: str = ""


@dataclass(frozen=True)
class Gathered:
    """Everything known when the sources have answered.

    `service` is the catalog's name (None when it is not known there), `facts` what the catalog says of it,
    by name (`tier`, `team`, `depends on`), as text. `past` is None when no history could be looked at,
    which is not the same as none. `labels` maps `Reason.seen` to a finding's label where gathering knows;
    what is not in it is matched by kind, service and name.
    """

    alert: Alert
    ranking: Ranking
    findings: tuple[Finding, ...] = ()
    gaps: tuple[Gap, ...] = ()
    service: str | None = None
    severity: Severity = "P3"
    facts: Mapping[str, str] = field(default_factory=dict)
    changes: tuple[Change, ...] = ()
    past: Past | None = None
    runbooks: tuple[Runbook, ...] = ()
    tickets: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    def cited(self, reason: Reason) -> str | None:
        """The label of the finding a reason rests on."""
        if reason.seen is None:
            return None
        if reason.seen in self.labels:
            return self.labels[reason.seen]
        kind, _, what = reason.seen.partition(":")
        fitting = [each for each in self.findings if each.kind in KINDS.get(kind, ())]
        return _label_of(what, reason.service, fitting)

    def evidence_of(self, cause: Cause) -> tuple[str, ...]:
        """The labels a cause rests on, the weightiest reason's first.

        Where no reason leads to a finding, those about the cause's own change or service stand for it.
        """
        supporting = [each for each in self.findings if each.kind in SUPPORTS]
        known = {each.label for each in supporting}
        reasons = sorted(cause.reasons_for, key=lambda reason: -reason.weight)
        cited = [label for each in reasons if (label := self.cited(each)) in known and label is not None]
        if not cited and cause.change_id:
            cited = [each.label for each in supporting if cause.change_id in each.statement]
        if not cited and cause.service:
            cited = [each.label for each in supporting if each.service == cause.service]
        return tuple(dict.fromkeys(cited))


def stored(gathered: Gathered) -> dict[str, Any]:
    """As plain JSON: the look ends in one process and the diagnosis begins in another."""
    written: dict[str, Any] = _adapter().dump_python(gathered, mode="json")
    return written


def restored(written: Mapping[str, Any]) -> Gathered:
    """What `stored` wrote."""
    return _adapter().validate_python(written)


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Gathered]:
    return TypeAdapter(Gathered)


def _label_of(what: str, service: str | None, findings: Sequence[Finding]) -> str | None:
    """The finding that names `what` (`<service>/<name>`, or an id), else the only one about that service."""
    owner, _, name = what.rpartition("/")
    of_service = [each for each in findings if each.service in (owner or service, service)]
    for each in (*of_service, *findings):
        if (name or what) in each.statement or what in each.statement:
            return each.label
    return of_service[0].label if len(of_service) == 1 and owner else None
