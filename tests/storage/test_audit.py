"""The audit log: the database itself refuses to have it rewritten."""

from __future__ import annotations

import asyncpg
import pytest


@pytest.fixture
async def connection(database_url: str):
    connection = await asyncpg.connect(database_url)
    await connection.execute(
        "INSERT INTO audit_log (action, user_id, input_text, response_text, created_at) VALUES "
        "('message', 'U1', 'my secret', 'an answer', now() - interval '500 days'), "
        "('message', 'U2', 'another', 'answer', now())"
    )
    yield connection
    await connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET input_text = 'nicer'",
        "DELETE FROM audit_log",
        "TRUNCATE audit_log",
        "TRUNCATE audit_log CASCADE",
        "UPDATE audit_log SET id = DEFAULT WHERE false",
    ],
)
async def test_rewriting_is_refused(connection: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.PostgresError, match=r"append-only|identity|can only be updated to DEFAULT"):
        await connection.execute(statement)
    assert await connection.fetchval("SELECT count(*) FROM audit_log") == 2


async def test_a_function_of_another_name_cannot_do_it_either(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "CREATE FUNCTION my_audit_forget(text, text) RETURNS void LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE audit_log SET user_id = 'x'; END $$"
    )
    with pytest.raises(asyncpg.PostgresError, match="append-only"):
        await connection.execute("SELECT my_audit_forget('U1', 'x')")


async def test_forgetting_a_person_keeps_the_row_and_leaves_one(connection: asyncpg.Connection) -> None:
    assert await connection.fetchval("SELECT audit_forget('U1', 'person-1')") == 1
    rows = await connection.fetch(
        "SELECT action, user_id, input_text, response_text FROM audit_log ORDER BY id"
    )
    assert [tuple(row) for row in rows] == [
        ("message", "person-1", "(forgotten)", "(forgotten)"),
        ("message", "U2", "another", "answer"),
        ("forget", "person-1", "1 rows", None),
    ]


async def test_retention_removes_old_rows_and_says_so(connection: asyncpg.Connection) -> None:
    assert await connection.fetchval("SELECT audit_prune(400, 10)") == 1
    rows = await connection.fetch("SELECT action, input_text FROM audit_log ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("message", "another"),
        ("retention", "1 rows older than 400 days"),
    ]
