"""The SQL of investigations under way. Nothing here commits; callers bring the transaction.

What a stage writes is fenced by its `attempt`: once another worker has begun, the former one's writes raise
`StaleAttempt`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import TypeAdapter
from sqlalchemy import RowMapping, TextClause, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.conversations.models import Turn
from app.investigations.alert import Severity
from app.investigations.calling import TOLD
from app.investigations.evidence import Finding
from app.investigations.models import Incident, Investigation, Place, Reason
from app.knowledge.repository import IN_FORCE
from app.storage.audit import write_audit
from app.storage.engine import as_json
from app.storage.errors import StaleAttempt
from app.storage.tables import evidence, sessions, turns

MOST_MEMBERS = 100
"""Incidents of a storm that are loaded with their leader, what burns first, P1 first; `reasons` count all."""
ALERT = "alert"
"""The kind of an investigation's turns, and in place of the person who asked."""
FINDING = TypeAdapter(Finding)

End = Literal["done", "failed", "cancelled", "expired"]

LOAD = text("""
SELECT investigation.*, session.team_id, session.channel_id, session.thread_ts,
       coalesce(job.attempts + 1, investigation.attempt) AS tries
  FROM investigations AS investigation
  LEFT JOIN sessions AS session ON session.id = investigation.session_id
  LEFT JOIN procrastinate_jobs AS job
    ON job.id = CASE WHEN investigation.status IN ('queued', 'looking') THEN investigation.look_job_id
                     ELSE investigation.diagnose_job_id END
 WHERE investigation.id = :id
""")
SEVERITY = text("SELECT severity FROM investigations WHERE id = :id")
INCIDENTS = text("SELECT * FROM incidents WHERE investigation_id = :id ORDER BY id")
MEMBERS = text("""
SELECT incident.*, member.grouped_because FROM incidents AS incident
  JOIN investigations AS member ON member.id = incident.investigation_id
 WHERE member.storm_id = :id
 ORDER BY incident.status = 'resolved', incident.severity, incident.id LIMIT :most
""")
REASONS = text("""
SELECT coalesce(incident.joined_because, shown.grouped_because) AS because, count(*) AS incidents,
       count(*) FILTER (WHERE incident.status = 'resolved') AS over
  FROM incidents AS incident JOIN investigations AS shown ON shown.id = incident.investigation_id
 WHERE shown.id = :id OR shown.storm_id = :id
 GROUP BY 1 ORDER BY 2 DESC, 1
""")
BEGIN_LOOK = text("""
UPDATE investigations
   SET status = 'looking', attempt = attempt + 1, started_at = coalesce(started_at, now())
 WHERE id = :id AND status IN ('queued', 'looking') AND finished_at IS NULL
RETURNING attempt
""")
# The turn's attempt is the investigation's, so that one number fences both.
BEGIN_DIAGNOSE = text("""
WITH begun AS (
    UPDATE investigations
       SET attempt = attempt + 1,
           status = CASE WHEN status = 'looked' AND looked_at < now() - make_interval(secs => :ttl_seconds)
                         THEN 'expired'
                         WHEN status = 'looked' THEN 'diagnosing'
                         ELSE status END
     WHERE id = :id AND status IN ('looked', 'diagnosing', 'expired') AND finished_at IS NULL
    RETURNING turn_id, attempt
), held AS (
    SELECT turns.id FROM turns JOIN begun ON turns.id = begun.turn_id FOR UPDATE OF turns
), turn AS (
    UPDATE turns SET status = 'running', attempt = begun.attempt, started_at = coalesce(started_at, now())
      FROM begun JOIN held ON held.id = begun.turn_id WHERE turns.id = held.id
)
SELECT attempt FROM begun
""")
FENCED = "WHERE id = :id AND attempt = :attempt AND finished_at IS NULL"
SAVED = ("onset_at", "observations", "evidence_brief", "brief", "report")
JSON_COLUMNS = frozenset({"observations", "evidence_brief", "brief"})
SAVE_THREAD_STATE = text("""
UPDATE investigations SET thread_state = merged_state(thread_state, CAST(:state AS jsonb))
 WHERE id = :id
   AND (CAST(:attempt AS int) IS NULL OR (attempt = CAST(:attempt AS int) AND finished_at IS NULL))
   AND (CAST(:update AS int) IS NULL OR thread_state -> 'updates' = to_jsonb(CAST(:update AS int)))
""")
# One thread's updates run one at a time: where another has begun, the former was taken for dead.
BEGIN_UPDATE = text("""
UPDATE investigations
   SET thread_state = jsonb_set(thread_state, '{updates}',
                                to_jsonb(coalesce(CAST(thread_state -> 'updates' AS int), 0) + 1))
 WHERE id = :id RETURNING CAST(thread_state -> 'updates' AS int)
""")
NAME_THREAD = text(f"UPDATE investigations SET session_id = :session_id, turn_id = :turn_id {FENCED}")
# Of its session, and of everybody's while it has none or nothing was said in it yet.
SHAPED_BY = f"""
coalesce((SELECT knowledge_revision FROM sessions WHERE id = investigations.session_id), ({IN_FORCE}))
    AS knowledge_revision
"""
NAME_THREAD_LATE = text(
    "UPDATE investigations SET session_id = :session_id, turn_id = :turn_id WHERE id = :id"
)
HOLD = text("SELECT finished_at IS NOT NULL FROM investigations WHERE id = :id FOR UPDATE")
RUN_TURN = text("""
UPDATE turns SET status = 'running', attempt = investigations.attempt
  FROM investigations WHERE investigations.id = :id AND turns.id = investigations.turn_id
""")
KEEP_TOLD = text(f"""
UPDATE investigations
   SET escalations = escalations || jsonb_build_object(
           '{TOLD}', coalesce(escalations -> '{TOLD}', '{{}}') || CAST(:told AS jsonb))
 {FENCED}
""")
END = text(f"""
UPDATE investigations SET status = :status, error_code = :error_code, finished_at = now() {FENCED}
RETURNING turn_id, {SHAPED_BY}
""")
REVISION_OF = text(f"SELECT {SHAPED_BY} FROM investigations WHERE id = :id")
END_TURN = text("""
UPDATE turns SET status = :status, error_code = :error_code, finished_at = now()
 WHERE id = :turn_id AND status IN ('queued', 'running')
""")


