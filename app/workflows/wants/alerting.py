"""A service's alert rules against the standard: what is wrong, what is missing, what to put instead."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.context.models import Source
from app.sources.prometheus import AlertRule
from app.workflows.facts import Asked, Found
from app.workflows.wants import slis
from app.workflows.wants.alerts import KnownRules, fired, known_rules
from app.workflows.wants.answers import facts_of, known
from app.workflows.wants.objective import PAGING_TIERS
from app.workflows.wants.reads import Reads, sources
from app.workflows.wants.rules import (
    SEVERITIES,
    Fired,
    covers,
    decision,
    is_burn_rate,
    is_paging,
    problems,
    tells,
)
from app.workflows.wants.saying import percent
from app.workflows.wants.slis import ALL, Slis, slis_of
from app.workflows.wants.standard import Standard

MOST_REVIEWED = 12
TARGET = 99.5
"""For a tier without one, so that there is something to alert on."""
BURNS = (("Fast", "1h", "5m", 13.44), ("", "6h", "30m", 5.6))
SLOW = ("Slow", "3d", "6h", 0.93)


@dataclass(frozen=True)
class Reviewed:
    """A rule with what is wrong with it."""

    rule: AlertRule
    said: tuple[str, ...]
    is_for_all: bool
    fired: Fired | None = None
    is_evaluated: bool | None = True
    """None where Prometheus could not be asked."""
    written: Source | None = None

    def as_fact(self) -> dict[str, Any]:
        return {
            "name": self.rule.name,
            "severity": self.rule.labels.get("severity", "none"),
            "scope": "all services" if self.is_for_all else "this service",
            "firings": self.firings,
            "where": self.where,
            "problems": "; ".join(self.said) or "none",
            "decision": decision(list(self.said), self.rule),
            "query": self.rule.query,
            "for": f"{self.rule.seconds:.0f}s" if self.rule.seconds else None,
        }

    @property
    def firings(self) -> str:
        if self.fired is not None:
            return f"began {self.fired.times} times in {self.fired.days:.0f} days"
        if self.is_evaluated is None:
            return "not known"
        return "did not fire" if self.is_evaluated else "not in force: Prometheus does not evaluate it"

    @property
    def where(self) -> str:
        if self.written is None:
            return "not found in the repos"
        return f"[{self.written.path}]({self.written.url})" if self.written.url else self.written.path


def reviewed(alerts: KnownRules, service: str, history: Mapping[str, Fired]) -> list[Reviewed]:
    """The rules that are about a service, its own first."""
    found = []
    for each in alerts.rules:
        if (scope := covers(each, service)) is not None:
            was = history.get(each.name)
            is_evaluated = None if alerts.evaluated is None else each.name in alerts.evaluated
            said = tuple(problems(each, was))
            where = alerts.written.get(each.name)
            found.append(Reviewed(each, said, scope == "all", was, is_evaluated, where))
    return sorted(found, key=lambda each: each.is_for_all)


def missing(
    service: str, standard: Standard, rules: Sequence[AlertRule], measures: Slis
) -> list[dict[str, Any]]:
    """What the tier asks for and no rule of the service does, each as the rule to add."""
    own = [each for each in rules if covers(each, service)]
    burning = [each for each in own if is_burn_rate(each)]
    target = standard.availability or TARGET
    requests = slis.requests_of(measures, service, ALL)
    camel = "".join(part.capitalize() for part in re.findall(r"[A-Za-z0-9]+", service))
    found = []
    burns = (*BURNS, SLOW) if standard.tier in PAGING_TIERS else (SLOW,)
    for name, long, short, rate in burns:
        severity = "ticket" if name == "Slow" else "page"
        if any(is_paging(each) == (severity == "page") for each in burning):
            continue
        limit = f"{rate} * {round((100 - target) / 100, 6):g}"
        parts = (f"(\n{slis.bad_share(measures, requests, each)}\n) > {limit}" for each in (long, short))
        found.append(
            {
                "name": f"{camel}ErrorBudgetBurn{name}",
                "why": f"no {severity} on the burn of the error budget over {long} at {percent(target)}",
                "expr": "\nand\n".join(parts),
                "severity": severity,
                "summary": f"{service} will have spent its error budget before its 28 days are over"
                if name == "Slow"
                else f"{service} burns its 28-day error budget {rate:g} times too fast",
            }
        )
    if not any(tells(each, "absence") and covers(each, service) == "named" for each in own):
        valid = slis.filled(measures.availability.valid, requests)
        found.append(
            {
                "name": f"{camel}NotMeasured",
                "why": "nothing tells when its metrics are gone, and silence looks like health",
                "expr": f"absent_over_time({valid}[15m])",
                "severity": "ticket",
                "summary": f"No requests of {service} are measured: it is down, or its metrics are",
            }
        )
    return found


def repaired(rules: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rules that were to be repaired or demoted, with what the standard wants of them."""
    for each in rules:
        decided = answers.get(f"decision[{each['name']}]")
        if decided not in ("repair", "demote"):
            continue
        paging = each["severity"] not in ("ticket", "warning", "info", "none") and decided != "demote"
        for_all = each["scope"] == "all services"
        severity = each["severity"] if each["severity"] in SEVERITIES and decided == "repair" else None
        yield {
            "name": each["name"],
            "why": each["problems"],
            "expr": each["query"],
            "severity": severity or ("page" if paging else "ticket"),
            "summary": each["name"] + (" of {{ $labels.service }}" if for_all else ""),
            "for": each["for"],
            "for_all": for_all or None,
            "old": True,
        }


@dataclass(frozen=True)
class Alerting:
    """The wants `review` and `rules`."""

    reads: Reads

    async def review(self, asked: Asked) -> Found:
        """What there is, what is wrong with it, and what is missing."""
        if asked.service is None:
            return Found()
        service = self.reads.service(asked)
        standard, tier = await self.reads.standard(asked, service)
        alerts = await known_rules(self.reads, service)
        history = await fired(self.reads)
        found = [each.as_fact() for each in reviewed(alerts, asked.service, history)][:MOST_REVIEWED]
        measures = slis_of(await self.reads.knowledge(asked.revision))
        lacking = missing(asked.service, standard, alerts.rules, measures)
        value = {
            "rules": found,
            "wrong": [each for each in found if each["problems"] != "none"],
            "missing": lacking,
            "names": [each["name"] for each in lacking],
            "said": "\n".join(f"- {each['name']}: {each['why']}" for each in lacking) or "- nothing",
            "asks": standard.rows.get("Alerting"),
        }
        return Found(known(value), sources(tier, *dict.fromkeys(alerts.written.values())), alerts.notice)

    async def rules(self, asked: Asked) -> Found:
        """The rules to hand over, by what was decided."""
        review = facts_of(asked, "review")
        wanted = [str(each).lower() for each in asked.answers.get("add") or []]
        added = [each for each in review.get("missing", []) if each["name"].lower() in wanted]
        made = [*added, *repaired(review.get("wrong", []), asked.answers)]
        return Found(
            {
                "rules": [known(each) for each in made],
                "count": len(made),
                "left": [each for each in review.get("missing", []) if each not in added],
            }
        )
