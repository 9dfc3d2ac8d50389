"""What a diagnosis' tool calls become as evidence: each kind counts as what it is, and once."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations.transcript import SessionTranscript
from app.investigations import journal, repository
from app.investigations.checks import NOT_ESTABLISHED, checked
from app.investigations.evidence import Finding
from app.investigations.intake import Intake
from app.investigations.models import Investigation
from app.storage.engine import begin
from tests.investigations.test_checks import FINDINGS, brief
from tests.investigations.test_repository import diagnosing

Call = tuple[str, dict[str, Any]]
DONE = text(
    "UPDATE tool_calls SET result = :result, failed = false, duration_ms = 1 WHERE call_id = :call_id"
)


async def evidence_of(engine: AsyncEngine, taken: Investigation, *calls: Call) -> tuple[Finding, ...]:
    """The findings of these calls, which are labelled from E10 on and called c0, c1 …"""
    async with begin(engine) as connection:
        turn = await repository.load_turn(connection, taken)
    transcript = SessionTranscript(engine, turn)
    for number, (name, arguments) in enumerate(calls):
        await transcript.tool_started(f"c{number}", name, arguments)
        async with begin(engine) as connection:
            told = {"result": f"[E1{number}]\nwhat {name} says", "call_id": f"c{number}"}
            await connection.execute(DONE, told)
    async with begin(engine) as connection:
        _, found = await journal.calls(connection, turn.id)
    return found


async def test_pages_of_services_and_other_servers_are_evidence_of_their_own_kinds(
    engine: AsyncEngine, intake: Intake
) -> None:
    taken = await diagnosing(engine, intake)
    found = await evidence_of(
        engine,
        taken,
        ("call_ops_endpoint", {"service": "checkout", "path": "/ops/health"}),
        ("inventory.get_host", {"name": "db-1"}),
        ("service_context", {}),
    )
    assert [(each.label, each.kind) for each in found] == [
        ("E10", "ops_page"),
        ("E11", "mcp"),
        ("E12", "service"),
    ]


async def test_reading_on_in_a_result_is_evidence_of_what_was_read(
    engine: AsyncEngine, intake: Intake
) -> None:
    taken = await diagnosing(engine, intake)
    found = await evidence_of(
        engine,
        taken,
        ("logql", {"query": "{}"}),
        ("read_result", {"call": "c0"}),
        ("read_result", {"call": "c1"}),
        ("read_result", {"call": "elsewhere"}),
    )
    assert [(each.kind, each.source) for each in found] == [
        ("log", "logql"),
        ("log", "logql"),
        ("log", "logql"),
        ("service", "read_result"),
    ]


OPS = Finding("E10", "ops_page", "call_ops_endpoint", "the pool is at 50 of 50")
MCP = Finding("E11", "mcp", "inventory", "host db-1 has no disk left")


@pytest.mark.parametrize(
    ("cited", "confidence"),
    [(("E10",), 0.5), (("E11",), 0.5), (("E10", "E11"), 0.5), (("E10", "E3"), 0.9)],
    ids=["a page alone", "a server alone", "nothing measured", "a page and a log"],
)
def test_a_cause_may_rest_on_them_and_is_sure_only_with_something_measured(
    cited: tuple[str, ...], confidence: float
) -> None:
    stated = brief(confidence=0.9, likely_cause={"text": "The disk of db-1 is full.", "evidence": cited})
    done, _ = checked(stated, findings=(*FINDINGS, OPS, MCP))
    assert done.likely_cause.text != NOT_ESTABLISHED
    assert done.likely_cause.evidence == cited
    assert done.confidence == confidence
