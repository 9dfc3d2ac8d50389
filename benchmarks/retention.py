"""How fast a million old messages go, and what turns notice of it while they do."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart
from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations import repository
from app.conversations.accept import accept
from app.conversations.models import Incoming
from app.conversations.retention import Retention, prune
from app.conversations.transcript import SessionTranscript
from app.storage.engine import begin, create_engine, url_for
from app.storage.migrate import upgrade
from app.telemetry import set_up_logging
from benchmarks.figures import Row, Target, spread
from benchmarks.stand import empty_database, own_postgres

PARTS = ("million",)
QUICK, FULL = 20_000, 1_000_000
"""Messages that are too old."""
IN_A_THREAD = 100
TURNS_IN_A_THREAD = 5
WRITERS = 4
"""Turns at once; each begins a thread, and its next one follows after a pause."""
PAUSE_SECONDS = 0.05
ALONE_SECONDS = 15
LOOK_SECONDS = 0.01
KEPT = Retention(audit_days=400, transcript_days=180, result_days=30)
SCRIPT = f"""\
million   1,000,000 messages of 10,000 threads nobody used for a year, with 50,000 turns, 50,000 tool calls
          and as many rows of usage and of the audit log, beside a tenth as much that stays; {WRITERS} turns
          at once all the while
counted   retention from its beginning to its end, its pauses included; of a turn its own database time
          (accepted, begun, two messages, a tool call, ended), alone and beside retention; the longest wait
          for a lock
"""

SESSIONS = """
INSERT INTO sessions (team_id, channel_id, thread_ts, created_at, updated_at)
SELECT 'T0', 'C0', n || '.1', now() - age, now() - age
  FROM generate_series(1, {threads}) AS n,
       LATERAL (SELECT CASE WHEN n <= {old} THEN interval '380 days' ELSE interval '9 days' END
                       + make_interval(secs => {threads} - n) AS age) AS aged
"""
TURNS = """
INSERT INTO turns (id, session_id, source_key, kind, status, attempt, user_id, question, trace_id, created_at)
SELECT gen_random_uuid(), session.id, session.id || ':' || n, 'mention', 'done', 1, 'U' || n,
       'what does checkout need?', md5(session.id || ':' || n), session.created_at
  FROM sessions AS session, generate_series(1, {turns}) AS n
"""
MESSAGES = """
INSERT INTO messages (session_id, turn_id, attempt, kind, body, created_at)
SELECT session_id, id, 1, 'model', jsonb_build_object('n', n, 'text', repeat(md5(n || trace_id), 14)),
       created_at
  FROM turns, generate_series(1, {messages}) AS n
"""
CALLS = """
INSERT INTO tool_calls (session_id, turn_id, attempt, call_id, name, arguments, result, result_full,
                        started_at, finished_at)
SELECT session_id, id, 1, 'c1', 'promql', '{{}}', 'a digest', repeat(trace_id, 60), created_at, created_at
  FROM turns
