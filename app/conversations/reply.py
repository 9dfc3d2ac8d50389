"""What a turn needs of the place it answers in; `slack/` provides it, and no domain room sees more.

One `Reply` is one visible answer, however many processes work on it in turn: its state is stored through
the `Ledger` before anything is shown, so a successor goes on in the message its predecessor began.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from app.agent.answer import Offer
from app.agent.phrases.languages import ENGLISH
from app.context.models import Source
from app.conversations.models import Incoming, Turn
from app.errors import AgentError

TaskStatus = Literal["pending", "in_progress", "complete", "error"]


@dataclass(frozen=True)
class Closing:
    """How an answer ends: the whole text as it shall stand, and what is said below it.

    `text` is markdown. `confidence` is 0–1, None when it was not expressed. `offline_reason` says why no
    model took part; None when one did. `language` is that of the question, by its two letters. `offers` are
    what may be chosen as an answer to it.
    """

    text: str
    confidence: float | None = None
    sources: tuple[Source, ...] = ()
    notices: tuple[str, ...] = ()
    tag_sre: bool = False
    offline_reason: str | None = None
    knowledge_revision: str | None = None
    language: str = ENGLISH
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True)
class Said:
    """Something a person or a bot wrote in the thread before the agent was called in."""

    user_id: str
    text: str
    ts: str


class Ledger(Protocol):
    """Where a reply keeps what it has shown (JSON), stored with the turn and fenced by its attempt."""

    async def load(self) -> dict[str, Any] | None: ...

    async def save(self, state: dict[str, Any]) -> None:
        """Raises `StaleAttempt` when another worker has taken the turn over."""


class NotShown(AgentError):
    """The place refuses these words for good: its channel is archived, the agent was removed from it."""

    code = "not_shown"


class NotReached(AgentError):
    """The place cannot be reached just now; what was to be shown can be shown later."""

    code = "not_reached"
    status = 503


class Reply(Protocol):
    """`close`, `fail` and `cancelled` raise `NotShown` when the place will not have them."""

    async def open(self) -> None:
        """Show that work has begun, in the predecessor's message if there is one."""

    async def text(self, delta: str) -> None:
        """Let the answer grow."""

    async def reset(self, text: str) -> None:
        """Show exactly this; a step that broke off is repeated from here."""

    async def task(
        self, id: str, title: str, status: TaskStatus, details: str = "", sources: Sequence[Source] = ()
    ) -> None:
        """Show a step of the work beside the answer."""

    async def notice(self, sentence: str) -> None:
        """Say something about the work itself while it goes on (the database is away …)."""

    async def close(self, closing: Closing) -> None:
        """The answer is complete. Calling it again with the same closing changes nothing visible."""

    async def fail(self, sentence: str, trace_id: str) -> None:
        """The turn has finally failed; say so where the answer would have been, opened or not."""

    async def cancelled(self, by: str | None) -> None:
        """A person stopped the turn, opened or not; what was written so far stands."""

    async def abandon(self) -> None:
        """This process stops working on the turn: leave no stream open; another will go on.

        After an end of the reply there is nothing left to do.
        """

    async def attach(self, file_name: str, title: str, content: bytes, media_type: str) -> None:
        """Add a file to the thread, once."""

    async def settle(self, outcome: Literal["done", "failed", "cancelled"]) -> None:
        """Replace 👀 on the question by ✅ or ❌ (nothing for a cancelled one)."""


class Place(Protocol):
    """A thread, as a turn sees it before it answers."""

    async def channel_name(self) -> str | None:
        """The channel's name without `#`; None in a direct message and when it cannot be found out."""

    async def name_of(self, user_id: str) -> str | None:
        """What people call somebody there, in words that ping nobody; None when it cannot be found out."""

    async def said_before(self, *, limit: int = 50) -> tuple[Said, ...]:
        """What was said in the thread before the question, oldest first, the agent's own words left out.

        Empty when the thread cannot be read.
        """

    async def addressed_since(self) -> tuple[Incoming, ...]:
        """The messages for the agent that the thread holds after the question, oldest first.

        Those that have turns already are among them. Empty when the thread cannot be read.
        """


class Surface(Protocol):
    """Where turns come from and answers go: makes the reply and the place of one turn."""

    def reply(self, turn: Turn, ledger: Ledger) -> Reply: ...

    def place(self, turn: Turn) -> Place: ...
