"""What the model is given to begin with: the gathered evidence in at most about 6,000 tokens, never raw data.

All of it is data between tags of ours and cannot close them, a line to each item: text from outside keeps no
line break, so it cannot pretend to be an item of its own. Equal input gives the same bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from app.agent.prompt import fenced
from app.investigations.cleaning import one_line
from app.investigations.evidence import Cause, Finding, Reason
from app.investigations.first_brief import TELLING, named_service, since
from app.investigations.gathered import Gathered
from app.investigations.times import day_and_clock, utc

CHARACTERS = 24_000
"""About 6,000 tokens of English at four characters each."""

LONGEST_LINE = 420
MOST_REASONS = 3

TAGS = ("alert", "service", "causes", "evidence", "changes", "past", "runbooks", "gaps")
SHARES = {
    "alert": 2_600,
    "service": 1_400,
    "causes": 5_600,
    "evidence": 7_400,
    "changes": 2_400,
    "past": 1_000,
    "runbooks": 2_200,
    "gaps": 1_000,
}
"""Characters of each part, tags included; their sum stays below `CHARACTERS`."""

_OURS = re.compile(rf"<(?=\s*+/?+\s*+(?:{'|'.join((*TAGS, 'investigation'))})\b)", re.IGNORECASE)


def digest(gathered: Gathered) -> str:
    """The first message about an incident. Whatever does not fit is left out, the least telling first, and
    the digest says how much that was."""
    parts = (_part(tag, list(WRITERS[tag](gathered))) for tag in TAGS)
    return "\n".join(("<investigation>", *filter(None, parts), "</investigation>"))


def _part(tag: str, lines: list[str]) -> str:
    """A part within its share. Lines are ordered by what they tell: the last ones are left out."""
    if not lines:
        return ""
    left = SHARES[tag] - len(tag) * 2 - 60
    kept: list[str] = []
    for line in lines:
        if len(line) + 1 > left:
            break
        kept.append(line)
        left -= len(line) + 1
    if len(kept) < len(lines):
        kept.append(f"({len(lines) - len(kept)} more left out)")
    return "\n".join((f"<{tag}>", *kept, f"</{tag}>"))


def _data(text: str, limit: int = LONGEST_LINE) -> str:
    """Text from outside on one line: masked, bounded, with no tag of ours or the prompt's in it."""
    safe = _OURS.sub("&lt;", fenced(one_line(text[: 4 * limit])))
    return safe if len(safe) <= limit else safe[: limit - 1] + "…"


def _alert(gathered: Gathered) -> Iterator[str]:
    alert = gathered.alert
    yield f"title: {_data(alert.title)}"
    yield f"severity: {gathered.severity}; source: {_data(alert.source, 40)}; status: {alert.status}"
    yield f"alerted: {day_and_clock(alert.started_at)}; began: {since(gathered)}"
    if alert.name:
        yield f"rule: {_data(alert.name, 200)}"
    for name, values in (("annotation", alert.annotations), ("label", alert.labels)):
        yield from (f"{name} {_data(key, 80)}: {_data(values[key])}" for key in sorted(values))


def _service(gathered: Gathered) -> Iterator[str]:
    known = "" if gathered.service else " (not in the catalog; known by the alert alone)"
    service = named_service(gathered)
    yield f"name: {_data(service, 120)}{known}" if service else "name: not known, the alert names none"
    yield from (f"{_data(key, 80)}: {_data(gathered.facts[key])}" for key in sorted(gathered.facts))


def _causes(gathered: Gathered) -> Iterator[str]:
    ranking = gathered.ranking
    yield f"verdict without a model: {ranking.verdict.replace('_', ' ')}, confidence {ranking.confidence:.2f}"
    if ranking.impact:
        yield f"suffer because of it: {_data(', '.join(ranking.impact))}"
    for number, cause in enumerate(ranking.causes, 1):
        yield _cause(number, cause, gathered)


def _cause(number: int, cause: Cause, gathered: Gathered) -> str:
    """A cause with its strongest reasons, one block: it is kept or left out as a whole."""
    head = f"{number}. [{cause.score:.2f}] {cause.kind}: {_data(cause.statement)}"
    reasons = (
        *(f"   for: {told}" for told in _reasons(cause.reasons_for, gathered)),
        *(f"   against: {told}" for told in _reasons(cause.reasons_against, gathered)),
    )
    return "\n".join((head, *reasons))


def _reasons(reasons: Iterable[Reason], gathered: Gathered) -> Iterator[str]:
    for each in sorted(reasons, key=lambda reason: -abs(reason.weight))[:MOST_REASONS]:
        label = gathered.cited(each)
        yield _data(each.text, 260) + (f" ({label})" if label else "")


def _evidence(gathered: Gathered) -> Iterator[str]:
    """Findings, those that causes cite first, then by kind."""
    cited = [label for cause in gathered.ranking.causes[:3] for label in gathered.evidence_of(cause)]

    def rank(each: Finding) -> tuple[int, int]:
        return (0 if each.label in cited else 1, TELLING.index(each.kind))

    for each in sorted(gathered.findings, key=rank):
        at = f" at {utc(each.at):%H:%M:%S}" if each.at is not None else ""
        where = f" {_data(each.service, 80)}" if each.service else ""
        yield f"{each.label} [{each.kind}, {_data(each.source, 40)}]{where}{at}: {_data(each.statement)}"


def _changes(gathered: Gathered) -> Iterator[str]:
    """The newest first; on equal times by id, so that the order is settled."""
    for each in sorted(gathered.changes, key=lambda change: (-change.at, change.id)):
        touched = f"; files: {', '.join(each.files[:6])}" if each.files else ""
        by = f" by {each.author}" if each.author else ""
        told = f"{each.kind} {each.id} of {each.service or '?'}{by}: {each.title}{touched}"
        yield f"{utc(each.at):%m-%d %H:%M:%S} {_data(told, 300)}"


def _past(gathered: Gathered) -> Iterator[str]:
    past = gathered.past
    if past is None:
        yield "history could not be looked at"
    elif not past.happened:
        yield "nothing like it on record"
    else:
        yield f"dates: {_data(', '.join(past.dates))}"
        yield f"pattern: {_data(past.pattern)}"
    if gathered.tickets:
        yield f"open tickets: {_data('; '.join(gathered.tickets))}"


def _runbooks(gathered: Gathered) -> Iterator[str]:
    for each in gathered.runbooks:
        yield f"{_data(each.title, 120)}: {_data(each.head, 600)}"


def _gaps(gathered: Gathered) -> Iterator[str]:
    for each in gathered.gaps:
        yield f"{_data(each.source, 60)}: {_data(each.reason, 200)}"


WRITERS: dict[str, Callable[[Gathered], Iterator[str]]] = {
    "alert": _alert,
    "service": _service,
    "causes": _causes,
    "evidence": _evidence,
    "changes": _changes,
    "past": _past,
    "runbooks": _runbooks,
    "gaps": _gaps,
}