async def load(
    connection: AsyncConnection, investigation_id: UUID, *, most_members: int = MOST_MEMBERS
) -> Investigation | None:
    row = (await connection.execute(LOAD, {"id": investigation_id})).mappings().first()
    if row is None:
        return None
    own = await connection.execute(INCIDENTS, {"id": investigation_id})
    reasons = await connection.execute(REASONS, {"id": investigation_id})
    members: Sequence[RowMapping] = ()
    if row["storm_size"]:
        found = await connection.execute(MEMBERS, {"id": investigation_id, "most": most_members})
        members = found.mappings().all()
    incidents = tuple(Incident.model_validate(dict(each)) for each in own.mappings())
    return Investigation.model_validate(
        {
            **row,
            "incidents": incidents,
            "members": tuple(Incident.model_validate(dict(each)) for each in members),
            "reasons": tuple(Reason.model_validate(dict(each)) for each in reasons.mappings()),
            "place": place_of(row),
        }
    )


async def severity_of(connection: AsyncConnection, investigation_id: UUID) -> Severity | None:
    """What an investigation is by now; None when there is none."""
    found: Severity | None = (await connection.execute(SEVERITY, {"id": investigation_id})).scalar()
    return found


async def begin_look(connection: AsyncConnection, investigation_id: UUID) -> Investigation | None:
    """Take the look with a new attempt; None when it is over, or never was to be, or is taken over by the
    time it is read: in a storm others wait for its row, so no transaction need hold it until then."""
    attempt = (await connection.execute(BEGIN_LOOK, {"id": investigation_id})).scalar()
    found = await load(connection, investigation_id) if attempt is not None else None
    return found if found and found.attempt == attempt else None


async def begin_diagnose(
    connection: AsyncConnection, investigation_id: UUID, *, ttl_seconds: float
) -> Investigation | None:
    """Take the diagnosis, and its turn, with a new attempt; None when it is over.

    Its status is `expired` when it waited longer than `ttl_seconds`: whoever took it says so in the thread
    and ends it.
    """
    values = {"id": investigation_id, "ttl_seconds": ttl_seconds}
    taken = (await connection.execute(BEGIN_DIAGNOSE, values)).first()
    return await load(connection, investigation_id) if taken else None


async def open_thread(connection: AsyncConnection, investigation: Investigation, place: Place) -> UUID:
    """The thread is there: make its session and the turn of the diagnosis; the turn's id.

    The first turn's id is the investigation's own. The session's turns are serialised on the service, where
    there is one. Raises `StaleAttempt`.
    """
    session_id = await _session(connection, investigation, place)
    turn_id = await add_turn(connection, investigation, session_id, place.thread_ts, investigation.id)
    await _fenced(connection, NAME_THREAD, investigation, session_id=session_id, turn_id=turn_id)
    return turn_id


