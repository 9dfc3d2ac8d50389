"""The brief: what an investigation ends in, as the model must state it and as people read it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from app.frozen import Frozen

Confidence = Literal["high", "medium", "low"]
MOST_EVIDENCE = 6
MOST_STEPS = 4


class Rejected(Frozen):
    """An alternative that was looked into and why it is not the cause."""

    cause: str
    why: str


class Past(Frozen):
    """Whether this has happened before: dates (ISO) and the pattern in them."""

    happened: bool = False
    dates: tuple[str, ...] = ()
    pattern: str = ""


class Cited(Frozen):
    """A sentence and the evidence (E1, E2 …) it rests on."""

    text: str
    evidence: tuple[str, ...] = ()


class Brief(Frozen):
    """The result of an investigation.

    `confidence` is 0–1 and `confidence_level` its word; `model` is None when the evidence core wrote it
    alone. `options` are remedies for a human to weigh, safest first, never commands. `evidence` are labels.
    """

    headline: str
    recurrence: Literal["new", "recurring", "unknown"] = "unknown"
    urgency: Literal["act now", "act today", "watch"] = "watch"
    status: Literal["ongoing", "recovering", "resolved", "unknown"] = "unknown"
    impact: Cited
    since: str
    likely_cause: Cited
    confidence_level: Confidence
    confidence: float = Field(ge=0, le=1)
    alternatives: tuple[Rejected, ...] = ()
    evidence: tuple[str, ...] = Field((), max_length=MOST_EVIDENCE)
    next_steps: tuple[str, ...] = Field((), max_length=MOST_STEPS)
    options: tuple[str, ...] = ()
    before: Past = Past()
    tickets: tuple[str, ...] = ()
    follow_up: str = ""
    runbooks: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    model: str | None = None
