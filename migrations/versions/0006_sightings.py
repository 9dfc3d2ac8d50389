"""What was heard or refused a moment ago, so that no replica misses or repeats it."""

from __future__ import annotations

from alembic import op

from app.storage.migrate import run_sql_file

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run_sql_file(op.get_bind(), "0006_sightings.sql")


def downgrade() -> None:
    run_sql_file(op.get_bind(), "0006_sightings_down.sql")
