"""A history to look at: sessions with turns and tool calls, investigations with outcomes, what was spent."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.storage import tables
from app.storage.engine import begin

ATTACK = "<script>window.hacked = true</script><img src=x onerror=alert(1)>"
ANSWER = """## Before you launch checkout

Two things are missing, **one of them blocks** the launch:

1. The contract with `payments` asks for a retry budget; *none is set*.
2. No alert watches the [p99 latency](javascript:alert(1)).

| Objective | Target | Now |
|---|---:|---:|
| Availability | 99.9 % | 99.94 % |
| p99 latency | 400 ms | 380 ms |

> Tier 1 services page a human within five minutes.

```yaml
retry_budget: 0.1
```
"""
QUESTIONS = (
    "what do I need before we launch checkout?",
    "which timeout do we use towards payments?",
    "who is on call for inventory?",
    "is the quote SLO still met?",
    "what changed in notifications since yesterday?",
)
SERVICES = ("checkout", "payments", "inventory", "notifications", None)
CAUSES = (
    "The rollout of 4f1c2ab halved the connection pool of checkout.",
    "payments answers slowly because its database is out of connections.",
    "A certificate of the gateway ran out at 02:00 UTC.",
    "Not established: nothing that was seen explains it.",
)


def turn_id(number: int) -> UUID:
    return UUID(int=0x1000 + number)


def investigation_id(number: int) -> UUID:
    return UUID(int=0x9000 + number)


async def fill(engine: AsyncEngine, now: datetime) -> None:
    """Thirty sessions, the first with a rich transcript; forty investigations; ninety days of spending."""
    chance = random.Random(7)
    async with begin(engine) as connection:
        for number in range(30):
            await _session(connection, number, now - timedelta(hours=5 * (30 - number)), chance)
        await _rich_turn(connection, now)
        for number in range(40):
            await _investigation(connection, number, now - timedelta(days=2 * number, hours=3), chance)
        await _spending(connection, now, chance)
        await _revisions(connection, now)
        await _audit(connection, now, chance)
        await _queue(connection, now)
        await _old_session(connection, now)
        # As the database does by itself some time later, whereupon it may plan otherwise.
        await connection.exec_driver_sql("ANALYZE")


async def add(connection: AsyncConnection, table: str, **values: Any) -> Any:
    """A row; its id."""
    into = tables.metadata.tables[table]
    return (await connection.execute(into.insert().values(**values).returning(into.c.id))).scalar_one()


async def _session(connection: AsyncConnection, number: int, at: datetime, chance: random.Random) -> None:
    service = SERVICES[number % len(SERVICES)]
    session = await add(
        connection,
        "sessions",
        team_id="T0ACME",
        channel_id="C0CHECKOUT",
        thread_ts=f"{at.timestamp():.6f}",
        service_name=service,
        knowledge_revision="9b1c0ffee1234567",
        created_at=at,
        updated_at=at + timedelta(minutes=3),
    )
    await add(
        connection,
        "turns",
        id=turn_id(number),
        session_id=session,
        source_key=f"slack:T0ACME:C0CHECKOUT:{number}",
        kind="mention",
        status="done",
        attempt=1,
        user_id=f"U0{('LENA', 'OMAR', 'SAM')[number % 3]}",
        question=QUESTIONS[number % len(QUESTIONS)],
        # The oldest ones are of a version that stored less.
        answer={
            "text": "Ask #payments; their contract says 800 ms.",
            **({"confidence": 0.7, "model": "claude-haiku-5-5"} if number > 2 else {}),
        },
        trace_id=f"{number:032x}",
        created_at=at,
        started_at=at + timedelta(milliseconds=20),
        finished_at=at + timedelta(seconds=3),
    )
    await add(
        connection,
        "usage",
        session_id=session,
        turn_id=turn_id(number),
        attempt=1,
        provider="anthropic",
        model="claude-haiku-5-5",
        input_tokens=9_000 + number,
        output_tokens=400,
        cache_read_tokens=8_000,
        usd=0.011,
        created_at=at,
    )


async def _rich_turn(connection: AsyncConnection, now: datetime) -> None:
    """In the newest session: what an answer may consist of, and what somebody hostile put into it."""
    session = (await connection.execute(text("SELECT max(id) FROM sessions"))).scalar_one()
    turn = UUID(int=0x1999)
    at = now - timedelta(minutes=14)
    await add(
        connection,
        "turns",
        id=turn,
        session_id=session,
        source_key="slack:T0ACME:C0CHECKOUT:rich",
        kind="follow_up",
        status="running",
        attempt=1,
        user_id="U0LENA",
        question=f"and before the launch? {ATTACK}",
        answer={
            "text": ANSWER + ATTACK,
            "confidence": 0.82,
            "model": "claude-sonnet-5-5",
            "sources": [
                {
                    "kind": "blueprint",
                    "title": "checkout",
                    "path": "services/checkout.md",
                    "url": "https://git.acme.example/checkout.md",
                    "revision": "4f1c2ab",
                },
                {
                    "kind": "contract",
                    "title": "a trap",
                    "path": "contracts/x.md",
                    "url": "javascript:alert(1)",
                },
            ],
            "missing": ["a rollback plan"],
            "notices": ["The copy of the blueprints is 2 h old."],
        },
        trace_id="ab" * 16,
        created_at=at,
        started_at=at,
        finished_at=at + timedelta(seconds=7.4),
    )
    await connection.execute(
        text(
            "UPDATE sessions SET workflow = 'slo-workshop', updated_at = :at, workflow_state = CAST(:state AS jsonb),"
            " context_refs = CAST(:refs AS jsonb) WHERE id = :id"
        ),
        {
            "at": at,
            "id": session,
            "state": '{"version": 1, "workflow": "slo-workshop", "title": "SLO workshop", "revision": "9b1c0ffee1234567",'
            ' "started_by": "U0LENA", "status": "confirming", "at": "target[pay]",'
            ' "answers": {"journeys": {"value": ["pay", "quote"], "by": "U0LENA", "how": "said"},'
            ' "target[pay]": {"value": 99.9, "by": "U0LENA", "how": "proposed"}}}',
            "refs": '[{"path": "services/checkout.md", "title": "checkout", "revision": "4f1c2ab"}]',
        },
    )
    values = {"session_id": session, "turn_id": turn, "attempt": 1}
    said = {"kind": "response", "parts": [{"part_kind": "text", "content": "I look at the latency first."}]}
    await add(
        connection, "messages", **values, kind="model", body=said, created_at=at + timedelta(seconds=1.5)
    )
    for place, (name, arguments, result, full, failed, ms) in enumerate(
        (
            (
                "read_service_file",
                {"service": "checkout", "path": "deploy/deployment.yaml"},
                "replicas: 3\nmemory: 512Mi",
                None,
                False,
                38,
            ),
            (
                "promql",
                {
                    "query": 'histogram_quantile(0.99, sum by (le) (rate(http_request_duration_seconds_bucket{service="checkout"}[5m])))'
                },
                f"p99 0.38 s {ATTACK}",
                "x" * 30_000,
                False,
                412,
            ),
            (
                "logql",
                {"query": '{service="checkout"} |= "timeout"'},
                "loki: did not answer within 3 s",
                None,
                True,
                3004,
            ),
        )
    ):
        if failed:  # its worker has died, and another one goes on
            values["attempt"] = 2
            await connection.execute(tables.turns.update().where(tables.turns.c.id == turn).values(attempt=2))
        await add(
            connection,
            "tool_calls",
            **values,
            call_id=f"call{place}",
            name=name,
            arguments=arguments,
            result=result,
            result_full=full,
            failed=failed,
            duration_ms=ms,
            sources=[
                {"kind": "metric", "title": name, "path": name, "url": f"https://grafana.acme.example/{name}"}
            ],
            started_at=at + timedelta(seconds=1 + place),
            finished_at=at + timedelta(seconds=1 + place, milliseconds=ms),
        )
    await add(
        connection,
        "usage",
        **values,
        provider="anthropic",
        model="claude-sonnet-5-5",
        input_tokens=21_000,
        output_tokens=900,
        cache_read_tokens=15_000,
        usd=0.0412,
        created_at=at,
    )
    await add(
        connection,
        "usage",
        **values,
        provider="ollama",
        model="unknown",
        input_tokens=10,
        output_tokens=9,
        usd=None,
        created_at=at,
    )
    await add(
        connection,
        "artifacts",
        session_id=session,
        turn_id=turn,
        file_name="slo/checkout.yaml",
        title="SLO of checkout",
        media_type="application/yaml",
        content=f"slo: 99.9\n# {ATTACK}\n",
        faults=["line 2: an objective is missing"],
        created_at=at,
    )
    await connection.execute(tables.turns.update().where(tables.turns.c.id == turn).values(status="done"))
    await connection.execute(tables.feedback.insert().values(turn_id=turn, user_id="U0LENA", helpful=True))


async def _investigation(
    connection: AsyncConnection, number: int, at: datetime, chance: random.Random
) -> None:
    cause = CAUSES[number % len(CAUSES)]
    confidence = round(chance.uniform(0.15, 0.95), 2)
    level = "high" if confidence >= 0.75 else "medium" if confidence >= 0.45 else "low"
    service = SERVICES[number % 4]
    title = f"High error rate on {service}" if number else f"High error rate on {service} {ATTACK}"
    incident = await add(
        connection,
        "incidents",
        source="alertmanager" if number % 2 else "pagerduty",
        incident_key=f"Q{number}",
        title=title,
        service_name=service,
        severity=f"P{number % 3 + 1}",
        status="resolved" if number else "open",
        alert={},
        started_at=at,
        created_at=at,
    )
    brief = {
        "headline": f"{service} fails 12 % of requests since a rollout",
        "likely_cause": {"text": cause, "evidence": ["E1", "E2"]},
        "impact": {"text": "One in eight payments fails.", "evidence": ["E1"]},
        "since": "08:35 UTC",
        "status": "ongoing",
        "recurrence": "recurring",
        "urgency": "act now",
        "confidence_level": level,
        "confidence": confidence,
        "alternatives": [{"cause": "Traffic", "why": "Requests are flat (E1)."}],
        "next_steps": ["Check the pool's size.", "Compare with yesterday."],
        "options": ["Roll back checkout."],
        "gaps": ["tempo: did not answer within 4 s"],
        "model": "claude-sonnet-5-5" if number % 3 else None,
    }
    one = await add(
        connection,
        "investigations",
        id=investigation_id(number),
        incident_id=incident,
        title=title,
        service_name=service,
        severity=f"P{number % 3 + 1}",
        status="diagnosing",
        brief=brief if number < 39 else {"headline": "An old one."},
        report=f"# Report\n\nIt was **bad**. {ATTACK}",
        trace_id="cd" * 16,
        created_at=at,
        looked_at=at + timedelta(seconds=3.1),
        resolved_at=at + timedelta(minutes=40) if number else None,
    )
    await connection.execute(
        tables.incidents.update().where(tables.incidents.c.id == incident).values(investigation_id=one)
    )
    for label, source, query, link, statement in (
        (
            "E1",
            "prometheus",
            'sum(rate(http_requests_total{code=~"5.."}[5m]))',
            "https://prometheus.acme.example/graph?g0",
            f"Errors rose from 0.1 % to 12 % at 08:35 UTC. {ATTACK}",
        ),
        (
            "E2",
            "argocd",
            "application checkout",
            "javascript:alert(1)",
            "4f1c2ab was rolled out at 08:33 UTC.",
        ),
        ("E10", "loki", '{service="checkout"} |= "pool"', None, "“pool exhausted” 812 times since."),
    ):
        await add(
            connection,
            "evidence",
            investigation_id=one,
            label=label,
            source=source,
            query=query,
            link=link,
            window_start=at - timedelta(hours=1),
            window_end=at,
            finding={"statement": statement},
        )
    if number:
        over = tables.investigations.update().where(tables.investigations.c.id == one)
        await connection.execute(over.values(status="done", finished_at=at + timedelta(seconds=29)))
    if number and number % 5:
        right = chance.random() < confidence
        await add(
            connection,
            "outcomes",
            investigation_id=one,
            user_id="U0OMAR",
            correct=right,
            cause=None if right else "It was the load test.",
            source="modal",
            created_at=at,
        )


async def _spending(connection: AsyncConnection, now: datetime, chance: random.Random) -> None:
    for day in range(60):
        for model, usd in (("claude-haiku-5-5", 0.9), ("claude-sonnet-5-5", 2.4)):
            await add(
                connection,
                "usage",
                attempt=1,
                provider="anthropic",
                model=model,
                input_tokens=120_000,
                output_tokens=9_000,
                cache_read_tokens=80_000,
                usd=round(usd * chance.uniform(0.3, 1.6), 4),
                created_at=now - timedelta(days=day, hours=1),
            )
    # The hour may end while the tests run.
    moments = (now, now + timedelta(hours=1))
    for window in {
        f"{name}:{at:{form}}"
        for at in moments
        for name, form in (("hour", "%Y-%m-%dT%H"), ("day", "%Y-%m-%d"))
    }:
        await connection.execute(tables.budget_windows.insert().values(window=window, spent_usd=1))


async def _revisions(connection: AsyncConnection, now: datetime) -> None:
    faults = [
        {
            "path": "workflows/slo-workshop.md",
            "line": 12,
            "severity": "error",
            "message": f"unknown field “targt” {ATTACK}",
        },
        {"path": "tiers/tier-1.md", "line": 3, "severity": "warning", "message": "no heading"},
    ]
    for number in range(30):
        await add(
            connection,
            "knowledge_revisions",
            revision=f"{number:02d}c0ffee12345678",
            accepted=number != 28,
            commit_id="ab" * 20,
            faults=faults if number == 28 else [],
            created_at=now - timedelta(hours=30 - number),
        )


async def _audit(connection: AsyncConnection, now: datetime, chance: random.Random) -> None:
    rows = [
        {
            "created_at": now - timedelta(minutes=7 * number),
            "action": "tool_call" if number % 3 else "message",
            "user_id": f"U0{('LENA', 'OMAR', 'SAM')[number % 3]}",
            "service_name": SERVICES[number % len(SERVICES)],
            "channel_id": "C0CHECKOUT",
            "thread_ts": f"17{number % 9}.000100",
            "input_text": QUESTIONS[number % len(QUESTIONS)] if number else f"=HYPERLINK(1) {ATTACK}",
            "response_text": f"row {number}: the timeout is 800 ms",
            "confidence": None if number % 3 else 0.7,
            "sre_tagged": number % 11 == 0,
            "knowledge_revision": "9b1c0ffee1234567",
            "trace_id": f"{number:032x}",
        }
        for number in range(130)
    ]
    await connection.execute(tables.audit_log.insert(), rows)


async def _queue(connection: AsyncConnection, now: datetime) -> None:
    """Two turns that are under way, as the queue has them."""
    for number, status in ((0x2001, "running"), (0x2002, "queued")):
        session = await add(
            connection,
            "sessions",
            team_id="T0ACME",
            channel_id="C0PAY",
            thread_ts=f"{number}.1",
            service_name="payments",
        )
        await add(
            connection,
            "turns",
            id=UUID(int=number),
            session_id=session,
            source_key=f"slack:{number}",
            kind="mention",
            status=status,
            attempt=1 if status == "running" else 0,
            user_id="U0SAM",
            question=f"is payments {status}? {ATTACK}",
            trace_id="ef" * 16,
            created_at=now - timedelta(seconds=9),
        )
        await connection.execute(
            text(
                "INSERT INTO procrastinate_jobs (queue_name, task_name, args, status, scheduled_at)"
                " VALUES ('turns', 'run_turn', CAST(:args AS jsonb), CAST(:status AS procrastinate_job_status), :at)"
            ),
            {
                "args": f'{{"turn_id": "{UUID(int=number)}"}}',
                "status": "doing" if status == "running" else "todo",
                "at": now - timedelta(seconds=9),
            },
        )


async def _old_session(connection: AsyncConnection, now: datetime) -> None:
    """Forty-five turns, always two at one time."""
    session = await add(
        connection, "sessions", team_id="T0ACME", channel_id="C0OLD", thread_ts="1700000000.000100"
    )
    for number in range(45):
        await add(
            connection,
            "turns",
            id=UUID(int=0x3000 + 7 * number % 64),
            session_id=session,
            source_key=f"old:{number}",
            kind="mention",
            user_id="U0SAM",
            question=f"question {number}.",
            trace_id=f"old{number}",
            created_at=now - timedelta(days=2) + timedelta(seconds=number // 2),
        )
