"""What the sources said, ranked, made evidence of and put into words: the computing of a look. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from app.agent.prompt import facts_of
from app.investigations.brief import Brief, Past
from app.investigations.evidence import Finding, Gap, Ranking
from app.investigations.findings import findings
from app.investigations.first_brief import first_brief
from app.investigations.gather import PastTime, Seen
from app.investigations.gathered import Gathered, Runbook, restored, stored
from app.investigations.models import Investigation
from app.investigations.ranking import rank
from app.signals.models import LogLine, Series
from app.signals.templates import templates
from app.tools.masking import mask
from app.tools.recurrence import pattern

TELLS_OF_CAUSES = frozenset({"prometheus", "loki", "traces", "argocd", "github", "kubernetes"})
"""A gap of one of these could have hidden the cause."""
HEAD_OF_RUNBOOK = 1_500
SHOWN_BEFORE = 35 * 60
FEWEST_POINTS = 10


@dataclass(frozen=True)
class Looked:
    """What a look leaves for the thread and for the diagnosis."""

    gathered: Gathered
    symptom: Series | None = None
    on_call: str = ""

    def stored(self) -> dict[str, Any]:
        symptom = self.symptom
        return {
            "gathered": stored(self.gathered),
            "on_call": self.on_call,
            "symptom": symptom
            and {
                "name": symptom.name,
                "service": symptom.service,
                "unit": symptom.unit,
                "points": [list(point) for point in symptom.points],
            },
        }

    @classmethod
    def restored(cls, written: Mapping[str, Any]) -> Looked:
        kept = written["symptom"]
        symptom = kept and Series(
            kept["name"],
            tuple((at, value) for at, value in kept["points"]),
            kept["service"],
            {},
            kept["unit"],
        )
        return cls(restored(written["gathered"]), symptom, written["on_call"])


def loaded() -> None:
    """What is needed to work a look out, which a process that is new takes a third of a second to load."""
    templates([LogLine(0.0, "x")])


def worked_out(investigation: Investigation, seen: Seen, hosts: frozenset[str]) -> tuple[Looked, Brief]:
    """A look's evidence and its brief; `hosts` are those of the catalog, to which a brief may link."""
    looked = assembled(investigation, seen, rank(seen.observations))
    gathered = looked.gathered
    brief = first_brief(gathered, hosts=hosts | linked(gathered.findings), sources_down=down(gathered.gaps))
    return looked, brief


def assembled(investigation: Investigation, seen: Seen, ranking: Ranking) -> Looked:
    """Everything known when the sources have answered. Pure."""
    told, labels = findings(seen, ranking)
    gathered = Gathered(
        alert=investigation.alert,
        ranking=ranking,
        findings=told,
        gaps=seen.gaps,
        service=seen.service.name if seen.service else None,
        severity=investigation.severity,
        facts=facts_of(seen.service) if seen.service else {},
        changes=_near(seen, told),
        past=None if seen.past is None else past_of(seen.past, investigation.created_at),
        runbooks=tuple(
            Runbook(each.runbook.title, each.runbook.url, mask(each.runbook.text[:HEAD_OF_RUNBOOK]))
            for each in seen.runbooks
        ),
        tickets=seen.tickets,
        labels=labels,
    )
    return Looked(gathered, seen.observations.symptom, seen.on_call)


def _near(seen: Seen, told: tuple[Finding, ...]) -> tuple[Any, ...]:
    """The changes that became evidence: those of the services around."""
    shown = {each.at for each in told if each.kind == "change"}
    return tuple(each for each in seen.observations.changes if each.at in shown)


def linked(findings: tuple[Finding, ...]) -> frozenset[str]:
    """The hosts on which the evidence can be opened."""
    return frozenset(host for each in findings if each.link and (host := urlsplit(each.link).hostname))


def lately(symptom: Series, onset: float | None) -> Series:
    """What a chart shows: the time before the onset that lets one see what is usual, and all since."""
    since = [point for point in symptom.points if onset is None or point[0] >= onset - SHOWN_BEFORE]
    return replace(symptom, points=tuple(since)) if len(since) >= FEWEST_POINTS else symptom


def past_of(times: tuple[PastTime, ...], now: datetime) -> Past:
    dates = tuple(each.at.date().isoformat() for each in times)
    if not times:
        return Past()
    cause = next((f" The last time it was: {mask(each.cause)}" for each in times if each.cause), "")
    return Past(happened=True, dates=dates, pattern=pattern([each.at for each in times], now) + cause)


def down(gaps: tuple[Gap, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.source for each in gaps if each.source in TELLS_OF_CAUSES))
