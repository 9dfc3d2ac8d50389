"""Migrations: up, down, again, and by ten processes at once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from app.storage import migrate
from app.storage.engine import url_for
from app.storage.errors import DatabaseUnavailable, SchemaIsNewer
from app.storage.tables import metadata
from tests.conftest import address, execute


@pytest.fixture
async def empty_database(postgres_url: str) -> AsyncIterator[str]:
    name = f"empty_{secrets.token_hex(6)}"
    await execute(postgres_url, f"CREATE DATABASE {name}")
    yield address(postgres_url, name)
    await execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


async def tables(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()
    return {row["tablename"] for row in rows}


async def test_ten_replicas_starting_at_once_migrate_once(empty_database: str) -> None:
    schemas = await asyncio.gather(*(migrate.upgrade(empty_database) for _ in range(10)))
    assert all(schema.up_to_date for schema in schemas)
    assert metadata.tables.keys() <= await tables(empty_database)


async def test_upgrading_again_changes_nothing(database_url: str) -> None:
    before = await migrate.status(database_url)
    assert await migrate.upgrade(database_url) == before
    assert before.up_to_date


async def test_down_to_nothing_and_up_again(database_url: str) -> None:
    await migrate.downgrade(database_url, "base")
    assert not metadata.tables.keys() & await tables(database_url)
    assert (await migrate.upgrade(database_url)).up_to_date
    assert metadata.tables.keys() <= await tables(database_url)


async def test_every_single_step_goes_down_and_up(database_url: str) -> None:
    for revision in ("0005", "0004", "0003", "0002", "0001", "base"):
        await migrate.downgrade(database_url, revision)
        assert not (await migrate.status(database_url)).up_to_date
    assert (await migrate.upgrade(database_url)).up_to_date


def test_the_newest_migration_is_the_one_alembic_ends_with() -> None:
    config = Config()
    config.set_main_option("script_location", str(migrate.migrations_path()))
    assert migrate.newest() == ScriptDirectory.from_config(config).get_current_head()


async def test_the_migrations_build_what_the_code_queries(database_url: str) -> None:
    def differences(connection: Connection) -> list[object]:
        def ours(_object: object, name: str | None, kind: str, *_: object) -> bool:
            return not (kind == "table" and (name or "").startswith(("procrastinate_", "queue_migrations")))

        context = MigrationContext.configure(connection, opts={"include_object": ours})
        return compare_metadata(context, metadata)

    engine = create_async_engine(url_for("asyncpg", database_url))
    async with engine.connect() as connection:
        found = [
            each for each in await connection.run_sync(differences) if "alembic_version" not in str(each)
        ]
    await engine.dispose()
    assert found == []


async def test_a_database_that_is_away_is_named_with_what_to_check() -> None:
    with pytest.raises(
        DatabaseUnavailable, match="DATABASE_URL cannot be used: .*refused.* Check that it runs"
    ):
        await migrate.upgrade("postgresql://nobody@127.0.0.1:1/nothing")


async def test_a_schema_of_a_newer_version_is_refused_in_words_and_left_alone(empty_database: str) -> None:
    await migrate.upgrade(empty_database)
    await execute(empty_database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(SchemaIsNewer, match="9999"):
        await migrate.upgrade(empty_database)
    assert (await migrate.status(empty_database)).current == "9999"
