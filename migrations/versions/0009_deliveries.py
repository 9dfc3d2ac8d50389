"""What a workflow made is delivered elsewhere on request, once."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0009_deliveries.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0009_deliveries_down.sql")
