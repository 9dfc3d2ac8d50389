"""One call of one tool: deadline, failure as a sentence, masking, clipping to what a model should read."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import ValidationError

from app.context.models import Source
from app.tools.catalogue import Catalogue, ToolFailed, ToolResult, ToolScope
from app.tools.masking import mask

log = structlog.get_logger(__name__)


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
    try:
        result = await _run(tools, name, arguments, scope)
    except ToolFailed as failure:
        return Executed(mask(failure.sentence), failed=True)
    full = mask(result.text)
    text = clip(full, limit_bytes)
    return Executed(
        text,
        full=full if text != full else None,
        sources=result.sources,
        title=mask(result.title) if result.title else None,
    )


async def _run(tools: Catalogue, name: str, arguments: dict[str, Any], scope: ToolScope) -> ToolResult:
    tool = tools.get(name)
    try:
        given = tool.input.model_validate(arguments)
    except ValidationError as error:
        raise ToolFailed(f"The arguments of {name} do not fit: {_faults(error)}") from None
    try:
        async with asyncio.timeout(tool.deadline_seconds):
            return await tool.run(given, scope)
    except TimeoutError:
        raise ToolFailed(f"{name} did not answer within {tool.deadline_seconds:g} seconds.") from None
    except ToolFailed:
        raise
    except Exception as error:
        log.warning("tool_broke", tool=name, error=type(error).__name__, exc_info=True)
        raise ToolFailed(
            f"{name} failed inside ({type(error).__name__}); its result is not available."
        ) from error


def _faults(error: ValidationError) -> str:
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
