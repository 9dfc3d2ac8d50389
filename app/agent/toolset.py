"""The catalogue as the model layer wants it, every execution journaled before and after."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import BaseModel
from pydantic_ai import RunContext, ToolReturn
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.toolsets import AbstractToolset, ToolsetTool
from pydantic_core import SchemaValidator, core_schema

from app.agent.protocols import Progress, Transcript
from app.context.models import Source
from app.tools.catalogue import Catalogue, Tool, ToolScope
from app.tools.execute import Executed, execute

ANY_ARGUMENTS = SchemaValidator(core_schema.dict_schema(keys_schema=core_schema.str_schema()))
"""Arguments are checked by the tool's own type in `execute`, so a wrong one is journaled like any call."""


@dataclass
class Desk:
    """What the tools of one run share. `open` is False when the next request offers none."""

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


class CatalogueToolset(AbstractToolset[Desk]):
    """Offers the run's catalogue in its fixed order, or nothing when the desk is closed."""

    def __init__(self) -> None:
        self._schemas: dict[type[BaseModel], dict[str, Any]] = {}

    @property
    def id(self) -> str:
        return "catalogue"

    async def get_tools(self, ctx: RunContext[Desk]) -> dict[str, ToolsetTool[Desk]]:
        if not ctx.deps.open:
            return {}
        return {tool.name: self._offer(tool) for tool in ctx.deps.tools.offer()}

    def _offer(self, tool: Tool[Any]) -> ToolsetTool[Desk]:
        definition = ToolDefinition(
            name=tool.name,
            description=tool.description,
            parameters_json_schema=self._schema(tool.input),
        )
        return ToolsetTool(toolset=self, tool_def=definition, max_retries=3, args_validator=ANY_ARGUMENTS)

    def _schema(self, given: type[BaseModel]) -> dict[str, Any]:
        """Made once a type: it is asked for in every step of every run."""
        if given not in self._schemas:
            self._schemas[given] = given.model_json_schema()
        return self._schemas[given]

    async def call_tool(
        self, name: str, tool_args: dict[str, Any], ctx: RunContext[Desk], tool: ToolsetTool[Desk]
    ) -> Any:
        assert ctx.tool_call_id is not None
        return await call(ctx.deps, ctx.tool_call_id, name, tool_args)


async def call(desk: Desk, call_id: str, name: str, arguments: dict[str, Any]) -> ToolReturn:
    """Run one call once: a call whose result is in the journal is answered from there."""
    key = desk.journal_keys.get(call_id, call_id)
    row = await desk.transcript.tool_call(key)
    if row is not None and row.result is not None:
        return _returned(row.result, row.sources)
    shown = under_own_name(name, arguments)
    await desk.transcript.tool_started(key, *shown)
    title = describe(*shown)
    await desk.progress.task(key, title, "in_progress")
    started = desk.seconds()
    done = _labelled(await _perform(desk, call_id, key, name, arguments), desk.labels.get(call_id))
    await desk.transcript.tool_finished(
        key,
        result=done.text,
        full=done.full,
        failed=done.failed,
        duration_ms=round((desk.seconds() - started) * 1000),
        sources=done.sources,
    )
    await desk.progress.task(
        key,
        done.title or title,
        "error" if done.failed else "complete",
        done.text if done.failed else "",
        done.sources,
    )
    return _returned(done.text, done.sources)


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


def _returned(text: str, sources: tuple[Source, ...]) -> ToolReturn:
    """The metadata stays in the row and never reaches the model."""
    return ToolReturn(text, metadata={"sources": [source.model_dump(mode="json") for source in sources]})


def describe(name: str, arguments: dict[str, Any]) -> str:
    """A tool call for a progress line: `read service file · checkout/README.md`."""
    words = name.replace("_", " ")
    values = [str(value) for value in arguments.values() if isinstance(value, str | int) and value != ""]
    return f"{words} · {', '.join(values)[:80]}" if values else words
