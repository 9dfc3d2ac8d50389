"""The SQL of what a diagnosis has used so far: time, tool calls, tokens. Nothing here commits."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.context.models import Source
from app.investigations.evidence import Finding, FindingKind
from app.investigations.record import ModelUse, ToolCall
from app.storage.engine import as_json

SINCE_BEGUN = text(
    "SELECT CAST(extract(epoch FROM now() - started_at) AS double precision) FROM turns WHERE id = :turn_id"
)
CALLS = text("SELECT * FROM tool_calls WHERE turn_id = :turn_id ORDER BY id")
NAMED = text("""
SELECT call_id, name, arguments ->> 'call' AS reads FROM tool_calls
 WHERE session_id IN (SELECT session_id FROM tool_calls WHERE turn_id = :turn_id) ORDER BY id
""")
RESULTS = text("""
SELECT result FROM tool_calls
 WHERE session_id IN (SELECT session_id FROM tool_calls WHERE turn_id = :turn_id)
   AND (name = ANY(:names) OR name LIKE '%.%') AND NOT failed AND result IS NOT NULL ORDER BY id
""")
USAGE = text("""
SELECT model, count(*) AS requests, sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
       sum(cache_read_tokens) AS cache_read_tokens, sum(cache_write_tokens) AS cache_write_tokens,
       sum(usd) AS usd
  FROM usage WHERE turn_id = :turn_id GROUP BY model ORDER BY min(id)
""")
SOURCES = TypeAdapter(tuple[Source, ...])
LABELLED = re.compile(r"\[(E\d+)\]\n")
LONGEST_STATEMENT = 300
READS_ON = "read_result"
MOST_READINGS = 20
"""Of which one may go on in the result of another."""
KINDS: dict[str, FindingKind] = {
    "promql": "metric",
    "logql": "log",
    "traces": "trace",
    "deploy_history": "change",
    "kubernetes": "cluster",
    "call_ops_endpoint": "ops_page",
    "past_incidents": "past_incident",
    "runbook_search": "runbook",
    "on_call": "on_call",
}


async def seconds_since_begun(connection: AsyncConnection, turn_id: UUID) -> float:
    """By the database's clock, from the beginning of the turn's first attempt."""
    return float((await connection.execute(SINCE_BEGUN, {"turn_id": turn_id})).scalar_one() or 0.0)


async def usage(connection: AsyncConnection, turn_id: UUID) -> tuple[ModelUse, ...]:
    rows = await connection.execute(USAGE, {"turn_id": turn_id})
    return tuple(ModelUse(**row) for row in rows.mappings())


async def results(connection: AsyncConnection, turn_id: UUID, names: Collection[str]) -> tuple[str, ...]:
    """What the tools of these names, and those of MCP servers, answered in the thread of a diagnosis, as the
    model read it."""
    found = await connection.execute(RESULTS, {"turn_id": turn_id, "names": list(names)})
    return tuple(found.scalars())


async def calls(
    connection: AsyncConnection, turn_id: UUID
) -> tuple[tuple[ToolCall, ...], tuple[Finding, ...]]:
    """The tool calls of a diagnosis, and those that became evidence, in the order in which they were made."""
    rows = (await connection.execute(CALLS, {"turn_id": turn_id})).mappings().all()
    told = tuple(
        ToolCall(row["name"], as_json(row["arguments"]), bool(row["failed"]), row["duration_ms"])
        for row in rows
    )
    named = (await connection.execute(NAMED, {"turn_id": turn_id})).mappings()
    asked = {row["call_id"]: (row["name"], row["reads"]) for row in named}
    found: list[Finding] = []
    for row in rows:
        label = LABELLED.match(row["result"] or "")
        if label and not row["failed"]:
            sources = SOURCES.validate_python(row["sources"])
            source = asked_first(row["call_id"], asked)
            found.append(
                Finding(
                    label=label[1],
                    kind=kind_of(source),
                    source=source.partition(".")[0],
                    statement=statement(row["result"][label.end() :]),
                    query=as_json(row["arguments"]),
                    link=next((each.url for each in sources if each.url), None),
                )
            )
    return told, tuple(found)


def kind_of(tool: str) -> FindingKind:
    """A tool of an MCP server is journaled under its full name, `server.tool`."""
    return "mcp" if "." in tool else KINDS.get(tool, "service")


def asked_first(call_id: str, asked: Mapping[str, tuple[str, str | None]]) -> str:
    """The tool whose result a call shows: reading on in a result is no source of its own. `asked` has the
    name of each call by its id, and the call it reads on in."""
    name, reads = asked[call_id]
    for _ in range(MOST_READINGS):
        if name != READS_ON or reads is None or reads not in asked:
            break
        name, reads = asked[reads]
    return name


def statement(result: str) -> str:
    """A result in one line: its beginning, which says most."""
    line = " ".join(result.split())
    return line if len(line) <= LONGEST_STATEMENT else line[: LONGEST_STATEMENT - 1] + "…"
