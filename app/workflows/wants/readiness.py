"""The score card of a production readiness review: each line of the tier's standard, with its evidence."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.context.models import Service
from app.sources.prometheus import AlertRule
from app.workflows.facts import Asked, Found
from app.workflows.wants import pages
from app.workflows.wants.alerts import known_rules
from app.workflows.wants.answers import facts_of, known
from app.workflows.wants.dependencies import APART, line_about
from app.workflows.wants.reads import Reads, sources
from app.workflows.wants.rules import covers, is_burn_rate

Status = Literal["met", "stated", "open"]
MARKS: Mapping[str, str] = {"met": "✅ met", "stated": "🟡 stated", "open": "❌ open"}
LINK = re.compile(r"https?://\S+|\b[\w./-]+\.(?:md|ya?ml|json|pdf)\b")
NOTHING = re.compile(r"^(?:none|no|nothing|optional|any)\b", re.IGNORECASE)
WORDS: Mapping[str, tuple[str, ...]] = {
    "availability": ("answered", "availability"),
    "latency": ("under ", "latency", "p99"),
    "on call": ("rota", "on call"),
    "load test": ("load test",),
    "capacity": ("instances", "capacity"),
    "disaster": ("restore", "backup", "failover"),
    "releases": ("rollback", "release", "canary"),
    "review": ("readiness review", "reviewed"),
    "runbook": ("runbook",),
    "alerting": ("burn-rate", "pages for", "alert"),
}


@dataclass(frozen=True)
class Line:
    """One line of the standard. `stated` means that somebody wrote it without a proof."""

    matter: str
    asks: str
    status: Status
    evidence: str = ""

    def as_fact(self) -> dict[str, Any]:
        said = f"Found: {self.evidence}" if self.evidence else "I found nothing about it."
        return {
            "name": self.matter,
            "asks": self.asks,
            "status": MARKS[self.status],
            "evidence": self.evidence or "nothing found",
            "said": said,
        }


def lines_of(rows: Mapping[str, str], page: str, where: str, found: Mapping[str, Line]) -> list[Line]:
    """The card by the rows of a tier's table: what was found by looking, else what the blueprint says."""
    card = []
    for matter, asks in rows.items():
        if NOTHING.match(asks):
            continue
        word = next((each for each in WORDS if matter.lower().startswith(each)), matter.lower())
        below = pages.sentences(pages.section(page, word))[:2]
        said = pages.about(page, *WORDS.get(word, (word,))) or pages.short(" ".join(below))
        if word in ("availability", "slo as code"):
            said = pages.short("; ".join(pages.rows_about(pages.section(page, "slo"), ""))) or said
        card.append(found.get(matter.lower()) or _stated(matter, asks, said, where))
    return card


def _stated(matter: str, asks: str, said: str, where: str) -> Line:
    if not said:
        return Line(matter, asks, "open")
    quoted = f"“{said}” ({where})"
    return Line(matter, asks, "open" if pages.is_denied(said) else "stated", quoted)


def with_answers(card: Sequence[Mapping[str, Any]], answers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What people brought: a link is a proof, words alone are a statement, and what is planned is open."""
    found = []
    for each in card:
        said = answers.get(f"evidence[{each['name']}]")
        if said is None:
            found.append(dict(each))
            continue
        status: Status = "met" if LINK.search(said) else "open" if pages.is_denied(said) else "stated"
        found.append({**each, "status": MARKS[status], "evidence": said})
    return found


def score(card: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many lines have a proof; a line that is only stated is not signed."""
    count = {status: sum(each["status"] == mark for each in card) for status, mark in MARKS.items()}
    verdict = "ready to be signed" if card and count["met"] == len(card) else "not ready"
    if card and count["open"] == 0 and verdict == "not ready":
        verdict = "ready once what is only stated has a link behind it"
    return {
        "lines": list(card),
        "met": count["met"],
        "stated": count["stated"],
        "open": count["open"],
        "total": len(card),
        "verdict": verdict,
        "names": [each["name"] for each in card if each["status"] == MARKS["open"]],
        # Nobody is asked for exceptions where nothing is open.
        **({"exception": "none needed"} if not count["open"] else {}),
    }


@dataclass(frozen=True)
class Readiness:
    """The wants `readiness` and `score`."""

    reads: Reads

    async def readiness(self, asked: Asked) -> Found:
        service = self.reads.service(asked)
        if service is None:
            return Found({"lines": [], "open": [], "checklist": []})
        standard, tier = await self.reads.standard(asked, service)
        page, blueprint = self.reads.page(service)
        alerts = await known_rules(self.reads, service)
        where = (blueprint.url or blueprint.path) if blueprint else "no blueprint"
        found = {
            each.matter.lower(): each for each in await self._looked(service, standard.rows, alerts.rules)
        }
        card = [each.as_fact() for each in lines_of(standard.rows, page, where, found)]
        untold = None if tier else f"{service.name} has no tier in the catalog, so no standard."
        value = {
            "lines": card,
            "open": [each for each in card if each["status"] == MARKS["open"]],
            "checklist": [each.replace("\n", " ") for each in standard.checklist],
        }
        return Found(known(value), sources(tier, blueprint), untold or alerts.notice)

    async def score(self, asked: Asked) -> Found:
        """After people brought what could not be found."""
        return Found(score(with_answers(facts_of(asked, "readiness").get("lines", []), asked.answers)))

    async def _looked(
        self, service: Service, rows: Mapping[str, str], rules: Sequence[AlertRule]
    ) -> list[Line]:
        """What is found by looking rather than by reading what somebody says."""
        found = []
        blueprints, catalog = self.reads.blueprints(), self.reads.blueprints().catalog
        page, _ = self.reads.page(service)
        # What a topic or a queue stands between is not waited for.
        needs = [n for n in catalog.depends_on(service.name) if not APART.search(line_about(page, n))]
        parties = {name: each.path for each in blueprints.contracts(service) for name in each.parties}
        if asks := rows.get("Contracts"):
            without = [name for name in needs if name not in parties]
            proof = ", ".join(blueprints.tree.url(parties[n]) or parties[n] for n in needs if n in parties)
            missing = f"none with {', '.join(without)}" if without else ""
            found.append(_line("Contracts", asks, not without, "; ".join(filter(None, (proof, missing)))))
        if asks := rows.get("Dependencies"):
            tiers = {name: each.tier for name in needs if (each := catalog.get(name))}
            lower = [n for n, t in tiers.items() if t is None or (service.tier and t > service.tier)]
            said = ", ".join(f"{name} tier {tier or 'unknown'}" for name, tier in tiers.items())
            found.append(_line("Dependencies", asks, not lower, f"{said or 'none'} (catalog)"))
        if asks := rows.get("Runbook"):
            links = ", ".join(service.runbooks)
            if links:
                found.append(Line("Runbook", asks, "met", links))
        if asks := rows.get("Alerting"):
            own = [each for each in rules if covers(each, service.name)]
            burn = [each.name for each in own if is_burn_rate(each)]
            if own:
                names = ", ".join(dict.fromkeys(each.name for each in own))
                said = f"alert rules: {names}" + ("" if burn else "; none on the burn of a budget")
                found.append(_line("Alerting", asks, bool(burn), said))
        return found


def _line(matter: str, asks: str, is_met: bool, evidence: str) -> Line:
    return Line(matter, asks, "met" if is_met else "open", evidence)
