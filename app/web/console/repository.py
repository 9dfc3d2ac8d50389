"""All SQL of the console. It only reads, on connections on which the database refuses anything else.

Lists go by key, never by offset: what a page costs does not grow with how far back it lies. What was said is
cut to what a page shows; whole it is behind a link of its own.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import TextClause, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.agent.spending import BY_DAY
from app.conversations import showing
from app.errors import AgentError
from app.investigations import accuracy, overview
from app.operations.repository import queues, windows, workers
from app.storage.engine import begin
from app.web.console.models import (
    Artifact,
    ArtifactRow,
    AuditFilter,
    AuditPage,
    AuditRow,
    EvidenceRow,
    Figures,
    IncidentRow,
    Investigation,
    InvestigationHead,
    InvestigationRow,
    KeptCall,
    Live,
    LiveTurn,
    OutcomeRow,
    Revision,
    Said,
    Session,
    SessionHead,
    SessionRow,
    Spent,
    Spoken,
    Step,
    ToolCall,
    Turn,
    TurnRow,
    Used,
)
from app.web.console.paging import BadCursor, Moment, Page, page

T = TypeVar("T")

ROWS = 25
TURNS = 20
AUDIT_ROWS = 50
MOST_LIVE = 50
CANCELLED_SQLSTATE = "57014"

SEARCH_SECONDS = 0.12
"""After this a page of a search for a text looks at no further part of the log."""
FIRST_PART = 2_000
LARGEST_PART = 32_000
"""Rows of one part; each is twice the one before."""

# By their jobs: an index on the status of turns would be written at every step of every turn.
LIVE_TURNS = text("""
SELECT turn.id, turn.session_id, turn.kind, turn.status, turn.attempt, turn.user_id,
       left(turn.question, 200) AS question, session.service_name, turn.created_at, turn.started_at
  FROM procrastinate_jobs AS job
  JOIN turns AS turn ON turn.id = CAST(job.args ->> 'turn_id' AS uuid)
  JOIN sessions AS session ON session.id = turn.session_id
 WHERE job.status IN ('todo', 'doing') AND turn.status IN ('queued', 'running')
 ORDER BY turn.status DESC, job.priority DESC, job.id LIMIT :limit
""")
LATELY = text("""
SELECT created_at, user_id, service_name, channel_id, thread_ts, left(input_text, 160) AS input_text,
       confidence
  FROM audit_log WHERE action = 'message' ORDER BY created_at DESC, id DESC LIMIT 8
""")

SESSIONS = """
SELECT id, channel_id, thread_ts, service_name, workflow, created_at, updated_at,
       (SELECT left(question, 160) FROM turns WHERE session_id = session.id
         ORDER BY created_at LIMIT 1) AS first,
       (SELECT count(*) FROM turns WHERE session_id = session.id) AS turns,
       (SELECT sum(usd) FROM usage WHERE session_id = session.id) AS usd,
       (SELECT id FROM investigations WHERE session_id = session.id
         ORDER BY created_at LIMIT 1) AS investigation_id
  FROM sessions AS session WHERE {where} ORDER BY id DESC LIMIT :limit
"""
SESSION = text("""
SELECT id, team_id, channel_id, thread_ts, service_name, workflow, workflow_state, knowledge_revision,
       context_refs, created_at, updated_at,
       (SELECT count(*) FROM turns WHERE session_id = session.id) AS turns
  FROM sessions AS session WHERE id = :id
""")
USED = """
SELECT provider || ' ' || model AS model, count(*) AS requests, sum(input_tokens) AS input_tokens,
       sum(cache_read_tokens) AS cached_tokens, sum(output_tokens) AS output_tokens,
       coalesce(sum(usd), 0) AS usd, count(*) FILTER (WHERE usd IS NULL) AS unpriced
  FROM usage WHERE {where} GROUP BY 1 ORDER BY 1
"""
USED_BY_SESSION = text(USED.format(where="session_id = :id"))
USED_BY_INVESTIGATION = text(
    USED.format(where="turn_id = (SELECT turn_id FROM investigations WHERE id = :id)")
)
ARTIFACTS = text("""
SELECT id, file_name, title, media_type, length(content) AS characters, faults, created_at,
       (SELECT outcome ->> 'link' FROM deliveries
         WHERE session_id = artifact.session_id AND artifact.id = ANY(artifact_ids)
           AND outcome ->> 'link' IS NOT NULL ORDER BY deliveries.id DESC LIMIT 1) AS link
  FROM artifacts AS artifact WHERE session_id = :id ORDER BY artifact.id DESC LIMIT 50
