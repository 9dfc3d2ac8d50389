"""What was lately is counted without reading what was before."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0010_figures.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0010_figures_down.sql")
