"""The audit log: the database itself refuses to have it rewritten."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

import asyncpg
import pytest

DOCS = Path(__file__).parents[2] / "docs"


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


@pytest.mark.parametrize(
    "attempt",
    [
        # What looked at the call stack was led astray by these.
        "DO $$ BEGIN UPDATE audit_log SET action = 'x' /* function audit_forget(text,text) line */; END $$",
        "CREATE SCHEMA mine; SET search_path = mine, public; "
        "CREATE FUNCTION mine.audit_forget(text, text) RETURNS void LANGUAGE plpgsql AS "
        "$$ BEGIN UPDATE audit_log SET user_id = 'x'; END $$; SELECT audit_forget('U1', 'x')",
        # And what looks at the log, by a log that is another one.
        "CREATE TEMPORARY TABLE audit_log (action text, created_at timestamptz, context_used jsonb, id int); "
        "INSERT INTO pg_temp.audit_log SELECT 'retention', now(), jsonb_build_object('days', 1, 'rows', 2, "
        "'transaction', pg_current_xact_id()::text), 1; DELETE FROM public.audit_log",
    ],
    ids=["a comment", "a namesake", "a temporary log"],
)
async def test_nor_is_the_guard_led_astray(connection: asyncpg.Connection, attempt: str) -> None:
    with pytest.raises(asyncpg.PostgresError, match="append-only"):
        await connection.execute(attempt)
    assert await connection.fetchval("SELECT count(*) FROM public.audit_log WHERE action = 'message'") == 2


ANNOUNCED = (
    "INSERT INTO audit_log (action, context_used) VALUES ('{action}', {what}::jsonb "
    "|| jsonb_build_object('transaction', pg_current_xact_id()::text)); "
)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_log SET created_at = now() WHERE user_id = 'U1'",
        "UPDATE audit_log SET action = 'other' WHERE user_id = 'U1'",
        "UPDATE audit_log SET user_id = 'U3' WHERE user_id = 'U1'",
        "UPDATE audit_log SET input_text = NULL WHERE user_id = 'U1'",
        "UPDATE audit_log SET id = DEFAULT WHERE user_id = 'U1'",
        "DELETE FROM audit_log WHERE user_id = 'U1'",
    ],
)
async def test_what_announces_that_somebody_is_forgotten_changes_no_fact(
    connection: asyncpg.Connection, statement: str
) -> None:
    announced = ANNOUNCED.format(action="forget", what="""'{"pseudonym": "p-1"}'""")
    with pytest.raises(asyncpg.PostgresError, match="append-only"):
        await connection.execute(announced + statement)


@pytest.mark.parametrize(
    "what",
    ["""'{"days": 400, "rows": 1}'""", """'{"days": 0, "rows": 2}'""", """'{"days": 1, "rows": 5}'"""],
    ids=["older", "not of today", "as many"],
)
async def test_what_announces_retention_removes_no_more_than_it_says(
    connection: asyncpg.Connection, what: str
) -> None:
    announced = ANNOUNCED.format(action="retention", what=what)
    with pytest.raises(asyncpg.PostgresError, match="only what was announced"):
        await connection.execute(announced + "DELETE FROM audit_log WHERE action = 'message'")
    assert await connection.fetchval("SELECT count(*) FROM audit_log") == 2
    with pytest.raises(asyncpg.PostgresError, match="a day at least"):
        await connection.execute("SELECT audit_prune(0, 100)")


async def test_an_announcement_holds_for_its_transaction_alone(connection: asyncpg.Connection) -> None:
    await connection.execute("SELECT audit_prune(400, 10)")
    with pytest.raises(asyncpg.PostgresError, match="append-only"):
        await connection.execute("DELETE FROM audit_log")


async def test_the_role_of_the_documentation_adds_and_does_nothing_else(
    connection: asyncpg.Connection, database_url: str
) -> None:
    """With the statements of docs/security.md, as they stand there."""
    [script] = re.findall(r"```sql\n(.*?)```", (DOCS / "security.md").read_text("utf-8"), re.S)
    role = f"app_{secrets.token_hex(4)}"
    await connection.execute(script.replace("sre_agent_app", role).replace("…", "its-password"))
    try:
        await connection.execute(f"SET SESSION AUTHORIZATION {role}")
        await connection.execute("INSERT INTO audit_log (action, user_id) VALUES ('message', 'U1')")
        for attempt in (
            "UPDATE audit_log SET action = 'x'",
            "DELETE FROM audit_log",
            "TRUNCATE audit_log",
            "ALTER TABLE audit_log DISABLE TRIGGER ALL",
            "DROP TRIGGER audit_log_guard ON audit_log",
            "CREATE OR REPLACE FUNCTION guard_audit_log() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN END$$",
            "SET session_replication_role = replica",
            "DROP TABLE audit_log",
            "CREATE TRIGGER mine BEFORE INSERT ON audit_log EXECUTE FUNCTION guard_audit_log()",
        ):
            with pytest.raises(
                asyncpg.PostgresError, match=r"permission denied|must be owner|append-only"
            ) as refused:
                await connection.execute(attempt)
            assert refused.value.sqlstate in ("42501", "SRE02"), attempt
        assert await connection.fetchval("SELECT audit_forget('U1', 'p-1')") == 2
        assert await connection.fetchval("SELECT audit_prune(400, 10)") == 1
        assert await connection.fetchval("SELECT count(*) FROM turns") == 0
    finally:
        await connection.execute("RESET SESSION AUTHORIZATION")
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")


async def test_strangers_may_not_prune_or_forget(connection: asyncpg.Connection) -> None:
    role = f"stranger_{secrets.token_hex(4)}"
    await connection.execute(f"CREATE ROLE {role}")
    try:
        await connection.execute(f"SET SESSION AUTHORIZATION {role}")
        for call in ("audit_prune(400, 10)", "audit_forget('U1', 'p-1')"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"SELECT {call}")
    finally:
        await connection.execute(f"RESET SESSION AUTHORIZATION; DROP ROLE {role}")


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


async def test_what_others_wrote_loses_the_name_alone(connection: asyncpg.Connection) -> None:
    await connection.execute(
        "INSERT INTO audit_log (action, user_id, input_text, response_text, context_used) VALUES "
        "('message', 'U2', 'ask <@U1> or <@U12>', 'U1 knows', '{\"by\": [\"U1\", \"U12\"]}'), "
        "('message', NULL, 'U1', NULL, NULL)"
    )
    assert await connection.fetchval("SELECT audit_forget('U1', 'p-1')") == 3
    rows = await connection.fetch(
        "SELECT user_id, input_text, response_text, context_used::text FROM audit_log WHERE id > 2 ORDER BY id"
    )
    assert [tuple(row)[:4] for row in rows][:2] == [
        ("U2", "ask <@p-1> or <@U12>", "p-1 knows", '{"by": ["p-1", "U12"]}'),
        (None, "p-1", None, None),
    ]
    assert await connection.fetchval("SELECT audit_forget('U1', 'p-2')") == 0


async def test_retention_removes_old_rows_and_says_so(connection: asyncpg.Connection) -> None:
    assert await connection.fetchval("SELECT audit_prune(400, 10)") == 1
    rows = await connection.fetch("SELECT action, input_text FROM audit_log ORDER BY id")
    assert [tuple(row) for row in rows] == [
        ("message", "another"),
        ("retention", "1 rows older than 400 days"),
    ]
