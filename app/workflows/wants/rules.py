"""What alert rules are about, and what is wrong with them by `standards/alerting.md`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from app.sources.prometheus import AlertRule

Covers = Literal["named", "all"]
SEVERITIES = ("page", "ticket")
PAGING = ("page", "critical", "emergency", "p1", "sev1", "high")
CAUSES = re.compile(
    r"\b(?:cpu|memory|mem|heap|gc|garbage|goroutines|threads|load\d*|restarts?|oom|pods?|nodes?|replicas?)"
    r"(?:\b|_)|_(?:cpu|memory|gc|restarts?|threads)_",
    re.IGNORECASE,
)
LIMITS = re.compile(r"disk|filesystem|certificate|cert|tls|expir|quota|connections|pool|predict_linear", re.I)
WINDOW = re.compile(r"\[(\d+[smhdw])")
SYMPTOMS = {
    "errors": re.compile(r"5\.\.|5xx|error|fail|availability|status|code", re.I),
    "latency": re.compile(r"latency|duration|seconds_bucket|histogram_quantile|slow", re.I),
    "absence": re.compile(r"\babsent(?:_over_time)?\s*\(|\bup\b"),
}


def covers(rule: AlertRule, service: str) -> Covers | None:
    """Whether a rule is about a service: it names it, or is about every service there is."""
    if rule.labels.get("service") == service or _matches(rule.query, service):
        return "named"
    if rule.labels.get("service") or re.search(r"""\b(?:service|job|app)\s*=~?\s*["']""", rule.query):
        return None
    return "all"


def _matches(query: str, service: str) -> bool:
    for sign, said in re.findall(r"""\b(?:service|service_name|job|app)\s*(=~?)\s*["']([^"']*)["']""", query):
        if said == service or (sign == "=~" and service in said.split("|")):
            return True
    return False


def is_burn_rate(rule: AlertRule) -> bool:
    """An alert on how fast an error budget burns: by its name, or by two windows of one expression."""
    return "burn" in f"{rule.name} {rule.query}".lower() or len(set(WINDOW.findall(rule.query))) > 1


def tells(rule: AlertRule, symptom: str) -> bool:
    return bool(SYMPTOMS[symptom].search(f"{rule.name} {rule.query}"))


def is_paging(rule: AlertRule) -> bool:
    return rule.labels.get("severity", "").lower() in PAGING


@dataclass(frozen=True)
class Fired:
    """How often an alert began in `days`, and how long it lasted in the middle (seconds)."""

    times: int
    lasted: float
    days: float

    @property
    def a_week(self) -> float:
        return 7 * self.times / self.days if self.days else 0.0


def problems(rule: AlertRule, fired: Fired | None) -> Iterator[str]:
    """What the standard would change about a rule."""
    text = f"{rule.name} {rule.query}"
    if is_paging(rule) and CAUSES.search(text) and not LIMITS.search(text):
        yield "it pages on a cause, not on what users feel"
    if fired is not None and fired.a_week > 2:
        yield f"it is noisy: it began {fired.times} times in {fired.days:.0f} days"
    if fired is not None and fired.times > 2 and fired.lasted < 600:
        yield f"it flaps: it is mostly over within {max(fired.lasted / 60, 1):.0f} minutes"
    severity = rule.labels.get("severity")
    if severity not in SEVERITIES:
        yield f"its severity is {severity}, not page or ticket" if severity else "it has no severity"
    if not rule.annotations.get("runbook_url"):
        yield "it has no runbook_url"
    missing = [name for name in ("service", "tier") if name not in rule.labels and not _keeps(rule, name)]
    if missing:
        yield f"it has no label {' and '.join(missing)}"


def _keeps(rule: AlertRule, label: str) -> bool:
    """Whether the expression's own result has that label."""
    grouped = re.findall(r"\bby\s*\(([^)]*)\)", rule.query)
    return any(label in re.split(r"[\s,]+", each) for each in grouped) or (not grouped and label == "service")


Decision = Literal["keep", "repair", "demote", "delete"]


def decision(said: list[str], rule: AlertRule) -> Decision:
    """What to propose for a rule with these problems."""
    if any("cause" in each for each in said):
        return "demote"
    if any("flaps" in each or "noisy" in each for each in said):
        return "repair" if is_paging(rule) else "delete"
    return "repair" if said else "keep"