""")
TURNS_OF = """
SELECT turn.id, kind, turn.status, turn.attempt, user_id, question, stopped_by,
       nullif(answer, 'null') AS answer, turn.error_code, turn.trace_id, turn.created_at, turn.started_at,
       turn.finished_at,
       used.input_tokens, used.output_tokens, used.usd, thumbs.helpful, thumbs.unhelpful,
       investigation.id AS investigation_id, investigation.told #>> '{{headline}}' AS headline,
       investigation.told #>> '{{likely_cause,text}}' AS cause
  FROM turns AS turn
  LEFT JOIN LATERAL (SELECT sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens,
                            sum(usd) AS usd FROM usage WHERE turn_id = turn.id) AS used ON true
  LEFT JOIN LATERAL (SELECT count(*) FILTER (WHERE helpful) AS helpful,
                            count(*) FILTER (WHERE NOT helpful) AS unhelpful
                       FROM feedback WHERE turn_id = turn.id) AS thumbs ON true
  LEFT JOIN LATERAL (SELECT id, coalesce(nullif(brief, 'null'), nullif(evidence_brief, 'null')) AS told
                       FROM investigations WHERE turn_id = turn.id LIMIT 1) AS investigation ON true
 WHERE {where} ORDER BY turn.created_at DESC, turn.id DESC LIMIT :limit
"""
CALLS = text("""
SELECT id, turn_id, attempt, name, arguments, left(result, :longest) AS result,
       CASE WHEN result_full IS NOT NULL THEN octet_length(result_full)
            WHEN octet_length(result) > :longest THEN octet_length(result) END AS kept,
       sources, failed, duration_ms, started_at
  FROM tool_calls WHERE turn_id = ANY(:turns) ORDER BY id LIMIT 2000
""")
SPOKEN = text("""
SELECT turn_id, left(part ->> 'content', :longest) AS text, created_at AS at
  FROM messages, jsonb_array_elements(body -> 'parts') AS part
 WHERE turn_id = ANY(:turns) AND messages.kind = 'model' AND body ->> 'kind' = 'response'
   AND part ->> 'part_kind' = 'text' ORDER BY messages.id LIMIT 2000
""")
LONGEST_SHOWN = 8_000
"""Characters of one result or text within a transcript."""
KEPT_CALL = text("""
SELECT id, session_id, name, arguments, coalesce(result_full, result) AS result, started_at
  FROM tool_calls WHERE id = :id
""")
ARTIFACT = text("""
SELECT id, session_id, file_name, title, media_type, content, faults, created_at
  FROM artifacts WHERE id = :id
""")

INVESTIGATIONS = """
SELECT investigation.id, title, service_name, severity, status, storm_size, created_at, finished_at,
       told ->> 'headline' AS headline, told #>> '{{likely_cause,text}}' AS cause,
       told ->> 'confidence_level' AS level, CAST(told ->> 'confidence' AS double precision) AS confidence,
       told ->> 'model' AS model, outcome.correct, outcome.cause AS told
  FROM investigations AS investigation
 CROSS JOIN LATERAL (SELECT coalesce(nullif(brief, 'null'), nullif(evidence_brief, 'null')) AS told) AS brief
  LEFT JOIN LATERAL (SELECT correct, cause FROM outcomes WHERE investigation_id = investigation.id
                      ORDER BY (user_id IS NOT NULL) DESC, id DESC LIMIT 1) AS outcome ON true
 WHERE {where} ORDER BY created_at DESC, investigation.id DESC LIMIT :limit
"""
INVESTIGATION = text("""
SELECT investigation.id, title, investigation.service_name, severity, status, round, attempt, storm_id,
       storm_size, grouped_because, session_id, session.channel_id, session.thread_ts, onset_at,
       nullif(evidence_brief, 'null') AS evidence_brief, nullif(brief, 'null') AS brief, report, error_code,
       trace_id, investigation.created_at, looked_at, resolved_at, finished_at
  FROM investigations AS investigation LEFT JOIN sessions AS session ON session.id = session_id
 WHERE investigation.id = :id
""")
INCIDENTS = text("""
SELECT source, incident_key, incident.title, incident.service_name, incident.severity, incident.status,
       incident.started_at, incident.resolved_at, coalesce(joined_because, grouped_because) AS joined_because
  FROM investigations AS shown JOIN incidents AS incident ON incident.investigation_id = shown.id
 WHERE shown.id = :id OR shown.storm_id = :id ORDER BY shown.id <> :id, incident.id LIMIT 100
""")
EVIDENCE = text("""
SELECT label, source, query, window_start, window_end, link, finding ->> 'statement' AS statement
  FROM evidence WHERE investigation_id = :id ORDER BY length(label), label LIMIT 500
