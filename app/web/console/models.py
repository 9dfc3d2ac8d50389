"""What the console shows, as types: a row of each list, and what one session or investigation consists of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from app.investigations.accuracy import Judged
from app.investigations.models import Listed
from app.operations.models import QueueFigures
from app.web.console.paging import Page


@dataclass(frozen=True)
class LiveTurn:
    id: UUID
    session_id: int
    kind: str
    status: str
    attempt: int
    user_id: str
    question: str
    service_name: str | None
    created_at: datetime
    started_at: datetime | None


@dataclass(frozen=True)
class Said:
    """An answer of late, as the audit log has it."""

    created_at: datetime
    user_id: str | None
    service_name: str | None
    channel_id: str | None
    thread_ts: str | None
    input_text: str | None
    confidence: float | None


@dataclass(frozen=True)
class Live:
    workers: int
    queues: Mapping[str, QueueFigures]
    turns: tuple[LiveTurn, ...]
    investigating: tuple[Listed, ...]
    investigating_in_all: int
    lately: tuple[Said, ...]
    hour_usd: float
    day_usd: float

    @property
    def waiting(self) -> int:
        return sum(each.waiting for each in self.queues.values())

    @property
    def running(self) -> int:
        return sum(each.running for each in self.queues.values())


@dataclass(frozen=True)
class SessionRow:
    id: int
    channel_id: str
    thread_ts: str
    service_name: str | None
    workflow: str | None
    created_at: datetime
    updated_at: datetime
    first: str | None
    turns: int
    usd: Decimal | None
    investigation_id: UUID | None


@dataclass(frozen=True)
class Used:
    """What one model was asked for; `unpriced` counts requests whose price nobody knows."""

    model: str
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    usd: Decimal
    unpriced: int


@dataclass(frozen=True)
class ToolCall:
    """`result` as the model saw it, cut; `kept` is how many characters there are of the whole, None when
    that is all."""

    id: int
    turn_id: UUID
    attempt: int
    name: str
    arguments: Any
    result: str | None
    kept: int | None
    sources: tuple[Mapping[str, Any], ...]
    failed: bool | None
    duration_ms: int | None
    started_at: datetime


@dataclass(frozen=True)
class Spoken:
    """What the model wrote on the way."""

    turn_id: UUID
    text: str
    at: datetime


Step = ToolCall | Spoken


@dataclass(frozen=True)
class TurnRow:
    id: UUID
    kind: str
    status: str
    attempt: int
    user_id: str
    question: str
    stopped_by: str | None
    answer: Mapping[str, Any] | None
    error_code: str | None
    trace_id: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    input_tokens: int | None
    output_tokens: int | None
    usd: Decimal | None
    helpful: int
    unhelpful: int
    investigation_id: UUID | None
    headline: str | None
    cause: str | None


@dataclass(frozen=True)
class Turn:
    """A turn with its steps, oldest first."""

    row: TurnRow
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class ArtifactRow:
    id: int
    file_name: str
    title: str
    media_type: str
    characters: int
    faults: tuple[str, ...]
    created_at: datetime
    link: str | None


@dataclass(frozen=True)
class SessionHead:
    id: int
    team_id: str
    channel_id: str
    thread_ts: str
    service_name: str | None
    workflow: str | None
    workflow_state: Mapping[str, Any] | None
    context_refs: tuple[Mapping[str, Any], ...]
    knowledge_revision: str | None
    created_at: datetime
    updated_at: datetime
    turns: int


@dataclass(frozen=True)
class Session:
    """A thread; `turns` is the newest part of it, or an earlier one."""

    head: SessionHead
    used: tuple[Used, ...]
    artifacts: tuple[ArtifactRow, ...]
    turns: Page[Turn]


@dataclass(frozen=True)
class KeptCall:
    """A tool call with all that was kept of its result."""

    id: int
    session_id: int
    name: str
    arguments: Any
    result: str | None
    started_at: datetime


@dataclass(frozen=True)
class Artifact:
    id: int
    session_id: int
    file_name: str
    title: str
    media_type: str
    content: str
    faults: tuple[str, ...]
    created_at: datetime


@dataclass(frozen=True)
class InvestigationRow:
    """`cause` is what the newest brief says, `told` what people said it was; `model` is None when the
    evidence alone wrote it."""

    id: UUID
    title: str
    service_name: str | None
    severity: str
    status: str
    storm_size: int
    created_at: datetime
    finished_at: datetime | None
    headline: str | None
    cause: str | None
    level: str | None
    confidence: float | None
    model: str | None
    correct: bool | None
    told: str | None


@dataclass(frozen=True)
class InvestigationHead:
    id: UUID
    title: str
    service_name: str | None
    severity: str
    status: str
    round: int
    attempt: int
    storm_id: UUID | None
    storm_size: int
    grouped_because: str | None
    session_id: int | None
    channel_id: str | None
    thread_ts: str | None
    onset_at: datetime | None
    evidence_brief: Mapping[str, Any] | None
    brief: Mapping[str, Any] | None
    report: str | None
    error_code: str | None
    trace_id: str
    created_at: datetime
    looked_at: datetime | None
    resolved_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True)
class IncidentRow:
    source: str
    incident_key: str
    title: str
    service_name: str | None
    severity: str
    status: str
    started_at: datetime
    resolved_at: datetime | None
    joined_because: str | None


@dataclass(frozen=True)
class EvidenceRow:
    label: str
    source: str
    query: str | None
    window_start: datetime | None
    window_end: datetime | None
    link: str | None
    statement: str | None


@dataclass(frozen=True)
class OutcomeRow:
    user_id: str | None
    correct: bool | None
    cause: str | None
    source: str
    created_at: datetime


@dataclass(frozen=True)
class Investigation:
    head: InvestigationHead
    incidents: tuple[IncidentRow, ...]
    evidence: tuple[EvidenceRow, ...]
    outcomes: tuple[OutcomeRow, ...]
    used: tuple[Used, ...]


@dataclass(frozen=True)
class Spent:
    """One model on one day."""

    day: date
    model: str
    requests: int
    input_tokens: int
    cached_tokens: int
    output_tokens: int
    usd: Decimal
    unpriced: int


@dataclass(frozen=True)
class Figures:
    judged: tuple[Judged, ...]
    spent: tuple[Spent, ...]


@dataclass(frozen=True)
class Revision:
    id: int
    revision: str
    accepted: bool
    commit_id: str | None
    faults: tuple[Mapping[str, Any], ...]
    created_at: datetime


@dataclass(frozen=True)
class AuditRow:
    id: int
    created_at: datetime
    action: str
    user_id: str | None
    service_name: str | None
    workflow: str | None
    channel_id: str | None
    thread_ts: str | None
    input_text: str | None
    response_text: str | None
    confidence: float | None
    sre_tagged: bool
    knowledge_revision: str | None
    trace_id: str | None


@dataclass(frozen=True)
class AuditFilter:
    """What rows are wanted; `text` is looked for in what was said, whatever its case."""

    user: str | None = None
    service: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    channel: str | None = None
    thread: str | None = None
    text: str | None = None


@dataclass(frozen=True)
class AuditPage:
    """`searched_to` is set where a search for a text stopped looking before the end: how far it came."""

    rows: tuple[AuditRow, ...]
    older: str | None = None
    searched_to: datetime | None = None
    searched: int = 0
    actions: tuple[str, ...] = field(default=())
