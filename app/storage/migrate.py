"""Bring a database to this version's schema: the queue's own migrations, then ours.

Safe to run from any number of processes at once: an advisory lock lets one do the work and the others
find it done. Running it again changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, cast

import psycopg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from procrastinate.schema import SchemaManager
from sqlalchemy import Connection, create_engine, pool

from app.storage.engine import url_for
from app.storage.errors import DatabaseUnavailable

LOCK = 0x53524541  # "SREA": one number for every version, or two versions could migrate at once


@dataclass(frozen=True)
class Schema:
    """Where a database stands: `current` and `newest` are alembic revisions."""

    current: str | None
    newest: str
    queue_pending: tuple[str, ...]

    @property
    def up_to_date(self) -> bool:
        return self.current == self.newest and not self.queue_pending


async def upgrade(url: str) -> Schema:
    """Apply what is missing, under the lock.

    Raises:
        DatabaseUnavailable: with the server's reason.
    """
    return await asyncio.to_thread(_upgrade, url)


async def downgrade(url: str, revision: str) -> None:
    """Take our own tables back to `revision` (`base` removes them all); the queue's stay."""

    def run() -> None:
        with _connection(url) as connection:
            command.downgrade(_alembic(connection), revision)

    await asyncio.to_thread(run)


async def status(url: str) -> Schema:
    """Look, without changing anything."""

    def run() -> Schema:
        with _connection(url) as connection:
            return _schema(connection)

    return await asyncio.to_thread(run)


def migrations_path() -> Path:
    """`migrations/` of the checkout, or its copy inside an installed package."""
    packaged = Path(str(resources.files("app"))) / "_packaged" / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"


def _upgrade(url: str) -> Schema:
    with _connection(url) as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")
        connection.commit()
        try:
            if not (schema := _schema(connection)).up_to_date:
                _apply_queue_migrations(connection, schema.queue_pending)
                command.upgrade(_alembic(connection), "head")
                connection.commit()
                schema = _schema(connection)
            return schema
        finally:
            connection.rollback()
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK})")


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    engine = create_engine(
        url_for("psycopg", url), poolclass=pool.NullPool, connect_args={"connect_timeout": 5}
    )
    try:
        with engine.connect() as connection:
            yield connection
    except Exception as error:
        if isinstance(getattr(error, "orig", None), psycopg.OperationalError):
            reason = str(error.orig).strip().splitlines()[0]  # type: ignore[attr-defined]
            raise DatabaseUnavailable(
                f"The database of DATABASE_URL cannot be used: {reason}. Check that it runs and that the "
                "address, user and password are right."
            ) from error
        raise
    finally:
        engine.dispose()


def _alembic(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(migrations_path()))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


def _schema(connection: Connection) -> Schema:
    newest = ScriptDirectory.from_config(_alembic(connection)).get_current_head()
    current = MigrationContext.configure(connection).get_current_revision()
    return Schema(current, newest or "", tuple(_queue_pending(connection)))


# The queue's library keeps no record of which of its migrations ran, so we keep one: `queue_migrations`.


def _queue_files() -> dict[str, Any]:
    folder = resources.files("procrastinate") / "sql" / "migrations"
    return {file.name: file for file in folder.iterdir() if file.name.endswith(".sql")}


def _queue_pending(connection: Connection) -> list[str]:
    if not _exists(connection, "queue_migrations"):
        return sorted(_queue_files())
    applied = set(connection.exec_driver_sql("SELECT name FROM queue_migrations").scalars())
    return sorted(_queue_files().keys() - applied)


def _exists(connection: Connection, table: str) -> bool:
    return connection.exec_driver_sql(f"SELECT to_regclass('{table}')").scalar() is not None


def _apply_queue_migrations(connection: Connection, pending: tuple[str, ...]) -> None:
    raw = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    if not _exists(connection, "procrastinate_jobs"):
        # A fresh database gets the whole schema of today; its history counts as applied.
        _run_script(raw, SchemaManager.get_schema())
    else:
        for name in pending:
            _run_script(raw, _queue_files()[name].read_text("utf-8"))
    connection.exec_driver_sql(
        "CREATE TABLE IF NOT EXISTS queue_migrations "
        "(name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
    )
    for name in pending:
        connection.exec_driver_sql("INSERT INTO queue_migrations (name) VALUES (%s)", (name,))
    connection.commit()


def _run_script(raw: psycopg.Connection[Any], script: str) -> None:
    """Past SQLAlchemy, without parameters: the scripts contain `%` and several statements."""
    raw.execute(script)


def run_sql_file(connection: Connection, name: str) -> None:
    """Run `migrations/sql/<name>` in the migration's transaction."""
    raw = cast("psycopg.Connection[Any]", connection.connection.driver_connection)
    _run_script(raw, (migrations_path() / "sql" / name).read_text("utf-8"))
