"""What the playground remembers of calls it received and deliveries it made, for tests to read."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.playground.slack.records import Json


@dataclass
class ApiCall:
    """One call of the Web API; `answer` is None while it is under way or when it was cut off."""

    method: str
    arguments: Json
    at: float
    """Seconds, the playground's clock."""
    status: int | None = None
    answer: Json | None = None
    answered_at: float | None = None

    @property
    def ok(self) -> bool:
        return bool(self.answer and self.answer.get("ok"))

    @property
    def error(self) -> str | None:
        return (self.answer or {}).get("error")


@dataclass
class Delivery:
    """One attempt to hand one event or interaction to the app."""

    event_id: str
    type: str
    attempt: int
    """0 for the first, as in `retry_attempt`."""
    via: str
    """`socket` or `http`."""
    sent_at: float
    acked_at: float | None = None
    outcome: str = "sent"
    """`sent`, `acked`, `timeout`, `refused`, `disconnected` or `lost`."""


@dataclass
class Journal:
    calls: list[ApiCall] = field(default_factory=list)
    deliveries: list[Delivery] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)
    """Ids of events whose retries are used up."""
