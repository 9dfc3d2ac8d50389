"""Two sources join while both burn; a storm's thread knows which of its P1s people were told of."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0004_storms.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0004_storms_down.sql")
