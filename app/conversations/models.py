"""The words of a conversation as types: what came in, the session it belongs to, the turn it becomes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic import Field

from app.frozen import Frozen

LONGEST_QUESTION = 12_000
"""Characters; what is longer is used up to here, and the answer says so."""

PIN_LASTS = timedelta(days=1)

TurnStatus = Literal["queued", "running", "done", "failed", "cancelled", "expired"]
TurnKind = Literal["mention", "follow_up", "direct", "alert"]


class Envelope(Frozen):
    """What was known of a message besides its words, kept with the turn for the worker.

    `speaker_team_id` is the asker's own workspace; `attachments` are file names that came along. `answers` is
    that of the `Offer` that was chosen instead of writing.
    """

    channel_name: str | None = None
    speaker_team_id: str | None = None
    attachments: tuple[str, ...] = ()
    truncated: bool = False
    answers: str = ""


class Incoming(Frozen):
    """A message somebody addressed to the agent, freed of the place's markup."""

    team_id: str
    channel_id: str
    thread_ts: str
    message_ts: str
    user_id: str
    text: str
    kind: TurnKind
    envelope: Envelope = Envelope()

    @property
    def source_key(self) -> str:
        """One message, however often and in whatever events it is delivered."""
        return f"slack:{self.team_id}:{self.channel_id}:{self.message_ts}"


class Session(Frozen):
    id: int
    team_id: str
    channel_id: str
    thread_ts: str
    service_name: str | None = None
    knowledge_revision: str | None = None
    workflow_state: dict[str, Any] | None = None
    updated_at: datetime

    def pin(self, now: datetime) -> str | None:
        """The knowledge revision it is pinned to, so that its prompt prefix stays the same; None, for the
        newest, after a day's silence."""
        return None if now - self.updated_at > PIN_LASTS else self.knowledge_revision

    def pinned(self, revision: str) -> Session:
        return self.model_copy(update={"knowledge_revision": revision})


class Turn(Frozen):
    """A turn in the hands of a worker: `attempt` is the fence all its writes carry. `overtaken` says that
    later messages of its thread came before it, when nobody took them for the agent's."""

    id: UUID
    session: Session
    attempt: int
    kind: TurnKind
    user_id: str
    message_ts: str
    question: str
    envelope: Envelope = Field(default_factory=Envelope)
    stopped_by: str | None = None
    trace_id: str
    created_at: datetime
    overtaken: bool = False
    reply_state: dict[str, Any] | None = None
    answer: dict[str, Any] | None = None
