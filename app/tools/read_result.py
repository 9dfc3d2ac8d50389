"""The tool that goes back into the whole result of an earlier call with a narrower question."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pydantic import BaseModel, Field

from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope
from app.tools.shaping import fitted, plural, shortened

LONGEST_LINE = 500
DESCRIPTION = (
    "Read in the whole result of an earlier tool call, of which only a digest was shown: lines that hold "
    "certain words, or a range of lines. The call's id stands at the end of the digest."
)


class ReadResult(BaseModel):
    call: str = Field(min_length=1, max_length=200, description="Id of the call, as its digest names it")
    words: str = Field(
        "", max_length=200, description="Only lines that hold all of these words (case is ignored)"
    )
    from_line: int = Field(1, ge=1, description="First line to look at")
    lines: int = Field(100, ge=1, le=500, description="At most so many lines")


@runtime_checkable
class Results(Protocol):
    """The journal of tool calls, as far as this tool needs it."""

    async def full(self, call_id: str, session_id: int | None) -> str | None:
        """The whole result of a call of that session; None when there is none that was kept."""


def tool(parts: object) -> Tool[ReadResult] | None:
    results = getattr(parts, "results", None)
    if not isinstance(results, Results):
        return None

    async def run(asked: ReadResult, scope: ToolScope) -> ToolResult:
        whole = await results.full(asked.call, scope.session_id)
        if whole is None:
            raise ToolFailed(f"No whole result is kept for the call {asked.call!r} in this conversation.")
        return ToolResult(
            told(whole, asked, scope.limit_bytes), (), f"Read on in a result ({asked.words or 'lines'})"
        )

    return Tool("read_result", DESCRIPTION, ReadResult, run)


def told(whole: str, asked: ReadResult, limit_bytes: int) -> str:
    """The lines asked for with their numbers, as many as fit."""
    lines = whole.splitlines()
    wanted = asked.words.lower().split()
    found = [
        (place, line)
        for place, line in enumerate(lines, start=1)
        if place >= asked.from_line and all(word in line.lower() for word in wanted)
    ]
    what = "lines that match" if wanted else "lines from there on"
    head = f"{plural(len(lines), 'line')} in all, {len(found)} {what}:"
    blocks = [
        f"{place:>5}  {shortened(line, min(LONGEST_LINE, limit_bytes // 4))}"
        for place, line in found[: asked.lines]
    ]
    text, shown = fitted(head, blocks, limit_bytes, "lines here")
    if shown < len(found):
        text += f"\nGo on with from_line={found[shown][0]}."
    return text
