"""The evidence brief without a model: what was seen, in sentences an engineer can read at 2 AM.

Nothing is invented: every sentence comes from a finding, the ranking, the alert or history, and what is not
known is said to be not known. Equal input gives an equal brief.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from app.investigations.advice import next_steps, onset_of, options
from app.investigations.brief import MOST_EVIDENCE, Brief, Cited, Past, Rejected
from app.investigations.checks import MOST_FOR_CAUSE, NOT_ESTABLISHED, checked, level_of
from app.investigations.evidence import Cause, Finding, FindingKind, Reason
from app.investigations.gathered import SUPPORTS, Gathered, Runbook
from app.investigations.times import clock_of, day_and_clock, lasting

MOST_SYMPTOMS = 2
MOST_SUFFERING = 4
ALTERNATIVES = 3
LATE_SECONDS = 60
"""From how much on it is worth a word that the alert came after the onset."""

TELLING: tuple[FindingKind, ...] = (
    "symptom",
    "change",
    "metric",
    "log",
    "trace",
    "cluster",
    "ops_page",
    "mcp",
    "past_incident",
    "runbook",
    "on_call",
    "service",
)
"""Kinds of findings, the most telling first, for those that no cause cites."""

BACKGROUND: frozenset[FindingKind] = frozenset({"service", "on_call"})
"""Who and what a service is: no evidence of anything that happened."""


def first_brief(
    gathered: Gathered, *, hosts: frozenset[str] = frozenset(), sources_down: tuple[str, ...] = ()
) -> Brief:
    """The brief of the evidence core, already held to the rules of `checked` (for `hosts` and
    `sources_down` see there)."""
    cause = _cause(gathered)
    impact = _impact(gathered)
    service = named_service(gathered)
    confidence = gathered.ranking.confidence if gathered.ranking.verdict != "unknown" else 0.0
    told = Brief(
        headline=headline(gathered),
        recurrence=_recurrence(gathered.past),
        urgency=_urgency(gathered),
        status="resolved" if gathered.alert.status == "resolved" else "ongoing",
        impact=impact,
        since=since(gathered),
        likely_cause=cause,
        confidence=min(max(confidence, 0.0), 1.0),
        confidence_level=level_of(confidence),
        alternatives=tuple(_alternatives(gathered)),
        evidence=_evidence(gathered, cause, impact),
        next_steps=next_steps(gathered, service),
        options=options(gathered, service),
        before=gathered.past or Past(),
        tickets=gathered.tickets,
        follow_up=_follow_up(gathered),
        runbooks=tuple(map(_runbook, gathered.runbooks)),
    )
    return checked(
        told,
        findings=gathered.findings,
        gaps=gathered.gaps,
        sources_down=sources_down,
        hosts=hosts,
        past=gathered.past,
    )[0]


def headline(gathered: Gathered) -> str:
    """Service, symptom, since when: what is known before any cause is."""
    service, title = named_service(gathered), gathered.alert.title.strip() or gathered.alert.name or "alert"
    named = title if service is None or service.lower() in title.lower() else f"{service}: {title}"
    return f"{named}, since {clock_of(onset_of(gathered))}"


def named_service(gathered: Gathered) -> str | None:
    """The catalog's name for it, else the alert's own; None when the alert names none."""
    return gathered.service or gathered.alert.service


def since(gathered: Gathered) -> str:
    alerted = gathered.alert.started_at.timestamp()
    onset = gathered.ranking.onset
    if onset is None:
        return f"{day_and_clock(alerted)}, the time of the alert; the data does not show when it began."
    late = alerted - onset
    told = f"; the alert came {lasting(late)} later" if late >= LATE_SECONDS else ""
    return f"{day_and_clock(onset)}, as the data shows{told}."


def _cause(gathered: Gathered) -> Cited:
    ranking = gathered.ranking
    if ranking.verdict == "unknown" or not ranking.causes:
        return Cited(text=f"{NOT_ESTABLISHED} {_why_open(gathered)}")
    first = ranking.causes[0]
    labels = gathered.evidence_of(first)[:MOST_FOR_CAUSE]
    said = [_sentence(first.statement)]
    if first.reasons_for:
        said.append(_because("For it", first.reasons_for))
    if ranking.verdict == "none_of_the_changes" and gathered.changes:
        said.append("None of the changes in the window explains it.")
    return Cited(text=" ".join(said), evidence=labels)


def _why_open(gathered: Gathered) -> str:
    if gathered.ranking.causes:
        return "Several causes are possible and none stands out; they are listed below."
    if not any(each.kind in SUPPORTS for each in gathered.findings):
        return "No source showed anything about it."
    return "Nothing that was seen explains it."


def _impact(gathered: Gathered) -> Cited:
    symptoms = [each for each in gathered.findings if each.kind == "symptom"][:MOST_SYMPTOMS]
    if not symptoms:
        return Cited(text=f"{NOT_ESTABLISHED} No source measured it; the alert alone says so.")
    said = [_sentence(each.statement) for each in symptoms]
    others = [each for each in gathered.ranking.impact if each != named_service(gathered)][:MOST_SUFFERING]
    if others:
        said.append(f"Also affected: {', '.join(others)}.")
    return Cited(text=" ".join(said), evidence=tuple(each.label for each in symptoms))


def _alternatives(gathered: Gathered) -> Iterator[Rejected]:
    ranking = gathered.ranking
    is_open = ranking.verdict == "unknown"
    rest = ranking.causes[:ALTERNATIVES] if is_open else ranking.causes[1 : ALTERNATIVES + 1]
    for cause in rest:
        yield Rejected(cause=cause.statement.rstrip("."), why=_why_less(cause, is_open=is_open))


def _why_less(cause: Cause, *, is_open: bool) -> str:
    """The reasons on both sides: who decides otherwise should know them."""
    told = [
        _because(name, reasons)
        for name, reasons in (("Against it", cause.reasons_against), ("For it", cause.reasons_for))
        if reasons
    ]
    if not cause.reasons_against:
        told.append("It is possible, but not enough speaks for it." if is_open else "Less speaks for it.")
    return " ".join(told)


def _because(name: str, reasons: tuple[Reason, ...]) -> str:
    """“For it: errors began 60 s after it; …”: the two weightiest reasons."""
    return _sentence(f"{name}: {'; '.join(each.text.strip().rstrip('.') for each in _strongest(reasons, 2))}")


def _strongest(reasons: tuple[Reason, ...], most: int) -> list[Reason]:
    return sorted(reasons, key=lambda reason: -abs(reason.weight))[:most]


def _evidence(gathered: Gathered, cause: Cited, impact: Cited) -> tuple[str, ...]:
    """What is cited, then the most telling of the rest; what only says where to look comes last."""

    def rank(each: Finding) -> int:
        return TELLING.index(each.kind)

    rest = (each.label for each in sorted(gathered.findings, key=rank) if each.kind not in BACKGROUND)
    return tuple(dict.fromkeys((*cause.evidence, *impact.evidence, *rest)))[:MOST_EVIDENCE]


def _recurrence(past: Past | None) -> Literal["new", "recurring", "unknown"]:
    if past is None:
        return "unknown"
    return "recurring" if past.happened else "new"


def _urgency(gathered: Gathered) -> Literal["act now", "act today", "watch"]:
    if gathered.alert.status == "resolved" or gathered.severity in ("P4", "P5"):
        return "watch"
    return "act today" if gathered.severity == "P3" else "act now"


def _follow_up(gathered: Gathered) -> str:
    times = len(gathered.past.dates) if gathered.past else 0
    if times:
        return f"It is the {_ordinal(times + 1)} time on record: a lasting repair may be due."
    if not gathered.runbooks:
        return "There is no runbook for this alert: write down what helped."
    return ""


def _ordinal(number: int) -> str:
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(number % 10 if number % 100 not in (11, 12, 13) else 0, "th")
    return f"{number}{suffix}"


def _runbook(runbook: Runbook) -> str:
    title = runbook.title.replace("[", "(").replace("]", ")")
    return f"[{title}]({runbook.link})" if runbook.link else title


def _sentence(text: str) -> str:
    text = text.strip()
    return text if not text or text[-1] in ".!?…" else text + "."
