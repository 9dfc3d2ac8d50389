"""What the loop needs of its surroundings: a transcript that remembers and a progress that shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from pydantic_ai.messages import ModelMessage

from app.context.models import Source

TaskStatus = Literal["pending", "in_progress", "complete", "error"]


@dataclass(frozen=True)
class ToolCallRow:
    """The journal of one execution of one tool; `result` is None while it is not finished."""

    call_id: str
    name: str
    arguments: dict[str, Any]
    result: str | None = None
    failed: bool = False
    sources: tuple[Source, ...] = ()


class Transcript(Protocol):
    """The session's rows as one running turn sees them. Every write carries the turn's attempt."""

    async def history(self) -> list[ModelMessage]:
        """The newest summary, if any, and all rows after it, this turn's included, oldest first."""
        ...

    async def append(self, message: ModelMessage) -> None: ...

    async def tool_call(self, call_id: str) -> ToolCallRow | None: ...

    async def tool_started(self, call_id: str, name: str, arguments: dict[str, Any]) -> None: ...

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
        """`result` is what the model reads; `full` the whole result when that is more."""
        ...

    async def compacted(self, summary: ModelMessage, through: int) -> None:
        """From now on `history()` is `summary` and what followed its first `through` messages.

        Nothing is deleted: the summary is one more row.
        """
        ...


class Progress(Protocol):
    """The growing message as the loop sees it."""

    async def text(self, delta: str) -> None: ...

    async def reset(self, text: str) -> None:
        """Show exactly `text`: what was streamed after it is not part of the answer."""
        ...

    async def task(
        self,
        id: str,
        title: str,
        status: TaskStatus,
        details: str = "",
        sources: tuple[Source, ...] = (),
    ) -> None: ...
