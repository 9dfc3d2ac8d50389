"""What an investigation knows about a question asked in its thread, for when no model answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.agent.answer import Answer
from app.context.models import Source
from app.context.ranking import KIN, stems
from app.investigations import repository
from app.investigations.brief import Brief
from app.investigations.evidence import Finding
from app.storage.engine import begin

OF_SESSION = text(
    "SELECT id FROM investigations WHERE session_id = :session_id ORDER BY created_at DESC LIMIT 1"
)
MOST_TOLD = 6
SURE_OF_EVIDENCE = 0.4
"""Quoting what was measured is sure; that it answers the question is not."""
DATABASE = frozenset(stems("database db pool connection sql postgres query"))
ALSO_CALLED = dict.fromkeys(stems("database db postgres"), DATABASE)
"""What people call a thing by, and what metrics do."""


@dataclass(frozen=True)
class Recall:
    """`about` answers from the evidence of a session's investigation, None for any other session."""

    engine: AsyncEngine

    async def about(self, session_id: int, question: str, reason: str) -> Answer | None:
        async with begin(self.engine) as connection:
            found = await of_session(connection, session_id)
            if found is None:
                return None
            investigation = await repository.load(connection, found)
            findings = await repository.load_evidence(connection, found)
        kept = investigation and (investigation.brief or investigation.evidence_brief)
        return recalled(question, Brief.model_validate(kept), findings, reason) if kept else None


async def of_session(connection: AsyncConnection, session_id: int) -> UUID | None:
    """The id of the newest investigation that a session is the thread of."""
    found: UUID | None = (await connection.execute(OF_SESSION, {"session_id": session_id})).scalar()
    return found


def recalled(question: str, brief: Brief, findings: Sequence[Finding], reason: str) -> Answer:
    """The findings that speak of what was asked, else what is known in short. Pure."""
    told = fitting(question, findings)
    known = _known(question, brief)
    parts = [
        f"**No model took part in this answer:** {reason.rstrip('.')}. This is what the investigation has."
    ]
    if known:
        parts.append(known)
    if told:
        parts.append("\n".join(f"- {cited(each)}: {each.statement}" for each in told))
    elif not known:
        parts.append("Nothing that was found speaks of that by its words.")
    parts.append(f"**{brief.headline.rstrip('.')}.** Likely cause: {brief.likely_cause.text}")
    if brief.gaps:
        parts.append("Not looked at: " + "; ".join(brief.gaps[:4]) + ".")
    cited_ones = told or tuple(each for each in findings if each.label in brief.evidence)
    return Answer(
        text="\n\n".join(parts),
        confidence=SURE_OF_EVIDENCE if told or known else 0.1,
        sources=tuple(
            Source(kind=each.kind, title=f"{each.label}: {each.source}", path=each.label, url=each.link)
            for each in cited_ones
        ),
        offline_reason=reason,
    )


STEPS = re.compile(
    r"\b(?:what (?:should|can|do|must) (?:i|we)|next steps?|what now|how (?:do|can) (?:i|we))\b",
    re.IGNORECASE,
)
BEFORE = re.compile(
    r"\b(?:happen(?:ed)? before|last time|again|recurring|how often|ever before)\b", re.IGNORECASE
)


def _known(question: str, brief: Brief) -> str:
    """What the brief itself says to a question about what to do, or about earlier times."""
    if STEPS.search(question) and brief.next_steps:
        return "\n".join(f"{number}. {step}" for number, step in enumerate(brief.next_steps, 1))
    if BEFORE.search(question):
        before = brief.before
        dates = f"Yes: {', '.join(before.dates[:5])}. {before.pattern}".strip()
        unknown = "It could not be looked up." if brief.recurrence == "unknown" else "Not that I know of."
        return dates if before.happened else unknown
    return ""


def fitting(question: str, findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Those that share a telling word with the question, the most first, in the order of their labels."""
    if BEFORE.search(question) or STEPS.search(question):
        return ()
    asked = set(stems(question))
    asked |= {stem for word in list(asked) for stem in (*KIN.get(word, ()), *ALSO_CALLED.get(word, ()))}
    shared = [
        (
            len(asked & set(stems(f"{each.statement} {each.service or ''} {each.kind}".replace("_", " ")))),
            each,
        )
        for each in findings
    ]
    best = sorted((pair for pair in shared if pair[0]), key=lambda pair: -pair[0])[:MOST_TOLD]
    chosen = {each.label for _, each in best}
    return tuple(each for each in findings if each.label in chosen)


def cited(finding: Finding) -> str:
    return f"[{finding.label}]({finding.link})" if finding.link else finding.label
