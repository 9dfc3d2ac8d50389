"""The transcript of a session as one running turn reads and extends it: the checkpoint of all work.

Rows are only ever added, each carrying the turn's attempt, which the database checks.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.agent.protocols import ToolCallRow
from app.context.models import Source
from app.conversations.models import Session, Turn
from app.conversations.whole import make_whole
from app.storage.audit import write_audit
from app.storage.characters import storable
from app.storage.engine import as_json, autocommit, begin
from app.storage.tables import tool_calls

# The newest summary and what it does not cover; without one, everything. Two halves, so that what the summary
# covers is not read: a thread's thousandth turn costs what its tenth does.
HISTORY = text("""
WITH summary AS (
    SELECT id, turn_id, body, through_id FROM messages
     WHERE session_id = :session AND kind = 'summary' ORDER BY id DESC LIMIT 1
)
SELECT id, turn_id, body FROM (
    SELECT id, turn_id, body, 1 AS place FROM summary
    UNION ALL
    SELECT id, turn_id, body, 2 AS place FROM messages
     WHERE session_id = :session AND kind <> 'summary'
       AND id > coalesce((SELECT through_id FROM summary), 0)
) AS tail
ORDER BY place, id
""")
SINCE = text(
    "SELECT id, turn_id, kind, body FROM messages WHERE session_id = :session AND id > :known ORDER BY id"
)
ADD = text("""
INSERT INTO messages (session_id, turn_id, attempt, kind, body, through_id)
VALUES (:session_id, :turn_id, :attempt, :kind, CAST(:body AS jsonb), :through_id) RETURNING id
""")
# With what its session is about from now on.
ADD_QUESTION = text("""
WITH question AS (
    INSERT INTO messages (session_id, turn_id, attempt, kind, body)
    VALUES (:session_id, :turn_id, :attempt, 'question', CAST(:body AS jsonb)) RETURNING id, session_id
)
UPDATE sessions SET service_name = :service_name, knowledge_revision = :knowledge_revision,
                    context_refs = CAST(:context_refs AS jsonb)
  FROM question WHERE sessions.id = question.session_id RETURNING question.id
