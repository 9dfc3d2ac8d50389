"""Taking an alert is one statement, and joining a storm waits for no stage of its leader."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0013_joining_storms.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0013_joining_storms_down.sql")
