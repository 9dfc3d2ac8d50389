"""The words of a delivery as types: what goes where, what came of it, and why it did not."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from app.errors import AgentError

Kind = Literal["pull_request", "notion_page"]


class DeliveryFailed(AgentError):
    """It did not arrive, and the sentence says why; `passing` when trying again may help."""

    code = "delivery_failed"
    status = 502

    def __init__(self, sentence: str, *, passing: bool = False) -> None:
        super().__init__(sentence)
        self.passing = passing


class DeliveryNotConfigured(AgentError):
    """There is no way to deliver there; the sentence names the variable that would give one."""

    code = "delivery_not_configured"
    status = 501


class WriteRefused(DeliveryFailed):
    """A request that the writing client does not make, whoever asks it to; nothing was sent."""

    code = "write_refused"


@dataclass(frozen=True)
class File:
    """A file to be delivered; `id` is its artifact's, `path` is where it belongs in a repo. `todos` and
    `faults` are what people are told about it."""

    id: int
    path: str
    title: str
    media_type: str
    content: str
    todos: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Parcel:
    """Files that go to one place together. `thread` is the address of the conversation that made them,
    `origin` tells it from all others, those of other installations too: the same parcel finds what was begun
    for it."""

    origin: str
    files: tuple[File, ...]
    thread: str | None = None

    def mark(self, *what: object) -> str:
        """A few letters that name `what` of this conversation: the same each time, and nobody else's."""
        said = "\n".join((self.origin, *map(str, what)))
        return hashlib.blake2s(said.encode(), digest_size=5).hexdigest()


@dataclass(frozen=True)
class Plan:
    """What is decided before anything is written, so that whoever goes on decides nothing anew: the branch,
    or the titles of the pages."""

    target: str
    names: tuple[str, ...]
    base: str = ""


@dataclass(frozen=True)
class Delivered:
    """Where it is now, in words for the thread."""

    said: str
    link: str


class Way(Protocol):
    """One way to deliver. Both raise `DeliveryFailed`."""

    async def plan(self, parcel: Parcel) -> Plan:
        """Look where it can go; nothing is written."""

    async def carry_out(self, parcel: Parcel, plan: Plan) -> Delivered:
        """Bring it there, or find what was brought there already."""


def listed(files: Sequence[File]) -> str:
    return ", ".join(f"`{file.path}`" for file in files)
