"""The words of an escalation as types, and what it needs from whoever stores things."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from app.errors import AgentError

PAGERDUTY = "pagerduty"
"""The source whose incidents have paged somebody already."""

Why = Literal["low_confidence", "budget", "timeout", "failure", "unseen", "asked"]


class EscalationFailed(AgentError):
    """Nobody can be sure that somebody was called; `passing` when trying again may help."""

    code = "escalation_failed"
    status = 502

    def __init__(self, sentence: str, *, passing: bool = False) -> None:
        super().__init__(sentence)
        self.passing = passing


class EscalationNotConfigured(AgentError):
    """There is no way to call anybody; the sentence names the variable that would give one."""

    code = "escalation_not_configured"
    status = 501


@dataclass(frozen=True)
class Incident:
    """What an escalation is about. `link` opens the investigation (its thread), not the incident; `found` is
    what is known so far; `named` are its words where it is one of many in a thread."""

    source: str
    incident_key: str
    title: str
    severity: str = "P3"
    service: str | None = None
    link: str | None = None
    found: str = ""
    named: str = ""


@dataclass(frozen=True)
class Escalated:
    """What came of it, in words for the thread. `about` names the incident where it was one of many, as it
    was when that was decided. `repeated` when it was done before and nothing was sent."""

    status: Literal["paged", "noted", "acknowledged"]
    said: str
    link: str | None = None
    about: str = ""
    repeated: bool = False


class Intent(NamedTuple):
    """What was meant to be sent, and what came of it (None while that is not known)."""

    plan: Mapping[str, Any]
    outcome: Mapping[str, Any] | None


class Intents(Protocol):
    """Where intents are kept: each call is stored for good when it returns. Values are plain JSON."""

    def alone(self) -> AbstractAsyncContextManager[None]:
        """Within it nobody else carries out intents of these, in whichever process."""

    async def find(self, key: str) -> Intent | None: ...

    async def begin(self, key: str, plan: Mapping[str, Any]) -> Intent:
        """Store the plan unless there is one under this key; the one that is stored then."""

    async def finish(self, key: str, outcome: Mapping[str, Any]) -> None: ...
