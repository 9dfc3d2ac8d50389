"""The tool that reads what a registered service says about itself under `/ops/`."""

from __future__ import annotations

from pydantic import BaseModel, Field

from app import tracing
from app.context.models import Source
from app.errors import AgentError
from app.sources.ops import OpsEndpoints
from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope

DESCRIPTION = (
    "Read (GET) a /ops/ page that a service serves about itself, such as status, health, metrics, config, "
    "dependencies or errors. Only services of SERVICE_REGISTRY can be asked: {names}."
)


class CallOpsEndpoint(BaseModel):
    path: str = Field(
        "/ops/status", max_length=300, description="e.g. /ops/status, /ops/dependencies, /ops/errors"
    )
    service: str | None = Field(None, max_length=100, description="Default: the service talked about")


def tool(parts: object) -> Tool[CallOpsEndpoint] | None:
    ops = getattr(parts, "ops", None)
    if not isinstance(ops, OpsEndpoints) or not ops.names:
        return None

    async def run(asked: CallOpsEndpoint, scope: ToolScope) -> ToolResult:
        service = asked.service or scope.service
        if not service:
            raise ToolFailed(f"Name a service to ask; there are: {', '.join(ops.names)}.")
        said = {"sre_agent.service": service, "url.path": asked.path.partition("?")[0]}
        try:
            with tracing.span("sre_agent.tool.call_ops_endpoint", said, kind="client"):
                answer = await ops.get(service, asked.path)
            link = ops.link(service, asked.path)
        except AgentError as error:
            raise ToolFailed(error.sentence) from error
        title = f"{service} {asked.path}"
        source = Source(kind="ops", title=title, path=asked.path, url=link)
        return ToolResult(answer.strip() or "(an empty answer)", (source,), f"Read {title}")

    return Tool("call_ops_endpoint", DESCRIPTION.format(names=", ".join(ops.names)), CallOpsEndpoint, run)
