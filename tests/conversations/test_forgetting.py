"""A forgotten person stands in no table any more; what is known of systems, and that it was asked, stays."""

from __future__ import annotations

import re

from sqlalchemy.ext.asyncio import AsyncEngine

from app.conversations import forgetting
from app.conversations.forgetting import forget
from app.storage.engine import begin
from app.storage.tables import metadata
from tests.conversations.test_accept import rows
from tests.conversations.test_retention import thread

MAYA, OTHER = "U0MAYA", "U0MAYA2"
WORDS = "what they said"
NOBODYS = {"usage", "budget_windows", "sightings", "knowledge_revisions", "http_cache"}
"""Tables without people: figures, times, and documents of repos."""


async def run(engine: AsyncEngine, *statements: str) -> None:
    async with begin(engine) as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def everything(engine: AsyncEngine) -> str:
    found = [await rows(engine, f"SELECT to_jsonb(t)::text FROM {table} AS t") for table in metadata.tables]
    return "\n".join(str(row) for table in found for row in table)


async def life(engine: AsyncEngine) -> None:
    """Two threads of hers, one of another person's in which she is named, one that knows nothing of her, and
    an incident she told the cause of."""
    for ts in ("1.1", "2.2", "3.3", "4.4"):
        await thread(engine, ts)
    named = f'{{"by": "<@{MAYA}>", "and": "{OTHER}"}}'
    await run(
        engine,
        f"UPDATE turns SET user_id = '{OTHER}', question = 'of the other'",
        f"UPDATE turns SET user_id = '{MAYA}', question = '{WORDS}' WHERE session_id IN "
        "(SELECT id FROM sessions WHERE thread_ts IN ('1.1', '2.2'))",
        f"UPDATE sessions SET workflow_state = '{named}' WHERE thread_ts = '3.3'",
        f"UPDATE feedback SET user_id = '{MAYA}'",
        "INSERT INTO deliveries (session_id, turn_id, asked_by, kind, target, artifact_ids) "
        f"SELECT session_id, id, '{MAYA}', 'notion_page', 'x', '{{}}' FROM turns WHERE user_id = '{MAYA}'",
        "INSERT INTO audit_log (action, user_id, input_text, response_text, trace_id) VALUES "
        f"('message', '{MAYA}', '{WORDS}', 'an answer to her', 't1'), "
        f"('message', '{OTHER}', 'did <@{MAYA}> say so?', 'yes', 't2')",
        "INSERT INTO incidents (source, incident_key, title, severity, alert, started_at) "
        f"VALUES ('grafana', 'k', 'told by {MAYA}', 'P1', '{named}', now())",
        "INSERT INTO investigations (id, incident_id, title, report, brief, presses, escalations, thread_state) "
        f"SELECT gen_random_uuid(), id, title, 'says {MAYA}', '{named}', '{{\"correct\": {named}}}', '{named}', "
        f"'{named}' FROM incidents",
        "INSERT INTO evidence (investigation_id, label, source, finding) "
        f"SELECT id, 'E1', 'slack', '{named}' FROM investigations",
        "INSERT INTO outcomes (investigation_id, user_id, correct, cause) "
        f"SELECT id, '{MAYA}', false, 'the disk, says {MAYA}' FROM investigations",
        f"INSERT INTO rejected_webhooks (source, reason, payload) VALUES ('grafana', 'x', '{named}')",
    )


async def test_a_person_stands_nowhere_any_more_and_everybody_else_does(engine: AsyncEngine) -> None:
    await life(engine)
    before = await rows(engine, "SELECT action, trace_id, created_at FROM audit_log ORDER BY id")

    done = await forget(engine, MAYA)

    kept = await everything(engine)
    assert re.findall(rf"\b{MAYA}\b", kept) == []
    assert WORDS not in kept
    assert "an answer to her" not in kept
    assert kept.count(OTHER) >= 8
    assert await rows(engine, "SELECT thread_ts FROM sessions") == [("4.4",)]
    assert await rows(engine, "SELECT correct, cause FROM outcomes") == [
        (False, f"the disk, says {done.pseudonym}")
    ]
    assert await rows(engine, "SELECT sum(input_tokens) FROM usage") == [(40,)]
    after = await rows(engine, "SELECT action, trace_id, created_at FROM audit_log ORDER BY id")
    assert after[:-1] == before
    assert after[-1][0] == "forget"
    assert (done.threads, done.renamed["outcomes"], done.renamed["investigations"]) == (3, 1, 1)
    assert done.in_threads["deliveries"] == 2
    assert f"now {done.pseudonym}." in done.report()


async def test_done_again_it_changes_nothing_and_says_so(engine: AsyncEngine) -> None:
    await life(engine)
    await forget(engine, MAYA)
    before = await everything(engine)

    again = await forget(engine, MAYA)

    assert again.report() == f"Nothing is stored about {MAYA}."
    assert await everything(engine) == before


async def test_a_dry_run_says_the_same_and_changes_nothing(engine: AsyncEngine) -> None:
    await life(engine)
    before = await everything(engine)

    looked = await forget(engine, MAYA, pseudonym="p-1", dry=True)

    assert await everything(engine) == before
    assert looked.report(dry=True).endswith("Nothing was changed.")
    assert await forget(engine, MAYA, pseudonym="p-1") == looked


async def test_the_pseudonym_is_derived_from_nothing(engine: AsyncEngine) -> None:
    names = set()
    for ts in ("1.1", "2.2"):
        await thread(engine, ts)
        await run(engine, f"UPDATE turns SET user_id = '{MAYA}'")
        names.add((await forget(engine, MAYA)).pseudonym)
    assert len(names) == 2
    assert not any(MAYA.lower() in name.lower() for name in names)


def test_every_table_is_thought_of() -> None:
    """A new table: say in `forgetting` what becomes of people in it, or here that there are none."""
    thought_of = {*forgetting.IN_THEM.values(), *forgetting.OUTLIVING, *NOBODYS, "sessions", "audit_log"}
    assert set(metadata.tables) == thought_of