""")
OUTCOMES = text("""
SELECT user_id, correct, cause, source, created_at FROM outcomes
 WHERE investigation_id = :id ORDER BY id DESC LIMIT 50
""")

REVISIONS = """
SELECT id, revision, accepted, commit_id, faults, created_at
  FROM knowledge_revisions WHERE {where} ORDER BY id DESC LIMIT :limit
"""

AUDIT_COLUMNS = """id, created_at, action, user_id, service_name, workflow, channel_id, thread_ts, {said},
       confidence, sre_tagged, knowledge_revision, trace_id"""
SHOWN = "left(input_text, 1200) AS input_text, left(response_text, 1200) AS response_text"
WHOLE = "input_text, response_text"
AUDIT = "SELECT {columns} FROM audit_log WHERE {where} ORDER BY created_at DESC, id DESC LIMIT :limit"
PART_ENDS = """
SELECT created_at, id FROM audit_log WHERE {where}
 ORDER BY created_at DESC, id DESC OFFSET :part - 1 LIMIT 1
"""
SAYS = "(input_text ILIKE :pattern OR response_text ILIKE :pattern)"
# From one action to the next along the index: there are few.
ACTIONS = text("""
WITH RECURSIVE found AS (
    SELECT min(action) AS action FROM audit_log
    UNION ALL
    SELECT (SELECT min(action) FROM audit_log WHERE action > found.action) FROM found
     WHERE found.action IS NOT NULL
)
SELECT action FROM found WHERE action IS NOT NULL LIMIT 200
""")


class NotFound(AgentError):
    code = "not_found"
    status = 404


class TookTooLong(AgentError):
    """The database was told to stop looking."""

    code = "took_too_long"
    status = 503


@asynccontextmanager
async def reading(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction in which all statements see the same, and none may write.

    Raises:
        DatabaseUnavailable: the server is away.
        TookTooLong: a statement ran into the engine's `statement_timeout`.
    """
    try:
        async with begin(engine) as connection:
            await connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            yield connection
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == CANCELLED_SQLSTATE:
            raise TookTooLong("This took too long; ask for less, such as a shorter time.") from error
        raise


async def live(connection: AsyncConnection, now: datetime) -> Live:
    spent = await windows(connection, now)
    return Live(
        workers=await workers(connection),
        queues=await queues(connection),
        turns=await _all(connection, LIVE_TURNS, LiveTurn, limit=MOST_LIVE),
        investigating=await overview.listed(connection, waiting=True, limit=MOST_LIVE),
        investigating_in_all=await overview.waiting(connection),
        lately=await _all(connection, LATELY, Said),
        hour_usd=spent.hour_usd,
        day_usd=spent.day_usd,
    )


# -- sessions ------------------------------------------------------------------------------------------------


async def sessions(
    connection: AsyncConnection, *, before: str | None = None, service: str | None = None
) -> Page[SessionRow]:
    """The newest first."""
    where, values = ["true"], dict[str, Any]()
    if before:
        where.append("id < :before")
        values["before"] = _number(before)
    if service:
        where.append("service_name = :service")
        values["service"] = service
    statement = text(SESSIONS.format(where=" AND ".join(where)))
    rows = await _all(connection, statement, SessionRow, limit=ROWS + 1, **values)
    return page(rows, ROWS, lambda row: row.id)


async def find_session(connection: AsyncConnection, key: str) -> int:
    """The newest session that a link, `CHANNEL:THREAD_TS`, a timestamp or a trace id names.

    Raises:
        NoSuchSession: with the kinds of key there are.
    """
    return int((await showing.find(connection, key.strip()))[-1]["id"])


async def session(connection: AsyncConnection, session_id: int, *, before: str | None = None) -> Session:
    """A thread with its newest turns, or those before a cursor; within the page, oldest first.

    Raises:
        NotFound: there is no such session.
    """
    row = (await connection.execute(SESSION, {"id": session_id})).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no session {session_id}; it may have been removed with its time.")
    return Session(
        head=SessionHead(**{**row, "context_refs": tuple(row["context_refs"] or ())}),
        used=await _all(connection, USED_BY_SESSION, Used, id=session_id),
        artifacts=await _all(connection, ARTIFACTS, ArtifactRow, id=session_id),
        turns=await _turns(connection, session_id, before),
    )