""")
# What a dead predecessor left unfinished is taken over.
TOOL_STARTED = text("""
INSERT INTO tool_calls (session_id, turn_id, attempt, call_id, name, arguments)
VALUES (:session_id, :turn_id, :attempt, :call_id, :name, CAST(:arguments AS jsonb))
ON CONFLICT (turn_id, call_id) DO UPDATE SET attempt = excluded.attempt, started_at = now()
""")
SOURCES = TypeAdapter(tuple[Source, ...])
Clock = Callable[[], float]


@dataclass(frozen=True)
class _Row:
    id: int
    turn_id: UUID
    message: ModelMessage


class Tails:
    """The tails of the threads this process answered last, so that only what is new is read.

    What is kept was read from the database, so it is committed; rows are never changed; and whoever takes a
    turn over waits for the writes that have begun, so what is not yet seen has higher ids.
    """

    def __init__(self, *, threads: int = 64, seconds: float = 900, clock: Clock = time.monotonic) -> None:
        """At most `threads` are kept, each for `seconds`: what is forgotten must not stay in a memory."""
        self._threads = threads
        self._seconds = seconds
        self._clock = clock
        self._kept: OrderedDict[int, tuple[float, tuple[_Row, ...]]] = OrderedDict()

    async def read(self, connection: AsyncConnection, session_id: int) -> list[_Row]:
        """The newest summary and what came after it, oldest first."""
        known = self._known(session_id)
        fresh: list[_Row] | None = None
        if known:
            newest = max(row.id for row in known)
            found = (await connection.execute(SINCE, {"session": session_id, "known": newest})).all()
            if all(row.kind != "summary" for row in found):
                fresh = _rows(found)
        if fresh is None:
            known, fresh = (), _rows((await connection.execute(HISTORY, {"session": session_id})).all())
        rows = (*known, *fresh)
        self._keep(session_id, rows)
        return list(rows)

    def _known(self, session_id: int) -> tuple[_Row, ...]:
        since, rows = self._kept.get(session_id, (0.0, ()))
        return rows if self._clock() - since < self._seconds else ()

    def _keep(self, session_id: int, rows: tuple[_Row, ...]) -> None:
        now = self._clock()
        self._kept[session_id] = (now, rows)
        self._kept.move_to_end(session_id)
        while len(self._kept) > self._threads or now - next(iter(self._kept.values()))[0] > self._seconds:
            self._kept.popitem(last=False)


def _rows(found: Sequence[Any]) -> list[_Row]:
    said = ModelMessagesTypeAdapter.validate_python([row.body for row in found])
    return [_Row(row.id, row.turn_id, each) for row, each in zip(found, said, strict=True)]


def _body(message: ModelMessage) -> str:
    make_whole(message)
    [body] = ModelMessagesTypeAdapter.dump_python([message], mode="json")
    return as_json(body)


class SessionTranscript:
    """The rows of `turn.session`, written under `turn.attempt`.

    Every write raises `StaleAttempt` once another worker has taken the turn over.
    """

    def __init__(self, engine: AsyncEngine, turn: Turn, tails: Tails | None = None) -> None:
        self._engine = engine
        self._turn = turn
        self.session = turn.session
        """What its audit rows say of the session: the service, and the knowledge that shapes this turn."""
        self._tails = tails or Tails()
        self._rows: list[_Row] | None = None

    @property
    def session_id(self) -> int:
        return self._turn.session.id

    async def history(self) -> list[ModelMessage]:
        """Read once: nobody else writes to a session while one of its turns runs."""
        return [row.message for row in await self._load()]

    async def has_question(self) -> bool:
        """Whether this turn's question is stored: then an earlier attempt got at least that far."""
        return any(row.turn_id == self._turn.id for row in await self._load())

    async def _load(self) -> list[_Row]:
        if self._rows is None:
            async with autocommit(self._engine) as connection:
                self._rows = await self._tails.read(connection, self._turn.session.id)
        return self._rows

    async def append(self, message: ModelMessage, *, kind: str = "model") -> None:
        async with autocommit(self._engine) as connection:
            await self.add(connection, message, kind=kind)

    async def add(
        self, connection: AsyncConnection, message: ModelMessage, *, kind: str, through_id: int | None = None
    ) -> int:
        """Add a row within the caller's transaction; its id. `message` is made whole first, in place."""
        values = {**self._marks(), "kind": kind, "body": _body(message), "through_id": through_id}
        return self._added(message, (await connection.execute(ADD, values)).scalar_one())

    async def ask(self, message: ModelMessage, session: Session, context_refs: list[dict[str, Any]]) -> None:
        """Add the turn's question, and what the session is about, which knowledge it is pinned to and which
        documents its newest turn was given."""
        values = {
            **self._marks(),
            "body": _body(message),
            "service_name": session.service_name,
            "knowledge_revision": session.knowledge_revision,
            "context_refs": as_json(context_refs),
        }
        async with autocommit(self._engine) as connection:
            self._added(message, (await connection.execute(ADD_QUESTION, values)).scalar_one())
        self.session = session

    def _added(self, message: ModelMessage, row_id: int) -> int:
        if self._rows is not None:
            self._rows.append(_Row(row_id, self._turn.id, message))
        return row_id

    async def compacted(self, summary: ModelMessage, through: int) -> None:
        """`through` counts messages of `history()`; the row remembers which id that was."""
        rows = list(await self._load())
        async with autocommit(self._engine) as connection:
            await self.add(connection, summary, kind="summary", through_id=rows[through - 1].id)
        self._rows = [_Row(0, self._turn.id, summary), *rows[through:]]

    async def tool_call(self, call_id: str) -> ToolCallRow | None:
        statement = select(tool_calls).where(
            tool_calls.c.turn_id == self._turn.id, tool_calls.c.call_id == call_id
        )
        async with autocommit(self._engine) as connection:
            row = (await connection.execute(statement)).mappings().first()
        if row is None:
            return None
        return ToolCallRow(
            call_id,
            row["name"],
            row["arguments"],
            row["result"],
            bool(row["failed"]),
            SOURCES.validate_python(row["sources"]),
        )

    async def tool_started(self, call_id: str, name: str, arguments: dict[str, Any]) -> None:
        """Journal the intention; a call that a dead predecessor left unfinished is taken over."""
        values = {**self._marks(), "call_id": call_id, "name": name, "arguments": as_json(arguments)}
        async with autocommit(self._engine) as connection:
            await connection.execute(TOOL_STARTED, values)

    async def tool_finished(
        self,
        call_id: str,
        *,
        result: str,
        full: str | None,
        failed: bool,
        duration_ms: int,
        sources: Sequence[Source] = (),
    ) -> None:
        async with begin(self._engine) as connection:
            finished = await connection.execute(
                tool_calls.update()
                .where(tool_calls.c.turn_id == self._turn.id, tool_calls.c.call_id == call_id)
                .returning(tool_calls.c.name, tool_calls.c.arguments)
                .values(
                    attempt=self._turn.attempt,
                    result=storable(result),
                    result_full=storable(full) if full is not None else None,
                    failed=failed,
                    duration_ms=duration_ms,
                    sources=[source.model_dump(mode="json") for source in sources],
                    finished_at=func.now(),
                )
            )
            name, arguments = finished.one()
            await self._audit_tool_call(connection, name, arguments, result)

    async def _audit_tool_call(
        self, connection: AsyncConnection, name: str, arguments: dict[str, Any], result: str
    ) -> None:
        session = self.session
        await write_audit(
            connection,
            "tool_call",
            thread_ts=session.thread_ts,
            channel_id=session.channel_id,
            user_id=self._turn.user_id,
            service_name=session.service_name,
            input_text=f"{name} {as_json(arguments)}",
            response_text=storable(result),
            knowledge_revision=session.knowledge_revision,
            trace_id=self._turn.trace_id,
        )

    def _marks(self) -> dict[str, Any]:
        return {
            "session_id": self._turn.session.id,
            "turn_id": self._turn.id,
            "attempt": self._turn.attempt,
        }
