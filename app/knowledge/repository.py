"""What became of the revisions of the knowledge repo, verdict by verdict: all SQL of this room."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Select, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.knowledge.models import Fault
from app.storage.engine import as_json
from app.storage.tables import knowledge_revisions

# "KNOW": one writer at a time, so that each sees the verdict before its own.
LOCK = text("SELECT pg_advisory_xact_lock(1263423319)")
RECORD = text("""
INSERT INTO knowledge_revisions (revision, accepted, commit_id, faults, created_at)
SELECT CAST(:revision AS text), CAST(:accepted AS boolean), CAST(:commit_id AS text),
       CAST(:faults AS jsonb), seen.at
  FROM (SELECT clock_timestamp() - make_interval(secs => :age) AS at) AS seen
 WHERE NOT EXISTS (
    SELECT FROM (SELECT * FROM knowledge_revisions WHERE NOT accepted OR revision <> :besides
                  ORDER BY id DESC LIMIT 1) AS newest
     WHERE (newest.revision = :revision AND newest.accepted = :accepted) OR newest.created_at > seen.at)
RETURNING id
""")
# What a folder holds can be read again only where it is.
LAST_GOOD = text("""
SELECT coalesce(commit_id, revision) FROM knowledge_revisions
 WHERE accepted AND revision <> :besides AND revision NOT LIKE 'local-%' ORDER BY id DESC LIMIT 1
""")
IN_FORCE = "SELECT revision FROM knowledge_revisions WHERE accepted ORDER BY id DESC LIMIT 1"
COMMIT_OF = text("""
SELECT commit_id FROM knowledge_revisions
 WHERE revision = :revision AND commit_id IS NOT NULL ORDER BY id DESC LIMIT 1
""")


async def record(
    connection: AsyncConnection,
    revision: str,
    *,
    accepted: bool,
    faults: tuple[Fault, ...] = (),
    commit: str | None = None,
    age: float = 0.0,
    besides: str = "",
) -> bool:
    """Store that a revision was loaded or refused, `age` seconds ago; False when that is no news.

    It is none when the verdict before is the same, which another replica has told, and when that is younger
    than this one: then the repo has gone on since. A revision that comes back is told again. That `besides`
    was put in force is passed over: it only stood in.
    """
    await connection.execute(LOCK)
    values = {
        "revision": revision,
        "accepted": accepted,
        "commit_id": commit,
        "faults": as_json(
            [
                {"path": fault.path, "line": fault.line, "severity": fault.severity, "message": fault.message}
                for fault in faults
            ]
        ),
        "age": age,
        "besides": besides,
    }
    return (await connection.execute(RECORD, values)).first() is not None


async def last_good(connection: AsyncConnection, *, besides: str) -> str | None:
    """The newest revision in force that came from git, but for `besides`; whole where its commit is known."""
    found: str | None = (await connection.execute(LAST_GOOD, {"besides": besides})).scalar()
    return found


async def in_force(connection: AsyncConnection) -> str | None:
    """The revision that was put in force last; None while none was ever."""
    found: str | None = (await connection.execute(text(IN_FORCE))).scalar()
    return found


async def commit_of(connection: AsyncConnection, revision: str) -> str | None:
    """The whole id of the commit that a revision abbreviates."""
    found: str | None = (await connection.execute(COMMIT_OF, {"revision": revision})).scalar()
    return found


async def faults_of(connection: AsyncConnection, revision: str) -> tuple[Fault, ...]:
    """The errors for which a revision was refused; empty when it never was."""
    refused: ColumnElement[bool] = (knowledge_revisions.c.revision == revision) & (
        ~knowledge_revisions.c.accepted
    )
    query: Select[tuple[list[dict[str, object]]]] = (
        select(knowledge_revisions.c.faults).where(refused).order_by(knowledge_revisions.c.id.desc()).limit(1)
    )
    stored = (await connection.execute(query)).scalar_one_or_none()
    return tuple(Fault(**fault) for fault in stored or ())  # type: ignore[arg-type]
