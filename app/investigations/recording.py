"""The record of an investigation, put together from the database: while it ends, or long afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import AgentError
from app.investigations import journal, repository
from app.investigations.assembling import Looked, linked
from app.investigations.brief import Brief
from app.investigations.calling import told
from app.investigations.gathered import Gathered
from app.investigations.models import Investigation, NoSuchInvestigation
from app.investigations.record import ModelUse, Moment, Record, ToolCall
from app.storage.engine import begin

OUTCOME = text("""
SELECT correct, cause FROM outcomes WHERE investigation_id = :id
 ORDER BY (cause IS NOT NULL) DESC, (user_id IS NOT NULL) DESC, id DESC LIMIT 1
""")
"""What people said it was: a cause says more than a verdict, a person more than a resolution note."""
OVER = frozenset({"done", "failed", "expired", "cancelled"})


class NotOver(AgentError):
    """A record of an investigation is wanted that is still under way."""

    code = "investigation_not_over"
    status = 409


async def recorded(
    connection: AsyncConnection, investigation: Investigation, *, thread: str | None = None, **told: Any
) -> Record:
    """What the database knows of an investigation, with what its stage has in hand: the fields of `Record`
    that are `told`. `thread` is the address of its thread."""
    calls: tuple[ToolCall, ...] = ()
    used: tuple[ModelUse, ...] = ()
    if investigation.turn_id is not None:
        calls, _ = await journal.calls(connection, investigation.turn_id)
        used = await journal.usage(connection, investigation.turn_id)
    record = Record(
        id=investigation.id,
        title=investigation.title,
        started_at=investigation.created_at,
        severity=investigation.severity,
        service=investigation.service_name,
        evidence_brief=_brief(investigation.evidence_brief),
        timeline=tuple(_moments(investigation)),
        tool_calls=calls,
        usage=used,
        thread=thread,
        joined=_joined(investigation),
    )
    return replace(record, **told)


def _joined(investigation: Investigation) -> tuple[str, ...]:
    named = [
        f"{each.source}: {each.title}" for each in (*investigation.incidents[1:], *investigation.members)
    ]
    more = investigation.shown - 1 - len(named)
    return (*named, *([f"… and {more} more"] if more > 0 else []))


async def finished(engine: AsyncEngine, investigation_id: UUID, *, thread: str | None = None) -> Record:
    """The record of an investigation that is over, from the database alone.

    Raises:
        NoSuchInvestigation: there is none of that id.
        NotOver: its stages have not ended.
    """
    async with begin(engine) as connection:
        investigation = await repository.load(connection, investigation_id)
        _check(investigation_id, investigation)
        assert investigation is not None
        kept = investigation.brief or {}
        ending: Mapping[str, Any] = kept.get("ending") or {}
        return await recorded(
            connection,
            investigation,
            thread=thread,
            status=investigation.status,
            finished_at=investigation.finished_at,
            gathered=await seen(connection, investigation),
            brief=_brief(investigation.brief),
            failure=ending.get("failure") or _failure(investigation),
            over_budget=ending.get("over_budget"),
            checked=tuple(ending.get("changed") or ()),
            escalations=tuple(_said(investigation)),
            outcome=await _outcome(connection, investigation_id),
        )


def hosts(record: Record) -> frozenset[str]:
    """Those its evidence came from, whose links were made by the sources' own clients; that of its thread,
    and that of the alert's own page."""
    gathered = record.gathered
    known = linked(gathered.findings) if gathered else frozenset()
    pages = [record.thread, *(each.url for each in gathered.alert.links[:1])] if gathered else [record.thread]
    return known | frozenset(host for each in pages if each and (host := urlsplit(each).hostname))


def _check(investigation_id: UUID, investigation: Investigation | None) -> None:
    if investigation is None:
        raise NoSuchInvestigation(
            f"There is no investigation {investigation_id}; its id is in its report and behind /alerts."
        )
    if investigation.status == "joined":
        raise NoSuchInvestigation(
            f"Investigation {investigation_id} was grouped into {investigation.leader_id}; ask for that one."
        )
    if investigation.status not in OVER:
        raise NotOver(
            f"Investigation {investigation_id} is still {investigation.status}; ask when it is over."
        )


async def seen(connection: AsyncConnection, investigation: Investigation) -> Gathered | None:
    """What the look saw, and what the diagnosis found besides."""
    if investigation.observations is None:
        return None
    gathered = Looked.restored(investigation.observations).gathered
    return replace(gathered, findings=await repository.load_evidence(connection, investigation.id))


async def _outcome(connection: AsyncConnection, investigation_id: UUID) -> str | None:
    row = (await connection.execute(OUTCOME, {"id": investigation_id})).first()
    if row is None:
        return None
    if row.cause:
        return str(row.cause)
    if row.correct is None:
        return None
    return "As diagnosed." if row.correct else "Something else than diagnosed; nobody has said what."


def _brief(kept: Mapping[str, Any] | None) -> Brief | None:
    return Brief.model_validate(kept) if kept else None


def _failure(investigation: Investigation) -> str | None:
    code = investigation.error_code
    return f"{investigation.status} [{code}]" if code and investigation.status != "done" else None


def _said(investigation: Investigation) -> Iterator[str]:
    """What came of calling people: as the thread was told, and by a person's button."""
    yield from told(investigation)
    asked = investigation.escalations.get(f"{investigation.id}/asked") or {}
    if said := (asked.get("outcome") or {}).get("said"):
        yield str(said)


def _moments(investigation: Investigation) -> Iterator[Moment]:
    for each in investigation.incidents[:5]:
        yield Moment(each.started_at, f"{each.source}: {each.title}")
    for at, what in (
        (investigation.looked_at, "The evidence brief was ready."),
        (investigation.resolved_at, "The incident was over."),
    ):
        if at:
            yield Moment(at, what)