async def open_thread_late(connection: AsyncConnection, investigation: Investigation, place: Place) -> bool:
    """The same beside the stages, whichever attempt runs. Whether the investigation is over: then its turn
    runs, until `end_turn_late` in the same transaction."""
    finished = (await connection.execute(HOLD, {"id": investigation.id})).scalar_one()
    session_id = await _session(connection, investigation, place)
    turn_id = await add_turn(connection, investigation, session_id, place.thread_ts, investigation.id)
    await connection.execute(
        NAME_THREAD_LATE, {"id": investigation.id, "session_id": session_id, "turn_id": turn_id}
    )
    if finished:
        await connection.execute(RUN_TURN, {"id": investigation.id})
    return bool(finished)


async def end_turn_late(connection: AsyncConnection, investigation: Investigation) -> None:
    """The turn ends as its investigation did."""
    values = {
        "turn_id": investigation.turn_id,
        "status": investigation.status,
        "error_code": investigation.error_code,
    }
    await connection.execute(END_TURN, values)


async def _session(connection: AsyncConnection, investigation: Investigation, place: Place) -> int:
    columns = {
        **place._asdict(),
        "lock_key": investigation.lock_key,
        "service_name": investigation.service_name,
    }
    statement = insert(sessions).values(**columns)
    found = await connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(place._fields),
            set_={name: statement.excluded[name] for name in ("lock_key", "service_name")},
        ).returning(sessions.c.id)
    )
    return int(found.scalar_one())


async def add_turn(
    connection: AsyncConnection, investigation: Investigation, session_id: int, thread_ts: str, turn_id: UUID
) -> UUID:
    """The turn of the investigation's present round, made once."""
    statement = insert(turns).values(
        id=turn_id,
        session_id=session_id,
        source_key=f"{ALERT}:{investigation.id}:{investigation.round}",
        kind=ALERT,
        user_id=ALERT,
        message_ts=thread_ts,
        question=investigation.title,
        trace_id=investigation.trace_id,
    )
    # Updated to what it is, so that the id comes back whoever made it.
    found = await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["source_key"], set_={"message_ts": statement.excluded.message_ts}
        ).returning(turns.c.id)
    )
    made: UUID = found.scalar_one()
    return made


async def load_turn(connection: AsyncConnection, investigation: Investigation) -> Turn:
    """The turn of its present round, as conversations know turns."""
    rows = await connection.execute(
        text(
            "SELECT turn.*, session.team_id, session.channel_id, session.thread_ts, "
            "session.service_name, session.knowledge_revision, session.updated_at "
            "FROM turns AS turn JOIN sessions AS session ON session.id = turn.session_id WHERE turn.id = :id"
        ),
        {"id": investigation.turn_id},
    )
    row = rows.mappings().one()
    return Turn.model_validate({**row, "session": {**row, "id": row["session_id"]}})


async def save(connection: AsyncConnection, investigation: Investigation, **columns: Any) -> None:
    """Store results of a stage: `onset_at, observations, evidence_brief, brief` (JSON, as Python values)
    and `report`. Raises `StaleAttempt`."""
    unknown = columns.keys() - set(SAVED)
    if unknown:
        raise TypeError(f"not a result of a stage: {', '.join(sorted(unknown))}")
    sets = ", ".join(
        f"{name} = CAST(:{name} AS jsonb)" if name in JSON_COLUMNS else f"{name} = :{name}"
        for name in columns
    )
    values = {name: as_json(value) if name in JSON_COLUMNS else value for name, value in columns.items()}
    await _fenced(connection, text(f"UPDATE investigations SET {sets} {FENCED}"), investigation, **values)


async def save_evidence(
    connection: AsyncConnection, investigation: Investigation, findings: Sequence[Finding]
) -> None:
    """Add findings, or replace those whose labels are there. Raises `StaleAttempt` through `begin`."""
    if not findings:
        return
    statement = insert(evidence)
    names = ("attempt", "source", "query", "window_start", "window_end", "link", "finding")
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["investigation_id", "label"],
            set_={name: statement.excluded[name] for name in names},
        ),
        [_row_of(investigation, each) for each in findings],
    )


async def load_evidence(connection: AsyncConnection, investigation_id: UUID) -> tuple[Finding, ...]:
    """In the order in which they were stored first."""
    rows = await connection.execute(
        select(evidence.c.finding)
        .where(evidence.c.investigation_id == investigation_id)
        .order_by(evidence.c.id)
    )
    return tuple(FINDING.validate_python(each) for each in rows.scalars())


