"""Which revisions of the knowledge repo were accepted or refused: all SQL of this room."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.knowledge.models import Fault
from app.storage.tables import knowledge_revisions


async def record(
    connection: AsyncConnection, revision: str, *, accepted: bool, faults: tuple[Fault, ...] = ()
) -> bool:
    """Store that a revision was loaded or refused; False when a replica has said so before.

    Only the replica that is told True tells people, so a refusal is posted once and not once per replica.
    """
    statement = (
        insert(knowledge_revisions)
        .values(
            revision=revision,
            accepted=accepted,
            faults=[
                {"path": fault.path, "line": fault.line, "severity": fault.severity, "message": fault.message}
                for fault in faults
            ],
        )
        .on_conflict_do_nothing(index_elements=["revision", "accepted"])
        .returning(knowledge_revisions.c.id)
    )
    return (await connection.execute(statement)).first() is not None


async def faults_of(connection: AsyncConnection, revision: str) -> tuple[Fault, ...]:
    """The errors for which a revision was refused; empty when it never was."""
    refused: ColumnElement[bool] = (knowledge_revisions.c.revision == revision) & (
        ~knowledge_revisions.c.accepted
    )
    query: Select[tuple[list[dict[str, object]]]] = select(knowledge_revisions.c.faults).where(refused)
    stored = (await connection.execute(query)).scalar_one_or_none()
    return tuple(Fault(**fault) for fault in stored or ())  # type: ignore[arg-type]
