"""Checks that do not trust whoever wrote a brief: what it cites, how sure it is, what it tells people to do.

After `checked` these hold for any brief: every label it cites exists; a cause without evidence is “Not
established.”; confidence is capped by what it rests on, and its word follows from its number; next steps
only look; remedies are options, safest first; no command, ping, image or foreign link is in it; every text
has a bounded length. Checking twice changes nothing more.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from app.investigations.brief import (
    MOST_EVIDENCE,
    MOST_STEPS,
    Brief,
    Cited,
    Confidence,
    Past,
    Rejected,
)
from app.investigations.cleaning import COMMAND_REMOVED, ROUNDS, clean
from app.investigations.evidence import Finding, Gap
from app.investigations.gathered import MEASURED, SUPPORTS
from app.investigations.steps import looking, safest_first

NOT_ESTABLISHED = "Not established."
NOT_MEASURED = "Not established: nothing that was looked at shows it."

HIGH, MEDIUM = 0.75, 0.45
THIN = 0.5
"""The most a cause may claim that rests on one finding, on one source, or on nothing that was measured."""
SOURCES_DOWN = 0.6
"""The most it may claim when sources that could have said otherwise were down."""
NO_CAUSE = 0.2
"""The most a brief may claim that names no cause."""

MOST_FOR_CAUSE = 4
"""Of the six labels of a brief, so that two are left for its impact."""
LONGEST_STEP = 300
MOST_OPTIONS = 4
MOST_ALTERNATIVES = 5
MOST_GAPS = 12
MOST_DATES = 10

_BRACKETED = re.compile(r" ?[\[(](?P<labels>E\d{1,4}(?:(?:,| and|;)? *E\d{1,4})*)[\])]")
_LABEL = re.compile(r"\bE\d{1,4}\b")
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?(?:Z|\+00:00)?)?")


def level_of(confidence: float) -> Confidence:
    return "high" if confidence >= HIGH else "medium" if confidence >= MEDIUM else "low"


def checked(
    brief: Brief,
    *,
    findings: Collection[Finding],
    gaps: Collection[Gap] = (),
    sources_down: Collection[str] = (),
    hosts: frozenset[str] = frozenset(),
    past: Past | None = None,
    plain_headline: str = "",
) -> tuple[Brief, tuple[str, ...]]:
    """The brief as it may be shown, and what was changed, a sentence each.

    `sources_down` are those that failed and could have spoken for or against a cause. `hosts` are those
    that may be linked to, lower case. `past` is what history says; None when it was not looked at, and then
    nothing is said of it. `plain_headline` replaces the headline of a brief whose cause does not hold.
    """
    checking = _Checking({each.label: each for each in findings}, hosts)
    cause, impact = checking.cause(brief.likely_cause), checking.impact(brief.impact)
    headline = brief.headline
    if plain_headline and _is_open(cause.text) and not _is_open(brief.likely_cause.text):
        headline = plain_headline
    evidence = checking.shown(cause, impact, brief.evidence)
    confidence = checking.confidence(brief.confidence, cause, tuple(sources_down))
    before = checking.before(brief, past)
    done = brief.model_copy(
        update={
            "headline": checking.text("headline", headline, 300) or "-",
            "recurrence": _recurrence(brief, before, past),
            "impact": _within(impact, evidence),
            "since": checking.text("since", brief.since, 200),
            "likely_cause": _within(cause, evidence),
            "confidence": confidence,
            "confidence_level": level_of(confidence),
            "alternatives": checking.alternatives(brief.alternatives),
            "evidence": evidence,
            "next_steps": checking.steps(brief.next_steps),
            "options": checking.options(brief.options),
            "before": before,
            "tickets": checking.texts("ticket", brief.tickets, 5, 200),
            "follow_up": checking.text("follow-up", brief.follow_up, 500),
            "runbooks": checking.texts("runbook", brief.runbooks, 3, 400),
            "gaps": checking.gaps(brief.gaps, gaps),
        }
    )
    return done, tuple(dict.fromkeys(checking.changes))


def _is_open(text: str) -> bool:
    """Whether a sentence says that nothing is known, in the words this room uses for it."""
    return text.startswith(NOT_ESTABLISHED.rstrip("."))


def _recurrence(brief: Brief, before: Past, past: Past | None) -> str:
    if past is None:
        return "unknown"
    if before.happened:
        return "recurring"
    return "unknown" if brief.recurrence == "unknown" else "new"


def _within(cited: Cited, evidence: tuple[str, ...]) -> Cited:
    return cited.model_copy(update={"evidence": tuple(each for each in cited.evidence if each in evidence)})


@dataclass
class _Checking:
    """One brief being checked: what is known, and the sentences about what was changed."""

    known: dict[str, Finding]
    hosts: frozenset[str]
    changes: list[str] = field(default_factory=list)

    def cause(self, claimed: Cited) -> Cited:
        cited = self.cited("likely cause", claimed, 800)
        if not cited.text or _is_open(cited.text):
            return Cited(text=cited.text or NOT_ESTABLISHED, evidence=cited.evidence[:MOST_FOR_CAUSE])
        if not any(self.known[label].kind in SUPPORTS for label in cited.evidence):
            self.changes.append("The likely cause was dropped: no evidence that was seen was cited for it.")
            return Cited(text=NOT_ESTABLISHED)
        return cited.model_copy(update={"evidence": cited.evidence[:MOST_FOR_CAUSE]})

    def impact(self, claimed: Cited) -> Cited:
        cited = self.cited("impact", claimed, 800)
        if cited.text and (cited.evidence or _is_open(cited.text)):
            return cited
        self.changes.append("The impact was dropped: it cited no evidence that was seen.")
        return Cited(text=NOT_MEASURED)

    def cited(self, name: str, claimed: Cited, limit: int) -> Cited:
        """Labels that exist; those within the sentence count as cited too."""
        text = self.text(name, claimed.text, limit)
        labels = dict.fromkeys((*claimed.evidence, *_LABEL.findall(text)))
        unknown = [label for label in labels if label not in self.known]
        if unknown:
            self.changes.append(f"The {name} cited evidence that does not exist; it was removed.")
        return Cited(text=text, evidence=tuple(label for label in labels if label in self.known))

    def shown(self, cause: Cited, impact: Cited, listed: tuple[str, ...]) -> tuple[str, ...]:
        if any(label not in self.known for label in listed):
            self.changes.append("The list of evidence named some that does not exist; it was removed.")
        labels = dict.fromkeys((*cause.evidence, *impact.evidence, *listed))
        return tuple(label for label in labels if label in self.known)[:MOST_EVIDENCE]

    def confidence(self, claimed: float, cause: Cited, down: tuple[str, ...]) -> float:
        rests_on = [each for label in cause.evidence if (each := self.known[label]).kind in SUPPORTS]
        cap, why = 1.0, ""
        if down:
            cap, why = SOURCES_DOWN, f"could not be asked: {', '.join(sorted(set(down))[:5])}"
        if len(rests_on) < 2 or len({each.source for each in rests_on}) < 2:
            cap, why = THIN, "the cause rests on a single finding or a single source"
        elif not any(each.kind in MEASURED for each in rests_on):
            cap, why = THIN, "the cause rests on what pages and other servers say alone; nothing measured it"
        if _is_open(cause.text):
            cap, why = NO_CAUSE, "no cause is established"
        if claimed > cap:
            self.changes.append(f"Confidence was capped at {cap:.0%}: {why}.")
        return round(min(claimed, cap), 2)

    def steps(self, claimed: Iterable[str]) -> tuple[str, ...]:
        return self._sentences(claimed, MOST_STEPS, LONGEST_STEP, self._step, "next step")

    def _step(self, text: str) -> str:
        # A new line parts two clauses, and is none any more in what is one line.
        step = self.text(
            "next step", "; ".join(filter(None, map(str.strip, text.splitlines()))), LONGEST_STEP
        )
        looks = looking(step)
        if looks != step:
            self.changes.append("A next step that would change something was made one that looks.")
        for _ in range(ROUNDS):
            # Whatever was put before or taken away must not have made something new of the rest.
            if (again := looking(clean(looks, self.hosts, limit=LONGEST_STEP))) == looks:
                return looks
            looks = again
        return "Review: (text removed)"

    def options(self, claimed: Iterable[str]) -> tuple[str, ...]:
        told = [self.text("option", each, 300) for each in claimed]
        real = [each for each in told if each.replace(COMMAND_REMOVED, "").strip(" .:,;-`")]
        ordered = safest_first(real)
        if list(ordered) != real:
            self.changes.append("The options were put in order, safest first.")
        return self.texts("option", ordered, MOST_OPTIONS, 300)

    def alternatives(self, claimed: Iterable[Rejected]) -> tuple[Rejected, ...]:
        told = (
            Rejected(
                cause=self.text("alternative", each.cause, 300), why=self.text("alternative", each.why, 500)
            )
            for each in list(claimed)[:MOST_ALTERNATIVES]
        )
        return tuple(each for each in told if each.cause)

    def before(self, brief: Brief, past: Past | None) -> Past:
        """Dates come from history alone; the pattern may be put in the writer's own words."""
        if past is None or not past.happened:
            if brief.before.happened:
                self.changes.append("“It happened before” was dropped: no history says so.")
            return Past()
        dates = tuple(each for each in past.dates if _DATE.fullmatch(each))[:MOST_DATES]
        pattern = self.text("pattern", brief.before.pattern or past.pattern, 400)
        return Past(happened=True, dates=dates, pattern=pattern)

    def gaps(self, claimed: Iterable[str], known: Iterable[Gap]) -> tuple[str, ...]:
        """Gaps that are known cannot be left out; further ones may be told."""
        sure = (f"{each.source}: {each.reason}" for each in known)
        return self.texts("gap", (*sure, *claimed), MOST_GAPS, 300)

    def texts(self, name: str, claimed: Iterable[str], most: int, limit: int) -> tuple[str, ...]:
        return self._sentences(claimed, most, limit, lambda text: self.text(name, text, limit), name)

    def _sentences(
        self, claimed: Iterable[str], most: int, limit: int, made: Callable[[str], str], name: str
    ) -> tuple[str, ...]:
        kept = tuple(dict.fromkeys(text for each in claimed if (text := made(each)[:limit])))
        if len(kept) > most:
            self.changes.append(f"Only the first {most} of {len(kept)} were kept: {name}.")
        return kept[:most]

    def text(self, name: str, text: str, limit: int) -> str:
        """One clean line, with labels in it only that exist."""
        cleaned = clean(self._known_labels(clean(text, self.hosts, limit=limit)), self.hosts, limit=limit)
        if cleaned != " ".join(text.split()):
            self.changes.append(f"The {name} was cleaned or shortened.")
        return cleaned

    def _known_labels(self, text: str) -> str:
        text = _BRACKETED.sub(self._bracketed, text)
        return _LABEL.sub(lambda found: found[0] if found[0] in self.known else "(no such evidence)", text)

    def _bracketed(self, found: re.Match[str]) -> str:
        labels = [label for label in _LABEL.findall(found["labels"]) if label in self.known]
        return f" ({', '.join(labels)})" if labels else ""
