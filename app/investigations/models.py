"""The words of an investigation as types: its incidents, where its thread is, and how far it has come."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from pydantic import Field

from app.errors import AgentError
from app.escalation.models import PAGERDUTY
from app.frozen import Frozen
from app.investigations.alert import Alert, Severity

IncidentStatus = Literal["open", "acknowledged", "resolved"]
InvestigationStatus = Literal[
    "queued",  # its look waits, for nothing but a worker
    "looking",
    "looked",  # the evidence brief stands; its diagnosis waits for its turn
    "diagnosing",
    "done",
    "failed",
    "cancelled",
    "expired",  # its diagnosis waited too long; the evidence brief stands
    "joined",  # shown in the thread of another one, which looks for both
]

PRIORITIES: dict[Severity, int] = {"P1": 100, "P2": 90, "P3": 80, "P4": 70, "P5": 60}
"""Of jobs, high first. A person's turn has that of a P1 (`app.conversations.accept.PERSON_WAITS`)."""


class NoSuchInvestigation(AgentError):
    """There is none of that id any more, or it is shown in another one's thread."""

    code = "no_such_investigation"
    status = 404


class Place(NamedTuple):
    """Where the thread is: the three parts of a session's key."""

    team_id: str
    channel_id: str
    thread_ts: str


class Incident(Frozen):
    """One source's incident as it stands; `alert` is what it said last. `fires` counts different alerts.

    `gone_quiet` says that it was taken to be over because its source told nothing of it any more.
    `joined_because` says why it shares an investigation, `grouped_because` why that one is in a storm's
    thread.
    """

    id: int
    investigation_id: UUID | None = None
    source: str
    incident_key: str
    title: str
    service_name: str | None = None
    severity: Severity
    status: IncidentStatus
    alert: Alert
    started_at: datetime
    acknowledged_at: datetime | None = None
    resolved_at: datetime | None = None
    gone_quiet: bool = False
    joined_because: str | None = None
    grouped_because: str | None = None
    fires: int = 1
    created_at: datetime

    @property
    def because(self) -> str:
        """Why it is in the thread it is in; empty for the one that opened it."""
        return self.joined_because or self.grouped_because or ""


class Reason(Frozen):
    """Why so many incidents of a thread are in it, None for what opened it; how many of them are over."""

    because: str | None
    incidents: int
    over: int


class Investigation(Frozen):
    """An investigation in the hands of a worker: `attempt` is the fence all its writes carry.

    `tries` counts how often its present stage was begun: `attempt` goes on over all of them.
    `incidents` are its own, the first one first; `members` those of investigations that a storm put into
    its thread, what burns first, P1 first (at most `MOST_MEMBERS`; `reasons` count all). `storm_size` counts
    the investigations. `resolved_at` is when nothing in its thread burned any longer. `leader_id` names the
    investigation whose thread this one is in, itself as a rule. The JSON columns are whatever the stage
    that stored them understands.
    """

    id: UUID
    title: str
    service_name: str | None = None
    severity: Severity
    status: InvestigationStatus
    priority: int
    attempt: int
    tries: int = 1
    round: int = 1
    incidents: tuple[Incident, ...]
    storm_id: UUID | None = None
    grouped_because: str | None = None
    storm_size: int = 0
    members: tuple[Incident, ...] = ()
    reasons: tuple[Reason, ...] = ()
    session_id: int | None = None
    turn_id: UUID | None = None
    place: Place | None = None
    onset_at: datetime | None = None
    observations: Any = None
    evidence_brief: dict[str, Any] | None = None
    brief: dict[str, Any] | None = None
    report: str | None = None
    thread_state: dict[str, Any] = Field(default_factory=dict)
    escalations: dict[str, Any] = Field(default_factory=dict)
    error_code: str | None = None
    trace_id: str
    created_at: datetime
    started_at: datetime | None = None
    looked_at: datetime | None = None
    resolved_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def alert(self) -> Alert:
        """What it began with."""
        return self.incidents[0].alert

    @property
    def shown(self) -> int:
        """How many incidents its thread is about."""
        return sum(each.incidents for each in self.reasons)

    @property
    def over(self) -> int:
        """How many of them are over."""
        return sum(each.over for each in self.reasons)

    @property
    def earlier_brief(self) -> dict[str, Any] | None:
        """What an earlier round concluded, while the present one has not, or has failed: it stands then."""
        kept = self.brief
        if not kept or not kept.get("model"):
            return None
        failed = (kept.get("ending") or {}).get("failure")
        return kept if failed or kept.get("round", 1) < self.round else None

    @property
    def gone_quiet(self) -> bool:
        """Whether what is over in its thread was in part only taken to be over."""
        return any(each.gone_quiet for each in (*self.incidents, *self.members))

    @property
    def paged(self) -> Incident:
        """Of its own incidents PagerDuty's while it is open, whichever source came first, for whoever has it
        is paged already; else the first one."""
        own = (each for each in self.incidents if each.source == PAGERDUTY and each.status != "resolved")
        return next(own, self.incidents[0])

    @property
    def leader_id(self) -> UUID:
        return self.storm_id or self.id

    @property
    def lock_key(self) -> str | None:
        """What a service's diagnoses and the follow-ups in its incident threads take turns on."""
        return f"service:{self.service_name}" if self.service_name else None


class Listed(Frozen):
    """One of many, in few words; `incidents` counts all that its thread is about."""

    id: UUID
    title: str
    service_name: str | None = None
    severity: Severity
    status: InvestigationStatus
    priority: int
    incidents: int
    created_at: datetime
    looked_at: datetime | None = None
    resolved_at: datetime | None = None
    finished_at: datetime | None = None


class PastInvestigation(Frozen):
    """What is remembered of an earlier one. `cause` is what people said it was, else what the brief said;
    `told` says which, and `correct` what people said of the brief (None: nobody said)."""

    id: UUID
    at: datetime
    title: str
    service_name: str | None = None
    severity: Severity
    cause: str | None = None
    told: bool = False
    correct: bool | None = None
    place: Place | None = None


class Rejected(Frozen):
    """An authentic payload that could not be understood."""

    id: int
    source: str
    reason: str
    payload: Any
    created_at: datetime
