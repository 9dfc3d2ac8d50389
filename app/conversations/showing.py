"""A thread as the database knows it, for people who ask what was said and on what ground."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic_core import to_json
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import AgentError
from app.storage.engine import begin

LINK = re.compile(r"/archives/([CDG][A-Z0-9]+)/p(\d{10})(\d{6})(?:\?(?:.*&)?thread_ts=(\d+\.\d+))?")
PLACE = re.compile(r"(?:(?:T[A-Z0-9]+:)?([CDG][A-Z0-9]+)[:/])?(\d{10}\.\d{6})")
TRACE = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
LONGEST_RESULT = 200

FIND = text("""
SELECT session.* FROM sessions AS session
 WHERE (CAST(:channel AS text) IS NULL OR session.channel_id = :channel)
   AND (session.thread_ts = :ts OR session.id IN (SELECT session_id FROM turns WHERE message_ts = :ts))
 ORDER BY session.id
""")
FIND_BY_TRACE = text(
    "SELECT session.* FROM sessions AS session JOIN turns ON turns.session_id = session.id "
    "WHERE turns.trace_id = :trace"
)
# A diagnosis has no answer of its own: what it concluded is its investigation's brief.
TURNS = text("""
SELECT turn.*, investigation.told #>> '{headline}' AS headline,
       investigation.told #>> '{likely_cause,text}' AS cause,
       investigation.told ->> 'model' AS brief_model,
       CAST(investigation.told ->> 'confidence' AS double precision) AS brief_confidence
  FROM turns AS turn
  LEFT JOIN LATERAL (
      SELECT coalesce(nullif(brief, 'null'), nullif(evidence_brief, 'null')) AS told FROM investigations
       WHERE investigations.turn_id = turn.id) AS investigation ON true
 WHERE turn.session_id = :session ORDER BY turn.created_at, turn.message_ts
""")
TOOL_CALLS = text("SELECT * FROM tool_calls WHERE session_id = :session ORDER BY id")


class NoSuchSession(AgentError):
    """No thread of the agent's goes by this key."""

    code = "no_such_session"
    status = 404


async def show(engine: AsyncEngine, key: str) -> str:
    """The thread named by a link, `CHANNEL:THREAD_TS`, a timestamp or a trace id, as text.

    Raises:
        NoSuchSession: with the kinds of key there are.
    """
    async with begin(engine) as connection:
        found = await find(connection, key.strip())
        shown = [
            session_text(
                session,
                (await connection.execute(TURNS, {"session": session["id"]})).mappings().all(),
                (await connection.execute(TOOL_CALLS, {"session": session["id"]})).mappings().all(),
            )
            for session in found
        ]
    return "\n\n".join(shown)


async def find(connection: AsyncConnection, key: str) -> list[RowMapping]:
    """The sessions a key names. Raises `NoSuchSession`."""
    if link := LINK.search(key):
        wanted = {"channel": link[1], "ts": link[4] or f"{link[2]}.{link[3]}"}
        rows = await connection.execute(FIND, wanted)
    elif place := PLACE.fullmatch(key):
        rows = await connection.execute(FIND, {"channel": place[1], "ts": place[2]})
    elif TRACE.fullmatch(key):
        rows = await connection.execute(FIND_BY_TRACE, {"trace": key.replace("-", "").lower()})
    else:
        raise NoSuchSession(
            f"{key!r} names no thread. Give a link to it, CHANNEL:THREAD_TS (C0123ABCD:1763676011.000100), "
            "a THREAD_TS, or a trace id."
        )
    found = list(rows.mappings())
    if not found:
        raise NoSuchSession(f"I was never part of the thread {key}.")
    return found


def session_text(session: RowMapping, turns: Iterable[RowMapping], calls: Iterable[RowMapping]) -> str:
    """One session with its turns in order. Pure."""
    by_turn: dict[Any, list[RowMapping]] = {}
    for call in calls:
        by_turn.setdefault(call["turn_id"], []).append(call)
    facts = [f"session {session['id']}", f"begun {session['created_at']:%Y-%m-%d %H:%M:%S %Z}"]
    facts += [f"service {session['service_name']}"] if session["service_name"] else []
    facts += [f"knowledge {session['knowledge_revision'][:12]}"] if session["knowledge_revision"] else []
    place = ":".join((session["team_id"], session["channel_id"], session["thread_ts"]))
    parts = [f"{place}\n{' · '.join(facts)}"]
    parts += [turn_text(turn, by_turn.get(turn["id"], ())) for turn in turns]
    if documents := [f"  {ref['path']}" for ref in session["context_refs"] or ()]:
        parts.append("\n".join(["Documents of the last turn:", *documents]))
    return "\n\n".join(parts)


def turn_text(turn: RowMapping, calls: Iterable[RowMapping]) -> str:
    lines = [f"{turn['user_id']}, {turn['created_at']:%H:%M:%S}:", indented(turn["question"] or "(no text)")]
    lines += [f"  · {_call(call)}" for call in calls]
    answer = turn["answer"] or _concluded(turn)
    lines += [f"sre-agent, {_how(turn, answer)}:", indented(answer.get("text") or "(nothing was said)")]
    return "\n".join(lines)


def _concluded(turn: RowMapping) -> dict[str, Any]:
    """A brief in the form of an answer; nothing for a turn of a conversation."""
    if turn["headline"] is None:
        return {}
    said = f"{turn['headline']}\n{turn['cause'] or ''}".rstrip()
    return {"text": said, "model": turn["brief_model"], "confidence": turn["brief_confidence"]}


def _call(call: RowMapping) -> str:
    took = "unfinished" if call["duration_ms"] is None else f"{call['duration_ms']} ms"
    result = " ".join((call["result"] or "").split())[:LONGEST_RESULT]
    failed = "failed, " if call["failed"] else ""
    return f"{call['name']} {to_json(call['arguments']).decode()} ({failed}{took}) {result}".rstrip()


def _how(turn: RowMapping, answer: dict[str, Any]) -> str:
    said = [turn["status"] + (f" ({turn['error_code']})" if turn["error_code"] else "")]
    if turn["finished_at"]:
        said.append(f"{(turn['finished_at'] - turn['created_at']).total_seconds():.1f} s")
    if answer:
        said.append(str(answer.get("model") or "no model"))
    if answer.get("confidence") is not None:
        said.append(f"{answer['confidence']:.0%} sure")
    if turn["attempt"] > 1:
        said.append(f"{turn['attempt']} attempts")
    return ", ".join([*said, f"trace {turn['trace_id']}"])


def indented(words: str) -> str:
    return "\n".join(f"  {line}".rstrip() for line in words.splitlines())
