"""What is known of each thing a service depends on, and what could go wrong with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from app.context.models import Service, Source
from app.sources.prometheus import AlertRule
from app.workflows.facts import Asked, Found
from app.workflows.wants import pages
from app.workflows.wants.alerts import known_rules
from app.workflows.wants.answers import known
from app.workflows.wants.reads import Reads, sources
from app.workflows.wants.rules import covers, tells

MOST = 20
APART = re.compile(r"\b(?:topic|queue|event|async\w*|does not wait|do not wait|through the topic)\b", re.I)
DATA = "postgres|mysql|maria|mongo|redis|kafka|rabbit|elastic|memcache|s3|bucket|database|dynamo|cassandra"
STORE = re.compile(rf"\b(?:{DATA})\w*", re.I)


@dataclass(frozen=True)
class Papers:
    """What is written about a dependency: a line of the service's blueprint, the contract between the two,
    and the dependency's own page."""

    line: str = ""
    contract: str = ""
    page: str = ""
    source: Source | None = None


def others_in(page: str, names: Sequence[str]) -> tuple[str, ...]:
    """What a blueprint lists under its dependencies that the catalog does not, such as a database."""
    found = []
    for entry in pages.bullets(pages.section(page, "dependenc")):
        plain = re.sub(r"[*`_]", "", entry)
        name = re.split(r"[,.:;(]", plain)[0].strip()
        if name and not any(re.search(rf"\b{re.escape(each)}\b", plain) for each in names):
            found.append(name[:60])
    return tuple(dict.fromkeys(found))[:MOST]


def line_about(page: str, name: str) -> str:
    """The entry of a blueprint's dependencies that begins with a name."""
    entries = pages.bullets(pages.section(page, "dependenc"))
    plain = (re.sub(r"[*]", "", entry) for entry in entries)
    return pages.short(next((each for each in plain if each.lower().startswith(name.lower())), ""))


def analysed(
    service: str,
    name: str,
    papers: Papers,
    rules: Sequence[AlertRule],
    *,
    tier: int | None = None,
    theirs: int | None = None,
    in_catalog: bool = True,
    told: bool = True,
) -> dict[str, Any]:
    """One dependency: what is known of it, what to propose, and the gaps that can be seen from here.

    `told` says whether the alert rules could be read: what was not looked at is no gap.
    """
    apart = bool(APART.search(f"{papers.line} {papers.contract}"))
    detection = _detection(service, name, rules)
    gaps = list(_gaps(tier, theirs, papers, apart=apart, in_catalog=in_catalog))
    if told and not detection:
        gaps.append("no alert tells of it")
    mitigation = _agreed(papers.contract, "timeout", "retr", "idempot", "rate limit", "fallback")
    effect = _agreed(papers.contract, "without", "when down", "fails", "is down")
    down = pages.short(pages.section(papers.page, "when down", "when it is down"))
    without = pages.about(papers.line, "without", "do not wait", "refuses", "degrade")
    return known(
        {
            "name": name,
            "kind": "data store" if STORE.search(name) else f"tier {theirs}" if theirs else None,
            "coupling": "asynchronous" if apart else "synchronous, as far as is known",
            "said": papers.line or None,
            "contract": papers.source.url or papers.source.path if papers.source else None,
            "effect": effect or without or down or None,
            "mitigation": pages.short(mitigation or papers.line) or None,
            "detection": "; ".join(detection) or None,
            "gap": "; ".join(gaps) or "none that can be seen from here",
            "actions": [f"{name}: {each}" for each in map(_action, gaps) if each],
        }
    )


def _agreed(contract: str, *words: str) -> str:
    """What a contract says of a matter: in its table, else in its prose."""
    return "; ".join(pages.rows_about(contract, *words)) or pages.about(contract, *words)


def _detection(service: str, name: str, rules: Sequence[AlertRule]) -> list[str]:
    """The alerts that would tell: those that name the dependency, else those on what users feel."""
    named = name.lower()
    direct = [each.name for each in rules if covers(each, name) == "named" or named in each.query.lower()]
    if direct:
        return list(dict.fromkeys(direct))[:4]
    symptoms = [each for each in rules if tells(each, "errors") or tells(each, "latency")]
    felt = [each.name for each in symptoms if covers(each, service)]
    return [f"{each} (on what users of {service} feel)" for each in dict.fromkeys(felt)][:2]


def _gaps(
    tier: int | None, theirs: int | None, papers: Papers, *, apart: bool, in_catalog: bool
) -> Iterator[str]:
    if in_catalog and not papers.contract:
        yield "no contract"
    if not papers.line:
        yield "the blueprint does not say how it is used"
    if tier and theirs and theirs > tier and not apart:
        yield f"tier {theirs} below tier {tier}, without a fallback that is written down"
    if not apart and "timeout" not in papers.line.lower() and not _agreed(papers.contract, "timeout"):
        yield "no timeout is written down"


def _action(gap: str) -> str:
    if gap == "no contract":
        return "write a contract (standards/dependencies.md)"
    if gap.startswith("tier "):
        return "test a fallback, or raise its tier"
    return {
        "the blueprint does not say how it is used": "describe it in the blueprint",
        "no timeout is written down": "set a timeout and write it down",
        "no alert tells of it": "alert on the failures of its calls",
    }.get(gap, "")


@dataclass(frozen=True)
class Dependencies:
    """The wants `needs` (what there is) and `dependencies` (each of them, looked into)."""

    reads: Reads

    async def needs(self, asked: Asked) -> Found:
        service = self.reads.service(asked)
        if service is None:
            return Found()
        page, blueprint = self.reads.page(service)
        names = self.reads.blueprints().catalog.depends_on(service.name)
        others = list(others_in(page, names))
        said = ", ".join(names) if names else "nothing"
        return Found(
            known({"names": list(names), "said": said, "others": others or None}), sources(blueprint)
        )

    async def dependencies(self, asked: Asked) -> Found:
        """All that the catalog says and what was named beside it."""
        service = self.reads.service(asked)
        others = [str(each) for each in asked.answers.get("others") or []]
        if service is None:
            return Found({"all": [{"name": each} for each in others]})
        alerts = await known_rules(self.reads, service)
        catalog = self.reads.blueprints().catalog
        names = list(catalog.depends_on(service.name))
        found, papers = [], []
        for name in dict.fromkeys([*names, *others]):
            paper = self._papers(service, name)
            papers.append(paper.source)
            theirs = catalog.get(name)
            found.append(
                analysed(
                    service.name,
                    name,
                    paper,
                    alerts.rules,
                    tier=service.tier,
                    theirs=theirs.tier if theirs else None,
                    in_catalog=name in names,
                    told=alerts.is_told,
                )
            )
        actions = [action for each in found for action in each["actions"]]
        value = {"all": found[: 2 * MOST], "actions": actions[:MOST] or None}
        return Found(known(value), sources(*papers), alerts.notice)

    def _papers(self, service: Service, name: str) -> Papers:
        blueprints = self.reads.blueprints()
        page, blueprint = self.reads.page(service)
        other = blueprints.catalog.get(name)
        theirs, _ = self.reads.page(other)
        contract = next(
            (each for each in blueprints.contracts(service) if other and other.name in each.parties), None
        )
        text = blueprints.tree.files[contract.path] if contract else ""
        source = blueprints.source("contract", contract.path, contract.path) if contract else blueprint
        return Papers(line_about(page, name), text, theirs, source)
