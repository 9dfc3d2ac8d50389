"""The tool that tells who is on call."""

from __future__ import annotations

from datetime import UTC, datetime

from pydantic import BaseModel, Field

from app.context.models import Source
from app.errors import AgentError
from app.sources.failures import QueryRejected
from app.sources.pagerduty import OnCall, PagerDutyReader
from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope

DESCRIPTION = "Who is on call now, by escalation level, for a service or for everybody; from PagerDuty."
MOST_SHOWN = 30


class AskedOnCall(BaseModel):
    service: str | None = Field(None, max_length=100, description="Default: the service talked about")
    everybody: bool = Field(False, description="All escalation policies instead")


def tool(parts: object) -> Tool[AskedOnCall] | None:
    """`parts.on_call_policy` is the escalation policy of services that PagerDuty does not know by name."""
    pagerduty = getattr(parts, "pagerduty", None)
    policy = getattr(parts, "on_call_policy", None)
    if not isinstance(pagerduty, PagerDutyReader):
        return None

    async def run(asked: AskedOnCall, scope: ToolScope) -> ToolResult:
        service = None if asked.everybody else asked.service or scope.service
        try:
            found, notice = await _found(pagerduty, service, policy if isinstance(policy, str) else None)
        except AgentError as error:
            raise ToolFailed(error.sentence) from error
        whose = f" for {service}" if service else ""
        head = (
            f"On call now{whose}, {scope.clock():%Y-%m-%d %H:%M} UTC:"
            if found
            else f"Nobody is on call{whose}."
        )
        text = "\n".join(filter(None, [notice, head, *map(_line, found[:MOST_SHOWN])]))
        links = {each.person: each for each in found[:MOST_SHOWN] if each.link}
        sources = tuple(_source(each) for each in links.values())
        return ToolResult(text, sources, f"Looked who is on call{whose}")

    return Tool("on_call", DESCRIPTION, AskedOnCall, run, deadline_seconds=10)


async def _found(
    pagerduty: PagerDutyReader, service: str | None, policy: str | None
) -> tuple[tuple[OnCall, ...], str | None]:
    """Those of the service's own policy; of the default policy when PagerDuty does not know the service."""
    try:
        return await pagerduty.on_calls(service=service, policy_id=None if service else policy), None
    except QueryRejected as rejected:
        if policy is None:
            raise
        found = await pagerduty.on_calls(policy_id=policy)
        return found, f"{rejected.sentence} These are the people of the default escalation policy."


def _source(found: OnCall) -> Source:
    return Source(kind="on_call", title=found.person, path=found.policy, url=found.link)


def _line(found: OnCall) -> str:
    until = f", until {datetime.fromtimestamp(found.until, UTC):%Y-%m-%d %H:%M} UTC" if found.until else ""
    schedule = f" ({found.schedule})" if found.schedule else ""
    return f"- level {found.level}: {found.person}{schedule}{until} — {found.policy}"
