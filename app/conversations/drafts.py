"""Documents that a thread can be asked for, made by whoever knows what the thread is about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from app.agent.answer import Answer
from app.conversations.models import Turn


@dataclass(frozen=True)
class Draft:
    """A document in markdown and the words that go with it; without content there is none yet, and `said`
    says why. `otherwise` is where to get it when it cannot be attached."""

    said: str
    file_name: str = ""
    title: str = ""
    content: bytes = b""
    otherwise: str = ""


class Drafts(Protocol):
    async def asked_for(self, session_id: int, question: str) -> Draft | None:
        """What this message of a session asks to be written; None when it asks for nothing of the kind."""


class Deliveries(Protocol):
    """Brings what a thread made elsewhere, when a person there asks for it and confirms it."""

    async def answer(self, turn: Turn) -> Answer | None:
        """What is answered to a message that is about that; None for any other."""
