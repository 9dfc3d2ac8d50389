"""One call of one tool: deadline, failure as a sentence, masking, clipping to what a model should read."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import structlog
from pydantic import ValidationError

from app.context.models import Source
from app.giving_way import give_way
from app.storage.characters import storable, storable_in
from app.tools.catalogue import Catalogue, ToolFailed, ToolResult, ToolScope
from app.tools.masking import mask

log = structlog.get_logger(__name__)

MOST_FULL_BYTES = 1024 * 1024
"""Of a whole result that is kept: what is beyond is found by a narrower question to the source itself."""
PIECE_CHARACTERS = 32 * 1024
"""Masked at a time (about 10 ms), so that a large result does not hold up everybody else."""
SEAM_CHARACTERS = 2 * 1024
"""On either side of a cut; no secret we know the shape of is longer, but for whole keys, whose lines are."""
READER = "read_result"


@dataclass(frozen=True)
class Executed:
    """What came of a call. `text` is what the model reads; `full` the whole of it when it was clipped."""

    text: str
    full: str | None = None
    failed: bool = False
    sources: tuple[Source, ...] = ()
    title: str | None = None


async def execute(
    tools: Catalogue, name: str, arguments: dict[str, Any], *, scope: ToolScope, limit_bytes: int
) -> Executed:
    """Run a tool; whatever goes wrong comes back as a sentence for the model, marked as failed."""
    pointer = _pointer(tools, scope)
    room = limit_bytes - len(pointer.encode())
    try:
        result = await _run(tools, name, arguments, replace(scope, limit_bytes=room))
    except ToolFailed as failure:
        return Executed(mask(storable(failure.sentence)), failed=True)
    text = mask(result.text) if result.full is not None else await _masked(result.text)
    full = text if result.full is None else await _masked(clip(result.full, MOST_FULL_BYTES))
    shown = text if text == full and len(text.encode()) <= limit_bytes else clip(text, room)
    return Executed(
        shown if shown == full else shown + pointer,
        full=full if shown != full else None,
        sources=tuple(each.model_copy(update={"title": mask(each.title)}) for each in result.sources),
        title=mask(result.title) if result.title else None,
    )


def _pointer(tools: Catalogue, scope: ToolScope) -> str:
    """How the model comes to the rest of a result; empty where there is no way."""
    if scope.call_id is None or all(tool.name != READER for tool in tools):
        return ""
    return f"\n[{READER} finds lines in the whole result: call={scope.call_id}]"


async def _masked(text: str) -> str:
    masked: list[str] = []
    for piece in _pieces(text):
        shown = mask(piece)
        if masked:
            # A secret that was cut in two is whole where the pieces meet.
            before = masked.pop()
            masked.append(before[:-SEAM_CHARACTERS])
            shown = mask(before[-SEAM_CHARACTERS:] + shown[:SEAM_CHARACTERS]) + shown[SEAM_CHARACTERS:]
        masked.append(shown)
        await asyncio.sleep(0)
    return "".join(masked)


def _pieces(text: str) -> Iterator[str]:
    """`text` in pieces that end with a line where there is one in reach."""
    start = 0
    while start < len(text):
        end = start + PIECE_CHARACTERS
        if end < len(text):
            end = text.rfind("\n", start, end) + 1 or end
        yield text[start:end]
        start = end


async def _run(tools: Catalogue, name: str, arguments: dict[str, Any], scope: ToolScope) -> ToolResult:
    tool = tools.get(name)
    try:
        given = tool.input.model_validate(arguments)
    except ValidationError as error:
        raise ToolFailed(f"The arguments of {name} do not fit: {faults(error)}") from None
    await give_way()
    try:
        async with asyncio.timeout(tool.deadline_seconds):
            return _storable(await tool.run(given, scope))
    except TimeoutError:
        raise ToolFailed(f"{name} did not answer within {tool.deadline_seconds:g} seconds.") from None
    except ToolFailed:
        raise
    except Exception as error:
        log.warning("tool_broke", tool=name, error=type(error).__name__, exc_info=True)
        raise ToolFailed(
            f"{name} failed inside ({type(error).__name__}); its result is not available."
        ) from error


def _storable(found: ToolResult) -> ToolResult:
    """Before it is masked: a NUL in the middle of a secret must not hide it."""
    return ToolResult(
        storable(found.text),
        tuple(each.model_copy(update=storable_in(each.model_dump())) for each in found.sources),
        storable_in(found.title),
        storable_in(found.full),
    )


def faults(error: ValidationError) -> str:
    """Where arguments do not fit, and why, in one line for a model."""
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or 'arguments'}: {fault['msg']}"
        for fault in error.errors()
    )


def clip(text: str, limit_bytes: int) -> str:
    """At most about `limit_bytes` of UTF-8: head and tail on line boundaries, and what was left out between.

    The head gets two thirds: a file or a list says most at its beginning, a log at its end.
    """
    raw = text.encode()
    if len(raw) <= limit_bytes:
        return text
    room = max(limit_bytes - 80, 80)
    head = _until_line_end(raw[: room * 2 // 3].decode(errors="ignore"))
    tail = _from_line_start(raw[-(room // 3) :].decode(errors="ignore"))
    left_out = text[len(head) : len(text) - len(tail)]
    note = f"[… {left_out.count(chr(10)) + 1} lines, {len(left_out.encode())} bytes left out …]"
    return f"{head.rstrip()}\n{note}\n{tail.lstrip(chr(10))}"


def _until_line_end(text: str) -> str:
    end = text.rfind("\n")
    return text[: end + 1] if end >= len(text) // 2 else text


def _from_line_start(text: str) -> str:
    start = text.find("\n")
    return text[start + 1 :] if 0 <= start < len(text) // 2 else text