"""
USAGE = """
INSERT INTO usage (session_id, turn_id, attempt, provider, model, input_tokens, output_tokens, created_at)
SELECT session_id, id, 1, 'anthropic', 'haiku', 10, 2, created_at FROM turns
"""
AUDIT = """
INSERT INTO audit_log (action, user_id, input_text, response_text, trace_id, created_at)
SELECT 'message', user_id, question, repeat(trace_id, 8), trace_id, created_at - interval '30 days' FROM turns
"""


async def run(size: int, parts: Sequence[str]) -> list[Row]:
    set_up_logging("ERROR")
    with tempfile.TemporaryDirectory(prefix="sre-agent-bench-", ignore_cleanup_errors=True) as folder:
        postgres = await own_postgres(Path(folder))
        try:
            url, drop = await empty_database(postgres)
            try:
                await upgrade(url)
                return await measured(url, size)
            finally:
                await drop()
        finally:
            if postgres:
                await postgres.stop()


async def measured(url: str, size: int) -> list[Row]:
    plain = url_for("asyncpg", url).replace("postgresql+asyncpg://", "postgresql://")
    connection = await asyncpg.connect(plain)
    await fill(connection, size)
    before = await weight(connection)
    engine = create_engine(url)
    alone, beside, locks, batches = Turns(engine), Turns(engine, 1_000_000), Locks(plain), Batches()
    async with alone.coming():
        await asyncio.sleep(ALONE_SECONDS)
    async with locks.watched(), beside.coming():
        began = time.perf_counter()
        batches.began = began
        assert await prune(engine, KEPT, sleep=batches.pause)
        took = time.perf_counter() - began
    await engine.dispose()
    await connection.execute("VACUUM messages, turns, tool_calls, audit_log")
    after = await weight(connection)
    await connection.close()
    gone = before.messages - after.messages + sum(alone.written) + sum(beside.written)
    rows = before.rows - after.rows
    return [
        Row("old messages that are left", "", {"value": after.old}, target=Target("value", 0)),
        Row("messages removed", "/s", {"value": gone / took}, note=f"{gone:,} in {took:.0f} s"),
        Row("  all rows of theirs", "/s", {"value": rows / took}),
        Row(
            "  one batch, its pause left out",
            "ms",
            spread(batches.milliseconds),
            count=len(batches.milliseconds),
        ),
        Row("a turn's database time, alone", "ms", spread(alone.milliseconds), WRITERS),
        Row("a turn's database time, beside retention", "ms", spread(beside.milliseconds), WRITERS),
        Row("longest wait for a lock", "ms", {"value": locks.longest * 1000}, target=Target("value", 50)),
        Row("messages on disk before", "MB", {"value": before.megabytes}),
        Row("messages on disk after, vacuumed", "MB", {"value": after.megabytes}),
        Row("  of that free for new rows", "MB", {"value": after.free}),
    ]


async def fill(connection: asyncpg.Connection, size: int) -> None:
    """Without triggers, which a million rows would wait for."""
    old = size // IN_A_THREAD
    values = {
        "old": old,
        "threads": old + old // 10,
        "turns": TURNS_IN_A_THREAD,
        "messages": IN_A_THREAD // TURNS_IN_A_THREAD,
    }
    await connection.execute("SET session_replication_role = replica; SET synchronous_commit = off")
    for statement in (SESSIONS, TURNS, MESSAGES, CALLS, USAGE, AUDIT):
        await connection.execute(statement.format(**values))
    await connection.execute("RESET session_replication_role; CREATE EXTENSION IF NOT EXISTS pg_freespacemap")
    await connection.execute("VACUUM ANALYZE")
    await connection.execute("CHECKPOINT")


@dataclass(frozen=True)
class Weight:
    messages: int
    old: int
    rows: int
    megabytes: float
    free: float


async def weight(connection: asyncpg.Connection) -> Weight:
    counts = {
        table: await connection.fetchval(f"SELECT count(*) FROM {table}")
        for table in ("messages", "turns", "tool_calls", "sessions", "audit_log")
    }
    old = await connection.fetchval(
        "SELECT count(*) FROM messages WHERE created_at < now() - interval '180 days'"
    )
    size = await connection.fetchval("SELECT pg_total_relation_size('messages')")
    free = await connection.fetchval("SELECT coalesce(sum(avail), 0) FROM pg_freespace('messages')")
    return Weight(counts["messages"], old, sum(counts.values()), size / 2**20, free / 2**20)


@dataclass
class Turns:
    """Turns that come all the while; `first` is where the times of their threads begin."""

    engine: AsyncEngine
    first: int = 0
    milliseconds: list[float] = field(default_factory=list)
    written: list[int] = field(default_factory=list)

    @asynccontextmanager
    async def coming(self) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._write(writer)) for writer in range(WRITERS)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self, writer: int) -> None:
        number = self.first
        while True:
            number += 1
            began = time.perf_counter()
            await self._turn(f"{number}.{writer + 2}")
            self.milliseconds.append((time.perf_counter() - began) * 1000)
            self.written.append(2)
            await asyncio.sleep(PAUSE_SECONDS)

    async def _turn(self, ts: str) -> None:
        said = {"team_id": "T1", "channel_id": "C1", "thread_ts": ts, "message_ts": ts, "user_id": "U1"}
        accepted = await accept(self.engine, Incoming(**said, text="what do I need?", kind="mention"))
        assert accepted
        async with begin(self.engine) as connection:
            turn = await repository.begin_turn(connection, accepted.turn_id)
        assert turn
        transcript = SessionTranscript(self.engine, turn)
        await transcript.append(ModelRequest([UserPromptPart("what do I need?")]))
        await transcript.tool_started("c1", "promql", {"q": "up"})
        await transcript.tool_finished("c1", result="1", full=None, failed=False, duration_ms=1)
        await transcript.append(ModelResponse([TextPart("an SLO")]))
        async with begin(self.engine) as connection:
            end = {"actions": ["message"], "said": "", "confidence": None, "shaped_by": None, "newest": "abc"}
            await repository.end_turn(connection, turn, "done", **end)


@dataclass
class Locks:
    """The longest time anybody waited for a lock, looked at often."""

    url: str
    longest: float = 0.0

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        connection = await asyncpg.connect(self.url)
        task = asyncio.create_task(self._watch(connection))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await connection.close()

    async def _watch(self, connection: asyncpg.Connection) -> None:
        waits = (
            "SELECT max(extract(epoch FROM clock_timestamp() - waitstart)) FROM pg_locks WHERE NOT granted"
        )
        while True:
            self.longest = max(self.longest, float(await connection.fetchval(waits) or 0))
            await asyncio.sleep(LOOK_SECONDS)


@dataclass
class Batches:
    """How long each of retention's transactions took, from pause to pause."""

    began: float = 0.0
    milliseconds: list[float] = field(default_factory=list)

    async def pause(self, seconds: float) -> None:
        self.milliseconds.append((time.perf_counter() - self.began) * 1000)
        await asyncio.sleep(seconds)
        self.began = time.perf_counter()