async def _turns(connection: AsyncConnection, session_id: int, before: str | None) -> Page[Turn]:
    where: list[str] = ["turn.session_id = :session"]
    values: dict[str, Any] = {"session": session_id}
    if before:
        moment = Moment.parse(before)
        where.append("(turn.created_at, turn.id) < (:at, CAST(:last AS uuid))")
        values |= {"at": moment.at, "last": str(_uuid(moment.id))}
    statement = text(TURNS_OF.format(where=" AND ".join(where)))
    rows = await _all(connection, statement, TurnRow, limit=TURNS + 1, **values)
    shown = page(rows, TURNS, lambda row: Moment(row.created_at, str(row.id)))
    steps = await _steps(connection, shown.rows)
    turns = tuple(Turn(row, tuple(steps.get(row.id, ()))) for row in reversed(shown.rows))
    return Page(turns, shown.older)


async def _steps(connection: AsyncConnection, turns: Sequence[TurnRow]) -> Mapping[UUID, list[Step]]:
    """By turn, in the order in which they were begun."""
    values = {"turns": [each.id for each in turns], "longest": LONGEST_SHOWN}
    calls = await _all(connection, CALLS, ToolCall, **values)
    spoken = await _all(connection, SPOKEN, Spoken, **values)
    answers = {each.id: str((each.answer or {}).get("text") or "") for each in turns}
    found: dict[UUID, list[Step]] = {}
    for call in calls:
        found.setdefault(call.turn_id, []).append(call)
    for said in spoken:
        # The last of them is the answer itself.
        if said.text and said.text.strip() not in answers[said.turn_id]:
            found.setdefault(said.turn_id, []).append(said)
    for steps in found.values():
        steps.sort(key=lambda step: step.at if isinstance(step, Spoken) else step.started_at)
    return found


async def kept_call(connection: AsyncConnection, call_id: int) -> KeptCall:
    return await _one(connection, KEPT_CALL, KeptCall, call_id, "tool call")


async def artifact(connection: AsyncConnection, artifact_id: int) -> Artifact:
    return await _one(connection, ARTIFACT, Artifact, artifact_id, "artifact")


# -- investigations ------------------------------------------------------------------------------------------


async def investigations(
    connection: AsyncConnection,
    *,
    before: str | None = None,
    service: str | None = None,
    severity: str | None = None,
) -> Page[InvestigationRow]:
    """Those with threads of their own, the newest first."""
    where: list[str] = ["storm_id IS NULL", "status <> 'joined'"]
    values: dict[str, Any] = {}
    if before:
        moment = Moment.parse(before)
        where.append("(created_at, investigation.id) < (:at, CAST(:last AS uuid))")
        values |= {"at": moment.at, "last": str(_uuid(moment.id))}
    for column, value in (("service_name", service), ("severity", severity)):
        if value:
            where.append(f"{column} = :{column}")
            values[column] = value
    statement = text(INVESTIGATIONS.format(where=" AND ".join(where)))
    rows = await connection.execute(statement, {**values, "limit": ROWS + 1})
    return page(
        [InvestigationRow(**row) for row in rows.mappings()],
        ROWS,
        lambda row: Moment(row.created_at, str(row.id)),
    )


async def investigation(connection: AsyncConnection, investigation_id: UUID) -> Investigation:
    """Raises `NotFound`."""
    return Investigation(
        head=await _one(connection, INVESTIGATION, InvestigationHead, investigation_id, "investigation"),
        incidents=await _all(connection, INCIDENTS, IncidentRow, id=investigation_id),
        evidence=await _all(connection, EVIDENCE, EvidenceRow, id=investigation_id),
        outcomes=await _all(connection, OUTCOMES, OutcomeRow, id=investigation_id),
        used=await _all(connection, USED_BY_INVESTIGATION, Used, id=investigation_id),
    )


# -- figures, knowledge --------------------------------------------------------------------------------------


async def figures(connection: AsyncConnection, *, now: datetime, days: int) -> Figures:
    """The last `days` days, today included, in UTC."""
    since = now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days - 1)
    spent = await connection.execute(BY_DAY, {"before": days - 1})
    return Figures(
        judged=await accuracy.judged(connection, since),
        spent=tuple(
            Spent(
                datetime.fromisoformat(row.day).date(),
                row.model,
                row.requests,
                row.input,
                row.cached,
                row.output,
                row.usd or Decimal(0),
                row.unpriced,
            )
            for row in spent
        ),
    )


async def revisions(connection: AsyncConnection, *, before: str | None = None) -> Page[Revision]:
    where, values = ("id < :before", {"before": _number(before)}) if before else ("true", {})
    statement = text(REVISIONS.format(where=where))
    rows = await _all(connection, statement, Revision, limit=ROWS + 1, **values)
    return page(rows, ROWS, lambda row: row.id)


