"""The tool that uses a tool of an MCP server, by the name that find_tools told."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from app.context.models import Source
from app.errors import AgentError
from app.sources.mcp import McpServers
from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope

DESCRIPTION = (
    "Use a tool that find_tools told, by its full name (server.tool) and with its arguments. Only tools that "
    "are allowed by name can be used; all of them only read."
)


class UseTool(BaseModel):
    name: str = Field(min_length=3, max_length=200, description="Full name, e.g. pagerduty.get_incident")
    arguments: dict[str, Any] = Field(default_factory=dict, description="As find_tools told them")


def tool(parts: object) -> Tool[UseTool] | None:
    mcp = getattr(parts, "mcp", None)
    if not isinstance(mcp, McpServers) or not mcp.names:
        return None

    async def run(asked: UseTool, scope: ToolScope) -> ToolResult:
        try:
            text = await mcp.call(asked.name, asked.arguments)
        except AgentError as error:
            raise ToolFailed(error.sentence) from error
        server, _, name = asked.name.partition(".")
        source = Source(kind="mcp", title=asked.name, path=asked.name)
        return ToolResult(
            text.strip() or "(an empty answer)", (source,), f"{server}: {name.replace('_', ' ')}"
        )

    return Tool("use_tool", DESCRIPTION, UseTool, run, deadline_seconds=mcp.longest_seconds)
