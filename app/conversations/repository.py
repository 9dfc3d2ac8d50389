"""All SQL of conversations. Nothing here commits; callers bring the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

from sqlalchemy import Row, func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app import jobs
from app.conversations.models import Incoming, Session, Turn, TurnStatus
from app.storage.engine import as_json
from app.storage.errors import StaleAttempt
from app.storage.tables import feedback, sessions, turns
from app.tools.masking import mask

FIND_SESSION = text(
    "SELECT * FROM sessions WHERE team_id = :team AND channel_id = :channel AND thread_ts = :thread"
)
ADD_TURN = text(f"""
SELECT turn_accepted(:turn_id, :team, :channel, :thread, :source_key, :kind, :user_id, :message, :question,
                     CAST(:envelope AS jsonb), :trace_id,
                     CAST({jobs.JOB} AS procrastinate_job_to_defer_v1))
""")
BEGIN_TURN = text("""
WITH held AS (
    SELECT id FROM turns WHERE id = :turn_id FOR UPDATE
), begun AS (
    UPDATE turns SET status = 'running', attempt = attempt + 1, started_at = coalesce(started_at, now())
      FROM held WHERE turns.id = held.id AND status IN ('queued', 'running')
    RETURNING turns.*
)
SELECT begun.*, session.team_id, session.channel_id, session.thread_ts,
       session.service_name, session.knowledge_revision, session.workflow_state, session.updated_at,
       EXISTS (SELECT 1 FROM sightings AS heard
                WHERE heard.kind = 'overheard' AND heard.team_id = session.team_id
                  AND heard.channel_id = session.channel_id AND heard.thread_ts = session.thread_ts
                  AND CAST(heard.message_ts AS numeric) > CAST(begun.message_ts AS numeric)) AS overtaken
  FROM begun JOIN sessions AS session ON session.id = begun.session_id
""")
FENCED = "WHERE id = :turn_id AND attempt = :attempt AND status = 'running'"
SAVE_REPLY_STATE = text(f"UPDATE turns SET reply_state = CAST(:state AS jsonb) {FENCED}")
SAVE_ANSWER = text(f"UPDATE turns SET answer = CAST(:answer AS jsonb) {FENCED}")
# With its audit rows, which repeat of the session what it is now: a turn never ends without them.
END_TURN = text(f"""
WITH ended AS (
    UPDATE turns SET status = :status, error_code = :error_code, finished_at = now() {FENCED}
    RETURNING session_id, user_id, question, trace_id
)
INSERT INTO audit_log (thread_ts, channel_id, user_id, action, service_name, workflow, input_text,
                       response_text, confidence, sre_tagged, context_used, knowledge_revision, trace_id)
SELECT session.thread_ts, session.channel_id, ended.user_id, action, session.service_name, session.workflow,
       CASE WHEN action = 'message' THEN ended.question END,
       CASE WHEN action = 'message' THEN CAST(:said AS text) END,
       CASE WHEN action = 'message' THEN CAST(:confidence AS double precision) END,
       'sre_tagged' = ANY(CAST(:actions AS text[])), session.context_refs,
       coalesce(CAST(:shaped_by AS text), session.knowledge_revision, CAST(:newest AS text)), ended.trace_id
  FROM ended JOIN sessions AS session ON session.id = ended.session_id,
       unnest(CAST(:actions AS text[])) WITH ORDINALITY AS named(action, place)
 ORDER BY place
""")
# What people asked: a page's diagnosis is nobody's to stop, and would only be begun again. What is being
# brought elsewhere after a yes is brought to its end, or nobody would know how far it came.
STOP_TURNS = text("""
UPDATE turns SET stopped_by = coalesce(stopped_by, :user_id)
  FROM sessions AS session
 WHERE session.id = turns.session_id AND session.team_id = :team AND session.channel_id = :channel
   AND session.thread_ts = :thread AND turns.status IN ('queued', 'running') AND turns.answer IS NULL
   AND turns.kind <> 'alert'
   AND NOT EXISTS (SELECT FROM deliveries WHERE confirmed_in = turns.id)
RETURNING turns.job_id
""")
IS_ANSWERED = text("""
SELECT status NOT IN ('queued', 'running') OR coalesce(CAST(reply_state ->> 'closed' AS boolean), false)
  FROM turns WHERE id = :turn_id
