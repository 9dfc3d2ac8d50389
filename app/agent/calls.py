"""What a model calls, carried out: every execution journaled before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic_ai.messages import ToolCallPart, ToolReturnPart

from app import tracing
from app.agent.protocols import Progress, Transcript
from app.context.models import Source
from app.instruments import TOOL_CALLS
from app.tools.catalogue import Catalogue, ToolScope
from app.tools.execute import Executed, execute


@dataclass
class Desk:
    """What the tools of one run share. `open` says whether the newest response was offered any."""

    tools: Catalogue
    scope: ToolScope
    transcript: Transcript
    progress: Progress
    limit_bytes: int
    seconds: Callable[[], float]
    open: bool = True
    refused: dict[str, str] = field(default_factory=dict)
    journal_keys: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    """Of the calls whose results are evidence, by call id."""


async def carry_out(desk: Desk, asked: ToolCallPart, arguments: dict[str, Any]) -> ToolReturnPart:
    """Run one call once: a call whose result is in the journal is answered from there.

    `arguments` are those of `asked`; whether they fit is found out in `execute`, so a wrong one is journaled
    like any call.
    """
    call_id, name = asked.tool_call_id, asked.tool_name
    key = desk.journal_keys.get(call_id, call_id)
    row = await desk.transcript.tool_call(key)
    if row is not None and row.result is not None:
        return _returned(asked, row.result, row.sources)
    shown = under_own_name(name, arguments)
    await desk.transcript.tool_started(key, *shown)
    title = describe(*shown)
    await desk.progress.task(key, title, "in_progress")
    started = desk.seconds()
    said = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": shown[0],
        "gen_ai.tool.call.id": call_id,
    }
    with tracing.span("sre_agent.tool.execute", said) as executed:
        done = _labelled(await _perform(desk, call_id, key, name, arguments), desk.labels.get(call_id))
        if done.failed:
            executed.fail("tool_failed")
    seconds = desk.seconds() - started
    # Under the names of the catalogue: a model may ask for any other.
    known = name if any(tool.name == name for tool in desk.tools) else "unknown"
    TOOL_CALLS.record(seconds, tool=known, outcome="failed" if done.failed else "ok")
    await desk.transcript.tool_finished(
        key,
        result=done.text,
        full=done.full,
        failed=done.failed,
        duration_ms=round(seconds * 1000),
        sources=done.sources,
    )
    await desk.progress.task(
        key,
        done.title or title,
        "error" if done.failed else "complete",
        done.text if done.failed else "",
        done.sources,
    )
    return _returned(asked, done.text, done.sources)


def under_own_name(name: str, arguments: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """A tool of an MCP server is journaled and shown as itself, not as `use_tool`."""
    inner, given = arguments.get("name"), arguments.get("arguments", {})
    if name == "use_tool" and isinstance(inner, str) and isinstance(given, dict):
        return inner, given
    return name, arguments


async def _perform(desk: Desk, call_id: str, key: str, name: str, arguments: dict[str, Any]) -> Executed:
    if call_id in desk.refused:
        return Executed(desk.refused[call_id], failed=True)
    scope = replace(desk.scope, call_id=key)
    return await execute(desk.tools, name, arguments, scope=scope, limit_bytes=desk.limit_bytes)


def _labelled(done: Executed, label: str | None) -> Executed:
    """The result with the name by which it can be cited; a call that failed is no evidence."""
    return done if label is None or done.failed else replace(done, text=f"[{label}]\n{done.text}")


def _returned(asked: ToolCallPart, text: str, sources: tuple[Source, ...]) -> ToolReturnPart:
    """The metadata stays in the row and never reaches the model."""
    found = {"sources": [source.model_dump(mode="json") for source in sources]}
    return ToolReturnPart(asked.tool_name, text, asked.tool_call_id, metadata=found)


def describe(name: str, arguments: dict[str, Any]) -> str:
    """A tool call for a progress line: `read service file · checkout/README.md`."""
    words = name.replace("_", " ")
    values = [str(value) for value in arguments.values() if isinstance(value, str | int) and value != ""]
    return f"{words} · {', '.join(values)[:80]}" if values else words
