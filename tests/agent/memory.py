"""A transcript and a progress in memory: small implementations of the loop's protocols, rows kept as json."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelRequest, UserPromptPart

from app.agent.budget import Estimate, Reservation, Spent
from app.agent.protocols import TaskStatus, ToolCallRow
from app.context.models import Source


class Crash(BaseException):
    """A process that dies at a certain row."""


@dataclass
class MemoryTranscript:
    """Rows go through json both ways, as a database makes them."""

    rows: list[bytes] = field(default_factory=list)
    calls: dict[str, ToolCallRow] = field(default_factory=dict)
    start: int = 0
    summary: bytes | None = None
    crash_after: int | None = None
    writes: list[str] = field(default_factory=list)

    async def ask(self, text: str) -> None:
        self.rows.append(dump(ModelRequest(parts=[UserPromptPart(text)])))

    async def history(self) -> list[ModelMessage]:
        kept = [*([self.summary] if self.summary else []), *self.rows[self.start :]]
        return [load(row) for row in kept]

    async def append(self, message: ModelMessage) -> None:
        self.rows.append(dump(message))
        self._wrote(f"append {message.kind}")

    async def tool_call(self, call_id: str) -> ToolCallRow | None:
        return self.calls.get(call_id)

    async def tool_started(self, call_id: str, name: str, arguments: dict[str, Any]) -> None:
        self.calls[call_id] = ToolCallRow(call_id, name, arguments)
        self._wrote(f"started {name}")

    async def tool_finished(
        self,
        call_id: str,
        *,
        result: str,
        full: str | None,
        failed: bool,
        duration_ms: int,
        sources: Sequence[Source] = (),
    ) -> None:
        row = self.calls[call_id]
        self.calls[call_id] = replace(row, result=result, failed=failed, sources=tuple(sources))
        self._wrote(f"finished {row.name}")

    async def compacted(self, summary: ModelMessage, through: int) -> None:
        self.start += through - (1 if self.summary else 0)
        self.summary = dump(summary)
        self._wrote("compacted")

    def _wrote(self, what: str) -> None:
        self.writes.append(what)
        if self.crash_after is not None and len(self.writes) == self.crash_after:
            self.crash_after = None
            raise Crash(what)


def dump(message: ModelMessage) -> bytes:
    return ModelMessagesTypeAdapter.dump_json([message])


def load(row: bytes) -> ModelMessage:
    return ModelMessagesTypeAdapter.validate_json(row)[0]


@dataclass
class MemoryProgress:
    """What a reader would see."""

    shown: str = ""
    resets: list[str] = field(default_factory=list)
    tasks: dict[str, tuple[str, TaskStatus]] = field(default_factory=dict)
    deltas: int = 0
    seen: asyncio.Event | None = None

    async def text(self, delta: str) -> None:
        self.shown += delta
        self.deltas += 1
        if self.seen is not None:
            self.seen.set()

    async def reset(self, text: str) -> None:
        self.shown = text
        self.resets.append(text)

    async def task(
        self,
        id: str,
        title: str,
        status: TaskStatus,
        details: str = "",
        sources: tuple[Source, ...] = (),
    ) -> None:
        self.tasks[id] = (title, status)


@dataclass
class MemoryBudget:
    """Everything is allowed; the ledger is a list."""

    spent: list[Spent | None] = field(default_factory=list)
    reserved: list[Estimate] = field(default_factory=list)
    released: int = 0

    async def reserve(self, estimate: Estimate) -> Reservation:
        self.reserved.append(estimate)
        return Reservation("hour:x", "day:x", estimate.tokens, estimate.usd)

    async def settle(self, reservation: Reservation, spent: Spent | None) -> None:
        self.spent.append(spent)

    async def release(self, reservation: Reservation) -> None:
        self.released += 1
