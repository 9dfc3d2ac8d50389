"""All there is to tell of one investigation, frozen: the input of report, postmortem and log line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from app.investigations.brief import Brief
from app.investigations.gathered import Gathered


@dataclass(frozen=True)
class Moment:
    """Something that happened, for the timeline; `what` is one sentence."""

    at: datetime
    what: str


@dataclass(frozen=True)
class ToolCall:
    """One tool call of the diagnosis, as the journal has it."""

    name: str
    arguments: str
    failed: bool = False
    duration_ms: int | None = None


@dataclass(frozen=True)
class ModelUse:
    """What one model was used for. `usd` is None when its price is not known."""

    model: str
    requests: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    usd: Decimal | None = None


@dataclass(frozen=True)
class Record:
    """An investigation and how it went; whatever is missing is said to be missing.

    `gathered` is None when the look itself failed; `brief` is the final one, `evidence_brief` that of the
    evidence core. `failure` says why there is no diagnosis, `over_budget` which cap ended it. `outcome` is
    what a person said it was; `checked` are the sentences of `checks.checked`.
    """

    id: UUID
    title: str
    started_at: datetime
    severity: str = "P3"
    service: str | None = None
    status: str = "done"
    finished_at: datetime | None = None
    gathered: Gathered | None = None
    brief: Brief | None = None
    evidence_brief: Brief | None = None
    failure: str | None = None
    over_budget: str | None = None
    timeline: Sequence[Moment] = ()
    tool_calls: Sequence[ToolCall] = ()
    usage: Sequence[ModelUse] = ()
    escalations: Sequence[str] = ()
    checked: Sequence[str] = ()
    outcome: str | None = None
    thread: str | None = None
    joined: Sequence[str] = ()

    @property
    def told(self) -> Brief | None:
        """The brief that stands."""
        return self.brief or self.evidence_brief

    @property
    def seconds(self) -> float | None:
        return None if self.finished_at is None else (self.finished_at - self.started_at).total_seconds()

    @property
    def tokens(self) -> int:
        return sum(each.input_tokens + each.output_tokens for each in self.usage)

    @property
    def usd(self) -> Decimal | None:
        """What is known of the cost; None when nothing is."""
        known = [each.usd for each in self.usage if each.usd is not None]
        return sum(known, Decimal(0)) if known else None