""")
# The answer's own audit row knows what shaped it, whatever its session has been pinned to since.
ANSWERED = text("""
SELECT session.channel_id, session.thread_ts, turn.trace_id,
       coalesce(said.service_name, session.service_name) AS service_name,
       coalesce(said.knowledge_revision, session.knowledge_revision) AS knowledge_revision
  FROM turns AS turn JOIN sessions AS session ON session.id = turn.session_id
  LEFT JOIN LATERAL (
      SELECT service_name, knowledge_revision FROM audit_log
       WHERE channel_id = session.channel_id AND thread_ts = session.thread_ts
         AND trace_id = turn.trace_id AND action = 'message'
       LIMIT 1) AS said ON true
 WHERE turn.id = :turn_id
""")
IS_FIRST = text("""
SELECT NOT EXISTS (SELECT 1 FROM turns WHERE session_id = :session AND created_at < :created_at)
""")

# What was spent and what was found out about an incident outlive the thread they happened in.
REMOVE_SESSIONS = (
    text("UPDATE usage SET session_id = NULL, turn_id = NULL WHERE session_id = ANY(:sessions)"),
    text("UPDATE investigations SET session_id = NULL, turn_id = NULL WHERE session_id = ANY(:sessions)"),
    text("DELETE FROM sessions WHERE id = ANY(:sessions)"),
)
OFFERED = text("""
SELECT turn.answer -> 'offers' AS offers, session.team_id, session.channel_id, session.thread_ts
  FROM turns AS turn JOIN sessions AS session ON session.id = turn.session_id WHERE turn.id = :turn_id
""")
SIGHT = text("""
INSERT INTO sightings (kind, team_id, channel_id, thread_ts, message_ts, forget_at)
VALUES (:kind, :team, :channel, :thread, :message, now() + make_interval(secs => :seconds))
ON CONFLICT DO NOTHING RETURNING 1
""")


async def find_session(
    connection: AsyncConnection, team_id: str, channel_id: str, thread_ts: str
) -> Session | None:
    rows = await connection.execute(
        FIND_SESSION, {"team": team_id, "channel": channel_id, "thread": thread_ts}
    )
    row = rows.mappings().first()
    return Session.model_validate(dict(row)) if row else None


async def sight(
    connection: AsyncConnection,
    incoming: Incoming,
    kind: Literal["overheard", "refused"],
    *,
    seconds: float,
) -> bool:
    """Remember for a while that a message was there; False when that is known already."""
    values = {
        "kind": kind,
        "team": incoming.team_id,
        "channel": incoming.channel_id,
        "thread": incoming.thread_ts,
        "message": incoming.message_ts,
        "seconds": seconds,
    }
    return (await connection.execute(SIGHT, values)).first() is not None


async def forget_sightings(connection: AsyncConnection) -> None:
    await connection.execute(text("DELETE FROM sightings WHERE forget_at < now()"))


async def add_turn(
    connection: AsyncConnection, turn_id: UUID, incoming: Incoming, trace_id: str, job: jobs.Deferral
) -> int | None:
    """Claim the message with a turn of its own and queue `job` on the lock of its session, whose id is the
    answer; None when it has a turn already, or follows up in a thread that has no session."""
    names = tuple(map(mask, incoming.envelope.attachments))
    envelope = incoming.envelope.model_copy(update={"attachments": names})
    values = {
        "turn_id": turn_id,
        "team": incoming.team_id,
        "channel": incoming.channel_id,
        "thread": incoming.thread_ts,
        "source_key": incoming.source_key,
        "kind": incoming.kind,
        "user_id": incoming.user_id,
        "message": incoming.message_ts,
        "question": mask(incoming.text),
        "envelope": as_json(envelope.model_dump(mode="json")),
        "trace_id": trace_id,
        **jobs.columns(job),
    }
    session_id: int | None = (await connection.execute(ADD_TURN, values)).scalar()
    return session_id


async def begin_turn(connection: AsyncConnection, turn_id: UUID) -> Turn | None:
    """Take the turn with a new attempt; None when it has already ended."""
    row = (await connection.execute(BEGIN_TURN, {"turn_id": turn_id})).mappings().first()
    if row is None:
        return None
    session = Session.model_validate({**row, "id": row["session_id"]})
    return Turn.model_validate({**row, "session": session})


async def turn_status(connection: AsyncConnection, turn_id: UUID) -> Row[Any] | None:
    """`status, attempt, stopped_by` as they are now."""
    rows = await connection.execute(
        text("SELECT status, attempt, stopped_by FROM turns WHERE id = :turn_id"), {"turn_id": turn_id}
    )
    return rows.first()


async def save_reply_state(connection: AsyncConnection, turn: Turn, state: str) -> None:
    """Raises `StaleAttempt` when another worker has taken the turn over."""
    await _fenced(connection, SAVE_REPLY_STATE, turn, state=state)


async def save_answer(connection: AsyncConnection, turn: Turn, answer: str) -> None:
    """Raises `StaleAttempt` when another worker has taken the turn over."""
    await _fenced(connection, SAVE_ANSWER, turn, answer=answer)


async def end_turn(
    connection: AsyncConnection,
    turn: Turn,
    status: TurnStatus,
    *,
    actions: Sequence[str],
    said: str,
    confidence: float | None,
    shaped_by: str | None,
    newest: str,
    error_code: str | None = None,
) -> None:
    """The turn's end with an audit row for each of `actions`. `shaped_by` is the knowledge that shaped it;
    when it had none yet it is the session's, or else the `newest`.

    Raises `StaleAttempt` when another worker has taken the turn over.
    """
    values = {
        "status": status,
        "error_code": error_code,
        "actions": list(actions),
        "said": said,
        "confidence": confidence,
        "shaped_by": shaped_by,
        "newest": newest,
    }
    await _fenced(connection, END_TURN, turn, rows=len(actions), **values)


async def _fenced(
    connection: AsyncConnection, statement: Any, turn: Turn, rows: int = 1, **values: Any
) -> None:
    done = await connection.execute(statement, {"turn_id": turn.id, "attempt": turn.attempt, **values})
    if done.rowcount != rows:
        raise StaleAttempt("This turn is being carried on by another worker.")


async def load_reply_state(connection: AsyncConnection, turn_id: UUID) -> dict[str, Any] | None:
    """What is stored now, whichever attempt stored it."""
    rows = await connection.execute(select(turns.c.reply_state).where(turns.c.id == turn_id))
    state: dict[str, Any] | None = rows.scalar()
    return state


async def is_answered(connection: AsyncConnection, turn_id: UUID) -> bool:
    return bool((await connection.execute(IS_ANSWERED, {"turn_id": turn_id})).scalar())


async def is_first(connection: AsyncConnection, turn: Turn) -> bool:
    """Whether the turn's session began with it."""
    values = {"session": turn.session.id, "created_at": turn.created_at}
    return bool((await connection.execute(IS_FIRST, values)).scalar())


