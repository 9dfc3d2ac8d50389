"""What was made in all threads, for people at a shell: the list, and one file."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncEngine

from app.delivery import repository
from app.delivery.repository import Artifact, Listed
from app.errors import AgentError
from app.storage.engine import begin

HEAD = ("ID", "MADE", "SERVICE", "FILE", "CHARACTERS", "THREAD", "DELIVERED")
NOTHING = "Nothing was made yet. A workflow makes files: say “let's define SLOs for checkout” in a channel."


class NoSuchArtifact(AgentError):
    """There is no artifact of this id, or its thread has been removed."""

    code = "no_such_artifact"
    status = 404


async def listing(engine: AsyncEngine, *, limit: int, service: str | None = None) -> str:
    """A line for each, the newest first."""
    async with begin(engine) as connection:
        found = await repository.listed(connection, limit=limit, service=service)
    return table(found) if found else f"Nothing was made for {service}." if service else NOTHING


async def artifact(engine: AsyncEngine, artifact_id: int) -> Artifact:
    """Raises:
    NoSuchArtifact: with what to do instead.
    """
    async with begin(engine) as connection:
        found = await repository.artifacts(connection, [artifact_id])
    if not found:
        raise NoSuchArtifact(
            f"There is no artifact {artifact_id}; `sre-agent artifacts` lists those there are. They go with "
            "their thread when its retention ends."
        )
    return found[0]


def table(rows: tuple[Listed, ...]) -> str:
    """Columns as wide as what is in them. Pure."""
    lines = [HEAD, *map(_line, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def _line(row: Listed) -> tuple[str, ...]:
    return (
        str(row.id),
        f"{row.created_at:%Y-%m-%d %H:%M}",
        row.service or "-",
        f"{row.file_name}{' (not valid)' if row.is_broken else ''}",
        str(row.characters),
        row.thread,
        row.link or "-",
    )
