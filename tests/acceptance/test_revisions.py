"""Every audit row says which revision of the knowledge shaped what it tells of, and which is one it ran on."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.playground.example import write_repos
from app.playground.slack.records import Message
from tests.acceptance.conftest import CHECKOUT, LAUNCH, MAYA, Stack
from tests.acceptance.investigating import diagnosis, incident
from tests.acceptance.test_adversary_durability import accepted, press_stop
from tests.acceptance.test_conversation import commit, revisions, shown
from tests.acceptance.test_durability import slow, visible
from tests.acceptance.test_investigation import ERRORS, pressed
from tests.fakes.anthropic import FakeAnthropic
from tests.fakes.script import call, conclude, say

LOOK = call("read_service_file", path="README.md")
STOPPED = (
    "SELECT knowledge_revision FROM audit_log WHERE action = 'message' AND response_text LIKE '(cancelled%'"
)


@pytest.fixture
def repo(stack: Stack, tmp_path: Path) -> Path:
    """A knowledge repo of the test's own."""
    organisation = write_repos(tmp_path / "own")
    stack.environment |= {"KNOWLEDGE_REPO_URL": organisation.knowledge, "GIT_POLL_SECONDS": "0.1"}
    return tmp_path / "own" / "knowledge"


async def newest(stack: Stack) -> str:
    [(revision,)] = await stack.rows("SELECT revision FROM knowledge_revisions ORDER BY id DESC LIMIT 1")
    assert isinstance(revision, str)
    return revision


async def change(stack: Stack, repo: Path) -> str:
    """Merge something; the revision that is in force then."""
    [(known,)] = await stack.rows("SELECT count(*) FROM knowledge_revisions")
    commit(repo, "system-prompt.md", f"Be brief. This is change {known}.\n")
    await revisions(stack, known + 1)
    return await newest(stack)


def thumb(answer: Message) -> str:
    [button] = [
        element
        for block in answer.blocks
        if block["type"] == "context_actions"
        for element in block["elements"]
    ]
    return str(button["positive_button"]["value"])


async def test_the_first_turn_of_a_thread_is_audited_with_its_service_and_revision(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(say("Let me look. ", LOOK), say("Done.", conclude()))
    await stack.serve()
    ts, [answer] = await stack.ask()
    await stack.slack.click(MAYA, answer.ts, "feedback", thumb(answer))
    await stack.slack.wait_for(lambda: stack.slack.ephemeral(MAYA))

    revision, columns = await newest(stack), "action, channel_id, thread_ts, service_name, knowledge_revision"
    place = (CHECKOUT, ts, "checkout", revision)
    assert await stack.rows(f"SELECT {columns} FROM audit_log WHERE user_id = '{MAYA}' ORDER BY id") == [
        ("tool_call", *place),
        ("message", *place),
        ("feedback", *place),
    ]


async def test_a_turn_that_is_stopped_names_the_revision_it_began_with(
    stack: Stack, model: FakeAnthropic
) -> None:
    model.script.add(slow(conclude(), seconds=30))
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    await stack.slack.stop(MAYA, CHECKOUT, ts)
    await stack.ended(ts)

    assert await stack.rows(STOPPED) == [(await newest(stack),)]


async def test_a_turn_that_is_stopped_before_it_begins_names_the_revision_in_force(stack: Stack) -> None:
    await stack.serve(worker=False)
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await accepted(stack, ts)
    await press_stop(stack, ts)
    await stack.serve(door=False)
    await stack.ended(ts)

    assert await stack.rows(STOPPED) == [(await newest(stack),)]


async def test_tool_calls_behind_a_reload_or_a_days_silence_name_the_new_revision(
    stack: Stack, model: FakeAnthropic, repo: Path
) -> None:
    model.script.add(
        *(answer for n in range(3) for answer in (say("I look. ", LOOK), say(f"{n}", conclude())))
    )
    await stack.serve()
    ts, _ = await stack.ask()
    wanted = [await newest(stack), await change(stack, repo)]
    await stack.ask("reload", thread_ts=ts)
    await stack.ask("and now?", thread_ts=ts)
    wanted.append(await change(stack, repo))
    async with stack.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE sessions DISABLE TRIGGER sessions_touch")
        await connection.exec_driver_sql("UPDATE sessions SET updated_at = now() - interval '2 days'")
        await connection.exec_driver_sql("ALTER TABLE sessions ENABLE TRIGGER sessions_touch")
    await stack.ask("and today?", thread_ts=ts)

    called = await stack.rows(
        "SELECT knowledge_revision FROM audit_log WHERE action = 'tool_call' ORDER BY id"
    )
    assert called == [(revision,) for revision in wanted]
    prompts = [str(request["system"]) for request in model.requests[::2]]
    assert len(set(prompts)) == len(set(wanted)) == 3


@pytest.mark.parametrize("days", [0, 2])
async def test_a_turn_that_is_tried_again_goes_on_with_the_knowledge_it_began_with(
    stack: Stack, model: FakeAnthropic, repo: Path, tmp_path: Path, days: int
) -> None:
    model.script.add(say("I look. ", LOOK), slow(conclude(), seconds=30), say("At last.", conclude()))
    leaving = await stack.serve(SHUTDOWN_GRACE_SECONDS="0.1")
    began_with = await newest(stack)
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await visible(stack, ts)
    await change(stack, repo)
    await leaving.stop()
    async with stack.engine.begin() as connection:
        await connection.exec_driver_sql("ALTER TABLE sessions DISABLE TRIGGER sessions_touch")
        await connection.exec_driver_sql(f"UPDATE sessions SET updated_at = now() - interval '{days} days'")
        await connection.exec_driver_sql("ALTER TABLE sessions ENABLE TRIGGER sessions_touch")
    # On a machine that has never seen the first revision.
    await stack.serve(SRE_AGENT_HOME=str(tmp_path / "another"))

    assert "At last." in shown(await stack.answered(CHECKOUT, ts))
    assert len({str(request["system"]) for request in model.requests}) == 1
    rows = "SELECT DISTINCT knowledge_revision FROM audit_log WHERE action IN ('tool_call', 'message')"
    assert await stack.rows(rows) == [(began_with,)]
    assert await stack.rows("SELECT knowledge_revision FROM sessions") == [(began_with,)]


async def test_the_rows_of_an_investigation_name_the_revision_of_its_diagnosis(stack: Stack) -> None:
    async with incident(stack) as one:
        one.model.script.add(say("", call("promql", query=ERRORS)), say("", diagnosis()))
        await one.investigated()
        for button in ("correct", "escalate"):
            await pressed(one, button)
        await one.becomes("SELECT count(*) FROM audit_log WHERE action IN ('outcome', 'escalate')", [(2,)])

    revision = await newest(stack)
    rows = await stack.rows(
        "SELECT action, knowledge_revision FROM audit_log WHERE action <> 'knowledge_reload' ORDER BY action"
    )
    assert rows == [(action, revision) for action in ("escalate", "investigation", "outcome", "tool_call")]
    assert await stack.rows("SELECT knowledge_revision FROM sessions") == [(revision,)]