async def pin_knowledge(connection: AsyncConnection, session: Session) -> None:
    values = {"knowledge_revision": session.knowledge_revision}
    await connection.execute(sessions.update().where(sessions.c.id == session.id).values(values))


async def stop_turns(
    connection: AsyncConnection, *, team_id: str, channel_id: str, thread_ts: str, user_id: str
) -> list[int]:
    """Mark a thread's waiting and running turns that are undecided as stopped; the ids of their jobs."""
    rows = await connection.execute(
        STOP_TURNS, {"team": team_id, "channel": channel_id, "thread": thread_ts, "user_id": user_id}
    )
    return [job_id for job_id in rows.scalars() if job_id is not None]


async def remove_sessions(connection: AsyncConnection, session_ids: Sequence[int]) -> None:
    """With their turns, transcripts and artifacts."""
    for statement in REMOVE_SESSIONS:
        await connection.execute(statement, {"sessions": list(session_ids)})


async def offered(connection: AsyncConnection, turn_id: UUID) -> dict[str, Any] | None:
    """The offers of a turn's answer and the thread it is in; None when there is no such turn."""
    found = (await connection.execute(OFFERED, {"turn_id": turn_id})).mappings().first()
    return dict(found) if found else None


async def save_feedback(
    connection: AsyncConnection, turn_id: UUID, user_id: str, *, helpful: bool
) -> dict[str, Any] | None:
    """A person's thumb on an answer; the newest counts. What an audit row repeats of the answer, under its
    names there; None when there is no such turn."""
    answered = (await connection.execute(ANSWERED, {"turn_id": turn_id})).mappings().first()
    if answered is None:
        return None
    statement = insert(feedback).values(turn_id=turn_id, user_id=user_id, helpful=helpful)
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=["turn_id", "user_id"], set_={"helpful": helpful, "created_at": func.now()}
        )
    )
    return dict(answered)
