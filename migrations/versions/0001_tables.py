"""The first tables."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file
from app.storage.tables import metadata

revision = "0001"
down_revision = None


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0001_tables.sql")


def downgrade() -> None:
    for name in reversed([table.name for table in metadata.sorted_tables]):
        op.execute(f'DROP TABLE IF EXISTS "{name}"')