def _row_of(investigation: Investigation, finding: Finding) -> dict[str, Any]:
    return {
        "investigation_id": investigation.id,
        "attempt": investigation.attempt,
        "label": finding.label,
        "source": finding.source,
        "query": finding.query,
        "window_start": _moment(finding.window_start),
        "window_end": _moment(finding.window_end),
        "link": finding.link,
        "finding": asdict(finding),
    }


async def load_thread_state(connection: AsyncConnection, investigation_id: UUID) -> dict[str, Any]:
    rows = await connection.execute(
        text("SELECT thread_state - 'updates' FROM investigations WHERE id = :id"), {"id": investigation_id}
    )
    state: dict[str, Any] = rows.scalar_one()
    return state


async def begin_update(connection: AsyncConnection, investigation_id: UUID) -> int:
    """The number of this update of the thread."""
    return int((await connection.execute(BEGIN_UPDATE, {"id": investigation_id})).scalar_one())


async def save_thread_state(
    connection: AsyncConnection,
    investigation_id: UUID,
    state: dict[str, Any],
    *,
    attempt: int | None = None,
    update: int | None = None,
) -> None:
    """Store `state` over what is there, part by part: a stage and the thread's update both write to it.

    A stage gives its `attempt`, an update its number; it raises `StaleAttempt` when another worker has begun
    the same.
    """
    values = {"id": investigation_id, "state": as_json(state), "attempt": attempt, "update": update}
    if (await connection.execute(SAVE_THREAD_STATE, values)).rowcount != 1:
        raise StaleAttempt("This investigation is being carried on by another worker.")


async def keep_told(
    connection: AsyncConnection, investigation: Investigation, why: str, sentence: str
) -> None:
    """What came of calling people, in the words its thread is told. Raises `StaleAttempt`."""
    told = as_json({f"{investigation.round}/{why}": sentence})
    await _fenced(connection, KEEP_TOLD, investigation, told=told)


async def finish(
    connection: AsyncConnection,
    investigation: Investigation,
    status: End,
    *,
    error_code: str | None = None,
    said: str = "",
    confidence: float | None = None,
    sre_tagged: bool = False,
) -> None:
    """The end of the investigation, of its turn, and the audit rows that say so; `said` is what was told
    last; with `sre_tagged` people were called. Raises `StaleAttempt`."""
    values = {"id": investigation.id, "attempt": investigation.attempt}
    ended = await connection.execute(END, {**values, "status": status, "error_code": error_code})
    row = ended.first()
    if row is None:
        raise StaleAttempt("This investigation is being carried on by another worker.")
    await connection.execute(END_TURN, {"turn_id": row.turn_id, "status": status, "error_code": error_code})
    columns = _audited(investigation, row.knowledge_revision)
    await write_audit(
        connection,
        "investigation",
        input_text=investigation.title,
        response_text=said or f"({status}: {error_code or 'no answer'})",
        confidence=confidence,
        sre_tagged=sre_tagged,
        **columns,
    )
    if sre_tagged:
        await write_audit(connection, "sre_tagged", sre_tagged=True, **columns)


async def audit_call(connection: AsyncConnection, investigation: Investigation, said: str) -> None:
    """The audit row of people called after the end."""
    columns = _audited(investigation, await revision_of(connection, investigation))
    await write_audit(connection, "sre_tagged", response_text=said, sre_tagged=True, **columns)


def _audited(investigation: Investigation, revision: str | None) -> dict[str, Any]:
    place = investigation.place
    return {
        "thread_ts": place.thread_ts if place else None,
        "channel_id": place.channel_id if place else None,
        "user_id": ALERT,
        "service_name": investigation.service_name,
        "knowledge_revision": revision,
        "trace_id": investigation.trace_id,
    }


async def revision_of(connection: AsyncConnection, investigation: Investigation) -> str | None:
    """The knowledge revision that shapes it, as its audit rows say."""
    found: str | None = (await connection.execute(REVISION_OF, {"id": investigation.id})).scalar()
    return found


async def _fenced(
    connection: AsyncConnection, statement: TextClause, investigation: Investigation, **values: Any
) -> None:
    done = await connection.execute(
        statement, {"id": investigation.id, "attempt": investigation.attempt, **values}
    )
    if done.rowcount != 1:
        raise StaleAttempt("This investigation is being carried on by another worker.")


def place_of(row: RowMapping) -> Place | None:
    return Place(row["team_id"], row["channel_id"], row["thread_ts"]) if row["thread_ts"] else None


def _moment(seconds: float | None) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
