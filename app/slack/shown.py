"""What a reply has shown so far, as it is stored with its turn: the intent first, then what came of it."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Literal

from app.conversations.reply import Ledger
from app.frozen import Frozen


class Part(Frozen):
    """One Slack message of the reply.

    `intended` is stored before the call that creates the message, `open` as soon as its `ts` is known. `mode`
    says how it grows: by a stream or by edits. When it is `closed`, `text_chars` counts the characters of the
    answer it holds (as written, before escaping) and `seal` is their digest, so that a successor knows
    whether it still shows what it should.
    """

    index: int
    ts: str | None = None
    mode: Literal["stream", "post"] = "stream"
    state: Literal["intended", "open", "closed"] = "intended"
    started_at: float
    text_chars: int = 0
    seal: str = ""


class Attachment(Frozen):
    """One file of the reply; `key` is the digest of its name and content."""

    key: str
    file_id: str | None = None
    started_at: float


class ReplyState(Frozen):
    parts: tuple[Part, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    closed: bool = False


class Shown:
    """The stored state of one reply. Every change is saved before it returns, one save at a time.

    Whatever the ledger raises (another worker has the turn) is raised here.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._one_at_a_time = asyncio.Lock()
        self.state = ReplyState()

    async def load(self) -> ReplyState:
        self.state = await self.stored()
        return self.state

    async def stored(self) -> ReplyState:
        """What the ledger holds now, whoever wrote it."""
        return ReplyState.model_validate(await self._ledger.load() or {})

    async def save(self) -> None:
        async with self._one_at_a_time:
            await self._ledger.save(self.state.model_dump(mode="json"))

    async def part(self, part: Part, *, closes: bool = False) -> None:
        """A part as it is now; with `closes` the reply stands whole."""
        others = tuple(each for each in self.state.parts if each.index < part.index)
        later = tuple(each for each in self.state.parts if each.index > part.index)
        closed = self.state.closed or closes
        self.state = self.state.model_copy(update={"parts": (*others, part, *later), "closed": closed})
        await self.save()

    async def without_part(self, index: int) -> None:
        kept = tuple(each for each in self.state.parts if each.index != index)
        self.state = self.state.model_copy(update={"parts": kept})
        await self.save()

    async def attachment(self, attachment: Attachment) -> None:
        others = tuple(each for each in self.state.attachments if each.key != attachment.key)
        self.state = self.state.model_copy(update={"attachments": (*others, attachment)})
        await self.save()

    def attachments(self) -> tuple[Attachment, ...]:
        return self.state.attachments

    async def closed(self) -> None:
        if self.state.closed:
            return
        self.state = self.state.model_copy(update={"closed": True})
        await self.save()


def seal(text: str) -> str:
    """16 hex digits that stand for a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:16]
