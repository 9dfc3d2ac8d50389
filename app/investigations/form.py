"""What the model fills in at the end of a diagnosis, and the brief it becomes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from app.investigations.brief import MOST_EVIDENCE, MOST_STEPS, Brief, Cited, Past, Rejected
from app.investigations.checks import level_of

Ids = Annotated[list[str], Field(description="Ids of findings, such as E3")]


class Statement(BaseModel):
    text: str = Field(max_length=1200)
    evidence: Ids = Field(default_factory=list)


class Hypothesis(BaseModel):
    cause: str = Field(max_length=600)
    tested_by: str = Field(
        max_length=600, description="What would be different if it were true, and what was seen"
    )
    verdict: Literal["kept", "rejected", "open"]


class Diagnosis(BaseModel):
    """The diagnosis of the incident. Call this once, when the hypotheses have been tested."""

    headline: str = Field(max_length=200, description="One sentence: what is broken, for whom, since when")
    hypotheses: list[Hypothesis] = Field(default_factory=list, max_length=8)
    impact: Statement = Field(description="Who is affected and how much")
    likely_cause: Statement = Field(
        description="The cause as far as the evidence carries it, or that it is unknown"
    )
    confidence: float = Field(ge=0, le=1, description="How sure you are of the likely cause")
    since: str = Field("", max_length=200, description="Since when, in UTC, and how that is known")
    status: Literal["ongoing", "recovering", "resolved", "unknown"] = "unknown"
    urgency: Literal["act now", "act today", "watch"] = "act now"
    evidence: list[str] = Field(
        default_factory=list, description=f"The at most {MOST_EVIDENCE} most telling ids of findings"
    )
    next_steps: list[str] = Field(
        default_factory=list, description=f"At most {MOST_STEPS} steps that only look, the most useful first"
    )
    options: list[str] = Field(
        default_factory=list, description="Remedies for a human to weigh, safest first, no commands"
    )
    happened_before: str = Field(
        "", max_length=400, description="The pattern in earlier incidents, if there is one"
    )
    tickets: list[str] = Field(
        default_factory=list,
        max_length=10,
        description="Open tickets about this that a tool's result names, each with its key and title",
    )
    follow_up: str = Field("", max_length=400, description="What to repair when this is over")
    several_services: bool = Field(False, description="Whether the cause lies in more than one service")

    def brief(self, before: Past, runbooks: tuple[str, ...], tickets: tuple[str, ...], model: str) -> Brief:
        """The brief as the model states it; history and runbooks are not the model's to state, and `tickets`
        are those of its own that hold, with those that are known."""
        return Brief(
            headline=self.headline,
            recurrence="recurring" if before.happened else "new",
            urgency=self.urgency,
            status=self.status,
            impact=Cited(text=self.impact.text, evidence=tuple(self.impact.evidence)),
            since=self.since,
            likely_cause=Cited(text=self.likely_cause.text, evidence=tuple(self.likely_cause.evidence)),
            confidence_level=level_of(self.confidence),
            confidence=self.confidence,
            alternatives=tuple(
                Rejected(cause=each.cause, why=each.tested_by)
                for each in self.hypotheses
                if each.verdict != "kept"
            ),
            evidence=tuple(dict.fromkeys(self.evidence))[:MOST_EVIDENCE],
            next_steps=tuple(self.next_steps[:MOST_STEPS]),
            options=tuple(self.options[:6]),
            before=before.model_copy(update={"pattern": before.pattern or self.happened_before}),
            tickets=tickets,
            follow_up=self.follow_up,
            runbooks=runbooks,
            model=model,
        )
