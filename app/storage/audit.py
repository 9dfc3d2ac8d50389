"""The audit log: rows are added here, and the database refuses everything else."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from app.storage.tables import audit_log


async def write_audit(connection: AsyncConnection, action: str, **columns: Any) -> None:
    """One immutable row in the caller's transaction; `columns` are those of `audit_log` by name."""
    await connection.execute(audit_log.insert().values(action=action, **columns))