# -- the audit log -------------------------------------------------------------------------------------------


async def actions(connection: AsyncConnection) -> tuple[str, ...]:
    """Every action there is, in order."""
    return tuple((await connection.execute(ACTIONS)).scalars())


async def audit(
    connection: AsyncConnection,
    wanted: AuditFilter,
    *,
    before: str | None = None,
    limit: int = AUDIT_ROWS,
    whole: bool = False,
    seconds: float = SEARCH_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> AuditPage:
    """The newest first. With `whole`, what was said is not cut.

    A text is looked for in one part of the log after the other, each twice the one before, for about as
    many `seconds`: what a page costs is bounded however long the log is and however rare the text, no index
    is written with every answer, and parts of words, paths and ids are found. What comes behind
    `searched_to` has not been looked at; the next page does.
    """
    columns = AUDIT_COLUMNS.format(said=WHOLE if whole else SHOWN)
    where, values = _audit_where(wanted, before)
    if not wanted.text:
        statement = text(AUDIT.format(columns=columns, where=" AND ".join(where)))
        found = page(await _all(connection, statement, AuditRow, limit=limit + 1, **values), limit, _at)
        return AuditPage(found.rows, found.older)
    pattern = "%" + wanted.text.replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_") + "%"
    began, rows, part, searched = clock(), list[AuditRow](), FIRST_PART, 0
    while True:
        ends = text(PART_ENDS.format(where=" AND ".join(where)))
        last = (await connection.execute(ends, {**values, "part": part})).one_or_none()
        within, bounds = [*where, SAYS], {**values, "pattern": pattern}
        if last:
            within.append("(created_at, id) >= (:from_at, :from_id)")
            bounds |= {"from_at": last.created_at, "from_id": last.id}
        statement = text(AUDIT.format(columns=columns, where=" AND ".join(within)))
        rows += await _all(connection, statement, AuditRow, limit=limit + 1 - len(rows), **bounds)
        if len(rows) > limit or last is None:
            found = page(rows, limit, _at)
            return AuditPage(found.rows, found.older)
        searched += part
        cursor = str(Moment(last.created_at, str(last.id)))
        if clock() - began >= seconds:
            return AuditPage(tuple(rows), cursor, searched_to=last.created_at, searched=searched)
        where, values = _audit_where(wanted, cursor)
        part = min(2 * part, LARGEST_PART)


def _audit_where(wanted: AuditFilter, before: str | None) -> tuple[list[str], dict[str, Any]]:
    where, values = ["true"], dict[str, Any]()
    for condition, name, value in (
        ("user_id = :user", "user", wanted.user),
        ("service_name = :service", "service", wanted.service),
        ("action = :action", "action", wanted.action),
        ("created_at >= :since", "since", wanted.since),
        ("created_at < :until", "until", wanted.until),
        ("channel_id = :channel", "channel", wanted.channel),
        ("thread_ts = :thread", "thread", wanted.thread),
    ):
        if value is not None:
            where.append(condition)
            values[name] = value
    if before:
        moment = Moment.parse(before)
        where.append("(created_at, id) < (:at, :last)")
        values |= {"at": moment.at, "last": _number(moment.id)}
    return where, values


def _at(row: AuditRow) -> Moment:
    return Moment(row.created_at, str(row.id))


# -- rows as types -------------------------------------------------------------------------------------------


async def _all(
    connection: AsyncConnection, statement: TextClause, kind: Callable[..., T], **values: Any
) -> tuple[T, ...]:
    rows = await connection.execute(statement, values)
    return tuple(kind(**_frozen(row)) for row in rows.mappings())


async def _one(
    connection: AsyncConnection, statement: TextClause, kind: Callable[..., T], key: object, name: str
) -> T:
    row = (await connection.execute(statement, {"id": key})).mappings().one_or_none()
    if row is None:
        raise NotFound(f"There is no {name} {key}; it may have been removed with its time.")
    return kind(**_frozen(row))


def _frozen(row: Mapping[Any, Any]) -> dict[str, Any]:
    """Columns by name; lists of JSON as tuples, and none as an empty one."""
    return {
        name: tuple(value or ()) if name in ("faults", "sources") else value for name, value in row.items()
    }


def _number(cursor: str) -> int:
    if cursor.isascii() and cursor.isdigit() and int(cursor[:19]) < 2**63 and len(cursor) < 20:
        return int(cursor)
    raise BadCursor("This address names no page; begin with the newest.")


def _uuid(cursor: str) -> UUID:
    try:
        return UUID(cursor)
    except ValueError as error:
        raise BadCursor("This address names no page; begin with the newest.") from error
