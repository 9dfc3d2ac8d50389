"""What a runbook can be drafted from: the alert, runbooks like it, the blueprint, earlier incidents."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.context.models import Service, Source
from app.context.runbooks import FoundRunbook
from app.errors import AgentError
from app.sources.prometheus import AlertRule
from app.workflows.facts import Asked, Found
from app.workflows.wants import pages
from app.workflows.wants.alerts import known_rules
from app.workflows.wants.answers import known
from app.workflows.wants.reads import Reads, sources
from app.workflows.wants.rules import covers

KINDS: Mapping[str, re.Pattern[str]] = {
    "certificate": re.compile(r"cert|tls|expir", re.I),
    "saturation": re.compile(r"pool|queue|disk|memory|cpu|connections|full|exhaust|backlog|lag|limit", re.I),
    "latency": re.compile(r"latency|slow|duration|p9\d|timeout", re.I),
    "absence": re.compile(r"absent|down\b|missing|notmeasured|\bup\b|unreachable", re.I),
    "errors": re.compile(r"error|5xx|fail|availability|burn", re.I),
}
BY_KIND: Mapping[str, tuple[str, str]] = {
    "errors": (
        "Which switch, breaker or fallback takes the failing part out?",
        "Mitigating comes before finding the cause.",
    ),
    "latency": (
        "What can be shed, switched off or scaled when it is slow?",
        "Slowness takes callers along within minutes.",
    ),
    "saturation": (
        "How is more of it made available, and what is the hard limit?",
        "Raising a limit at night needs a number.",
    ),
    "certificate": (
        "Who renews the certificate, with what, and where is it installed?",
        "There is no symptom until it is over.",
    ),
    "absence": (
        "How do you tell that it is down, and not only unmeasured?",
        "A silent exporter looks like an outage.",
    ),
    "dependency": (
        "What does the service do without the dependency, and who switches that?",
        "You cannot repair theirs.",
    ),
}
MOST_PAST = 3
LABEL = re.compile(r"\{\{-? *\$labels\.(?:service|job|app|service_name) *-?\}\}")
PLACEHOLDER = re.compile(r"\{\{.{0,200}?\}\}")


def kind_of(alert: str, query: str = "") -> str | None:
    """What an alert is about, by its name first and by its expression else."""
    for said in (alert, query):
        if found := next((kind for kind, pattern in KINDS.items() if pattern.search(said)), None):
            return found
    return None


def in_words(annotation: str, service: str | None) -> str:
    """An annotation as people read it: Prometheus fills its placeholders in only when it fires."""
    named = LABEL.sub(service or "…", annotation)
    return PLACEHOLDER.sub("…", named).strip()


@dataclass(frozen=True)
class RunbookMaterial:
    """The wants `alert` (which ones there are) and `material` (what is known of the one that was named)."""

    reads: Reads

    async def alerts(self, asked: Asked) -> Found:
        if asked.service is None:
            return Found()
        known_ones = await known_rules(self.reads, self.reads.service(asked))
        own = [each for each in known_ones.rules if covers(each, asked.service)]
        own.sort(key=lambda each: (each.state != "firing", covers(each, asked.service or "") != "named"))
        names = list(dict.fromkeys(each.name for each in own))[:20]
        said = f"Its alerts: {', '.join(names)}." if names else ""
        value = {"names": names or None, "proposed": next(iter(names), None), "said": said}
        return Found(known(value), notice=known_ones.notice)

    async def classified(self, asked: Asked) -> Found:
        """What kind of alert was named, where its name tells."""
        name = str(asked.answers.get("alert", ""))
        rule = await self._rule(asked, name)
        return Found(known({"kind": kind_of(name, rule.query if rule else "")}))

    async def material(self, asked: Asked) -> Found:
        service = self.reads.service(asked)
        alert = str(asked.answers.get("alert") or "the alert")
        rule = await self._rule(asked, alert)
        kind = str(asked.answers.get("kind") or kind_of(alert, rule.query if rule else "") or "errors")
        page, blueprint = self.reads.page(service)
        alike = await self._alike(alert, kind, asked.service)
        text = alike.runbook.text if alike else ""
        said = {
            name: in_words(text, asked.service) for name, text in (rule.annotations if rule else {}).items()
        }
        asks, why = BY_KIND.get(kind, BY_KIND["errors"])
        value = {
            "asks": asks,
            "asks_why": why,
            "expr": rule.query if rule else None,
            "severity": rule.labels.get("severity") if rule else None,
            "means": said.get("summary") or pages.opening(text) or said.get("description") or None,
            "harm": said.get("impact") or said.get("description") or None,
            "real": pages.section(text, "is it real", "impact", "symptom") or None,
            "narrow": pages.section(text, "narrow", "check first", "diagnos", "triage") or None,
            "mitigate": pages.section(text, "mitigat") or None,
            "over": pages.section(text, "over when", "verif", "recovered") or None,
            "rollback": pages.about(page, "rollback", "roll back") or None,
            "on_call": pages.about(page, "rota", "on call", "secondary") or None,
            "needs": pages.section(page, "dependenc") or None,
            "past": await self._past(asked.service, alert),
            "sources": _cited(blueprint, alike, service),
        }
        where = (
            Source(kind="runbook", title=alike.runbook.title, path=alike.runbook.path, url=alike.runbook.url)
            if alike
            else None
        )
        return Found(known(value), sources(blueprint, where))

    async def _rule(self, asked: Asked, name: str) -> AlertRule | None:
        rules = (await known_rules(self.reads, self.reads.service(asked))).rules
        return next((each for each in rules if each.name == name), None)

    async def _alike(self, alert: str, kind: str, service: str | None) -> FoundRunbook | None:
        if self.reads.runbooks is None:
            return None
        found = (await self.reads.runbooks()).find(alert, kind, service=service, limit=5)
        return next((each for each in found if each.runbook.text), None)

    async def _past(self, service: str | None, alert: str) -> list[dict[str, str]]:
        if self.reads.past is None:
            return []
        try:
            found = await self.reads.past(service, alert)
        except AgentError:
            return []  # the draft goes without them
        return [
            known({"name": f"{at:%Y-%m-%d}: {title}", "cause": cause or "cause unknown", "link": link})
            for at, title, cause, link in found[:MOST_PAST]
        ]


def _cited(blueprint: Source | None, alike: FoundRunbook | None, service: Service | None) -> list[str]:
    """What the draft is made of, for its last section."""
    cited: Sequence[str | None] = (
        f"Blueprint: {blueprint.url or blueprint.path}" if blueprint else None,
        f"Runbook like it: {alike.runbook.url or alike.runbook.path}" if alike else None,
        *(f"Dashboard: {each}" for each in (service.dashboards if service else ())),
    )
    return [each for each in cited if each]
