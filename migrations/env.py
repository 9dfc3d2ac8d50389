"""Alembic's entry: migrates over the connection `app.storage.migrate` holds (its lock included)."""

from __future__ import annotations

from typing import Any

from alembic import context

from app.storage.tables import metadata


def ours(_object: Any, name: str | None, kind: str, _reflected: bool, _compare_to: Any) -> bool:
    """The queue's tables have their own migrations; alembic leaves them alone."""
    return not (kind == "table" and (name or "").startswith(("procrastinate_", "queue_migrations")))


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    include_object=ours,
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
