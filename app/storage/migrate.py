"""Bring a database to this version's schema: the queue's own migrations, then ours.

Safe to run from any number of processes at once: an advisory lock lets one do the work and the others
find it done. Running it again changes nothing, and does not even load alembic (60 ms and 5 MB at start).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import psycopg
from psycopg import sql

from app.storage.errors import DatabaseUnavailable, SchemaIsNewer

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection

CONNECT_SECONDS = 5
LOCK = 0x53524541  # "SREA": one number for every version, or two versions could migrate at once


@dataclass(frozen=True)
class Schema:
    """Where a database stands: `current` and `newest` are alembic revisions."""

    current: str | None
    newest: str
    queue_pending: tuple[str, ...]

    @property
    def of_a_newer_version(self) -> bool:
        """Revisions are numbered, with as many digits."""
        return self.current is not None and self.current > self.newest

    @property
    def up_to_date(self) -> bool:
        return self.current == self.newest and not self.queue_pending


async def upgrade(url: str) -> Schema:
    """Apply what is missing, under the lock.

    Raises:
        DatabaseUnavailable: with the server's reason.
        SchemaIsNewer: another version has been here; nothing is changed.
    """
    return await asyncio.to_thread(_upgrade, url)


async def downgrade(url: str, revision: str) -> None:
    """Take our own tables back to `revision` (`base` removes them all); the queue's stay."""

    def run() -> None:
        from alembic import command  # noqa: PLC0415

        with _connection(url) as connection:
            command.downgrade(_alembic(connection), revision)

    await asyncio.to_thread(run)


async def status(url: str) -> Schema:
    """Look, without changing anything."""

    return await asyncio.to_thread(_status, url)


def migrations_path() -> Path:
    """`migrations/` of the checkout, or its copy inside an installed package."""
    packaged = Path(str(resources.files("app"))) / "_packaged" / "migrations"
    return packaged if packaged.is_dir() else Path(__file__).parents[2] / "migrations"


def _upgrade(url: str) -> Schema:
    if (schema := _status(url)).up_to_date:
        return schema
    _refuse_newer(schema)
    from alembic import command  # noqa: PLC0415

    with _connection(url) as connection:
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK})")
        connection.commit()
        try:
            if not (schema := _status(url)).up_to_date:
                _refuse_newer(schema)
                _apply_queue_migrations(connection, schema.queue_pending)
                command.upgrade(_alembic(connection), "head")
                connection.commit()
                schema = _status(url)
            return schema
        finally:
            connection.rollback()
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK})")


def _refuse_newer(schema: Schema) -> None:
    if schema.of_a_newer_version:
        raise SchemaIsNewer(
            f"The database's schema is {schema.current}; this version knows {schema.newest} at most. A newer "
            "version has been here: start that one again. Nothing was changed."
        )


def _status(url: str) -> Schema:
    with _reachable(), psycopg.connect(_plain(url), connect_timeout=CONNECT_SECONDS) as connection:
        current = _column(connection, "alembic_version", "version_num")
        applied = _column(connection, "queue_migrations", "name")
    return Schema(next(iter(current), None), newest(), tuple(sorted(_queue_files().keys() - applied)))


def _column(connection: psycopg.Connection[Any], table: str, column: str) -> set[str]:
    """The values of one column; none when there is no such table yet."""
    found = connection.execute("SELECT to_regclass(%s)", (table,)).fetchone()
    if found is None or found[0] is None:
        return set()
    query = sql.SQL("SELECT {} FROM {}").format(sql.Identifier(column), sql.Identifier(table))
    return {row[0] for row in connection.execute(query)}


def newest() -> str:
    """The revision of the last file in `versions/`, which are numbered."""
    return max(file.name[:4] for file in (migrations_path() / "versions").glob("[0-9][0-9][0-9][0-9]_*.py"))


def _plain(url: str) -> str:
    """As libpq reads it: without a driver's name."""
    return "postgresql://" + url.partition("://")[2]


@contextmanager
def _reachable() -> Iterator[None]:
    try:
        yield
    except psycopg.OperationalError as error:
        raise _unavailable(error) from error


@contextmanager
def _connection(url: str) -> Iterator[Connection]:
    from sqlalchemy import create_engine, pool  # noqa: PLC0415

    from app.storage.engine import url_for  # noqa: PLC0415

    engine = create_engine(
        url_for("psycopg", url), poolclass=pool.NullPool, connect_args={"connect_timeout": CONNECT_SECONDS}
    )
    try:
        with engine.connect() as connection:
            yield connection
    except Exception as error:
        if isinstance(cause := getattr(error, "orig", None), psycopg.OperationalError):
            raise _unavailable(cause) from error
        raise
    finally:
        engine.dispose()


def _unavailable(error: psycopg.OperationalError) -> DatabaseUnavailable:
    reason = str(error).strip().splitlines()[0]
    return DatabaseUnavailable(
        f"The database of DATABASE_URL cannot be used: {reason}. Check that it runs and that the "
        "address, user and password are right."
    )


def _alembic(connection: Connection) -> Config:
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(migrations_path()))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config


# The queue's library keeps no record of which of its migrations ran, so we keep one: `queue_migrations`.


def _queue_files() -> dict[str, Any]:
    folder = resources.files("procrastinate") / "sql" / "migrations"
    return {file.name: file for file in folder.iterdir() if file.name.endswith(".sql")}


def _exists(connection: Connection, table: str) -> bool:
    return connection.exec_driver_sql(f"SELECT to_regclass('{table}')").scalar() is not None


def _apply_queue_migrations(connection: Connection, pending: tuple[str, ...]) -> None:
    from procrastinate.schema import SchemaManager  # noqa: PLC0415

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
