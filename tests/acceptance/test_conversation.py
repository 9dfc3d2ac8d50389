"""A developer asks, and goes on asking: the whole program in this process, without a model."""

from __future__ import annotations

import asyncio
import gc
import json
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import httpx
import pytest
from sqlalchemy import text

from app.conversations.accept import forget_sightings
from app.footprint import make_what_stays
from app.knowledge.packaged import packaged_path
from app.playground.example import git, write_repos
from app.playground.slack.faults import CallFault
from app.playground.slack.records import Message
from app.runtime import Runtime
from tests.acceptance.conftest import CHECKOUT, GUEST, LAUNCH, MAYA, OMAR, STRANGER, Stack


def shown(messages: list[Message]) -> str:
    """All that can be read in messages, blocks included."""
    return "\n".join(message.text + json.dumps(message.blocks, ensure_ascii=False) for message in messages)


async def test_a_mention_is_answered_from_the_services_own_documents(stack: Stack) -> None:
    await stack.serve()
    ts, answers = await stack.ask()
    [answer] = answers
    assert "no model" in shown(answers).lower()
    for wanted in ("checkout", "services/checkout.md", "tier"):
        assert wanted in shown(answers).lower()
    assert not answer.streaming
    assert answer.metadata is not None
    [(turn_id, status)] = await stack.rows("SELECT id::text, status FROM turns")
    assert answer.metadata["event_type"] == "sre_agent_turn"
    assert answer.metadata["event_payload"]["turn_id"] == turn_id
    assert status == "done"
    assert stack.slack.calls("chat.startStream")
    [(service, refs, revision)] = await stack.rows(
        "SELECT service_name, context_refs, knowledge_revision FROM sessions"
    )
    assert service == "checkout"
    assert any(ref["path"].endswith("services/checkout.md") for ref in refs)
    rows = await stack.rows(
        "SELECT action, user_id, thread_ts, service_name, input_text, knowledge_revision FROM audit_log "
        "WHERE action = 'message'"
    )
    assert rows == [("message", MAYA, ts, "checkout", "what do I need before we launch checkout?", revision)]


async def test_the_thread_goes_on_without_a_mention_and_after_a_restart(stack: Stack) -> None:
    first = await stack.serve()
    ts, _ = await stack.ask()
    follow_up, answers = await stack.ask("and which timeout do we use towards payments?", thread_ts=ts)
    assert len(answers) == 2
    assert "timeout" in answers[1].text.lower()
    await first.stop()
    late = await stack.slack.say(MAYA, CHECKOUT, "what about its on-call?", ts)
    await stack.serve()
    answers = await stack.answered(CHECKOUT, late, ts)
    assert len(answers) == 3
    assert await stack.rows("SELECT count(*) FROM sessions") == [(1,)]


async def test_people_talking_elsewhere_are_left_alone(stack: Stack) -> None:
    await stack.serve()
    root = await stack.slack.say(MAYA, CHECKOUT, "shall we launch checkout?")
    await stack.slack.say(OMAR, CHECKOUT, "let us ask the agent", root)
    ts, _ = await stack.ask("<@U0AGENT> what do we need?", thread_ts=root)
    await stack.slack.say(MAYA, CHECKOUT, "<@U0OMAR> can you look at the third point?", root)
    _, answers = await stack.ask("<@U0AGENT> thank you. And the tier?", thread_ts=root)
    assert len(answers) == 2
    assert await stack.rows("SELECT count(*) FROM turns") == [(2,)]


async def test_a_mention_in_mid_thread_reads_what_was_said_before(stack: Stack) -> None:
    await stack.serve()
    root = await stack.slack.say(MAYA, CHECKOUT, "the /pay endpoint of checkout worries me")
    await stack.ask("<@U0AGENT> what do you say?", thread_ts=root)
    [(body,)] = await stack.rows("SELECT body::text FROM messages WHERE kind = 'question'")
    assert "the /pay endpoint of checkout worries me" in body


async def test_a_direct_message_is_answered_without_a_mention(stack: Stack) -> None:
    await stack.serve()
    dm = stack.slack.dm(MAYA)
    _, answers = await stack.ask("what does tier 1 ask of us?", channel=dm)
    assert "tier 1" in shown(answers).lower()


async def test_events_over_signed_http_are_answered_too(stack: Stack) -> None:
    runtime = await stack.serve(SLACK_APP_TOKEN="")
    stack.slack.deliver_to(f"http://127.0.0.1:{runtime.ports['PORT']}/slack/events")
    _, answers = await stack.ask()
    assert len(answers) == 1


@pytest.mark.parametrize(("user", "words"), [(GUEST, "guests"), (STRANGER, "workspace")])
async def test_guests_and_strangers_get_one_sentence_nobody_else_sees(
    stack: Stack, user: str, words: str
) -> None:
    await stack.serve()
    await stack.slack.say(user, CHECKOUT, LAUNCH)
    await stack.slack.wait_for(lambda: stack.slack.ephemeral(user))
    [sentence] = stack.slack.ephemeral(user)
    assert words in sentence.text
    assert await stack.rows("SELECT count(*) FROM turns") == [(0,)]


async def test_a_refusal_is_told_once_however_often_its_message_is_delivered(stack: Stack) -> None:
    await stack.serve()
    await stack.serve()
    ts, _ = await stack.ask()
    stack.slack.faults.deliveries.twice = 4
    stack.slack.faults.deliveries.lose_acks = 4
    # In a thread one text arrives as a message and as a mention.
    await stack.slack.say(GUEST, CHECKOUT, "<@U0AGENT> and me?", ts)
    await stack.slack.say(GUEST, CHECKOUT, LAUNCH)
    await stack.slack.wait_for(lambda: len(stack.slack.ephemeral(GUEST)) >= 2)
    await asyncio.sleep(2)
    assert len(stack.slack.ephemeral(GUEST)) == 2
    assert await stack.rows("SELECT count(*) FROM turns") == [(1,)]


async def test_messages_of_other_peoples_threads_are_acked_while_slack_cannot_say_who_wrote_them(
    stack: Stack,
) -> None:
    stack.slack.socket_mode.ack_seconds = 60
    await stack.serve()
    stack.slack.faults.calls.add("users.info", CallFault.failing(503), times=99)
    root = await stack.slack.say(OMAR, CHECKOUT, "lunch?")
    await stack.slack.say(MAYA, CHECKOUT, "yes", root)
    acked = "SELECT count(*) FROM sightings WHERE kind = 'overheard'"
    async with asyncio.timeout(60):
        while await stack.rows(acked) != [(1,)]:
            await asyncio.sleep(0.05)
    await stack.slack.wait_for(lambda: {each.outcome for each in stack.slack.deliveries} == {"acked"})
    assert not stack.slack.calls("users.info")


@pytest.mark.parametrize("replicas", [1, 2])
async def test_a_follow_up_that_overtakes_its_mention_is_answered(stack: Stack, replicas: int) -> None:
    for _ in range(replicas):
        await stack.serve()
    stack.slack.faults.deliveries.reorder = 2
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    later = await stack.slack.say(OMAR, CHECKOUT, "and which timeout do we use towards payments?", ts)
    await stack.answered(CHECKOUT, later, ts)
    assert len(stack.answers(CHECKOUT, ts)) == 2
    assert await stack.rows("SELECT kind FROM turns ORDER BY message_ts") == [("mention",), ("follow_up",)]


async def test_a_thread_is_not_read_when_nothing_was_overtaken(stack: Stack) -> None:
    await stack.serve()
    await stack.ask()
    assert not stack.slack.calls("conversations.replies")


async def test_what_was_overheard_holds_no_words_and_is_soon_forgotten(stack: Stack) -> None:
    await stack.serve()
    root = await stack.slack.say(OMAR, CHECKOUT, "lunch?")
    await stack.slack.say(MAYA, CHECKOUT, "a secret", root)
    async with asyncio.timeout(60):
        while not (rows := await stack.rows("SELECT to_jsonb(sightings)::text FROM sightings")):
            await asyncio.sleep(0.05)
    assert "secret" not in rows[0][0]
    assert MAYA not in rows[0][0]
    async with stack.engine.begin() as connection:
        await connection.execute(text("UPDATE sightings SET forget_at = now() - interval '1 second'"))
    await forget_sightings(stack.engine)
    assert not await stack.rows("SELECT 1 FROM sightings")


async def test_guests_are_answered_when_allowed(stack: Stack) -> None:
    await stack.serve(SLACK_ALLOW_GUESTS="true")
    _, answers = await stack.ask(user=GUEST)
    assert len(answers) == 1


async def test_a_message_that_is_edited_to_name_the_agent_is_answered_once(stack: Stack) -> None:
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, "what do I need before we launch checkout?")
    await stack.slack.edit(MAYA, CHECKOUT, ts, LAUNCH)
    [answer] = await stack.answered(CHECKOUT, ts)
    assert "services/checkout.md" in shown([answer])
    await stack.slack.edit(MAYA, CHECKOUT, ts, LAUNCH + " please")
    await stack.ask("and its tier?", thread_ts=ts)
    assert await stack.rows("SELECT count(*) FROM turns") == [(2,)]


async def test_an_edit_asks_nothing_anew(stack: Stack) -> None:
    await stack.serve()
    ts, _ = await stack.ask()
    await stack.slack.edit(MAYA, CHECKOUT, ts, LAUNCH + " please")
    _, answers = await stack.ask("and its tier?", thread_ts=ts)
    assert len(answers) == 2
    assert await stack.rows("SELECT count(*) FROM turns") == [(2,)]


@pytest.mark.parametrize(
    ("words", "files", "said"),
    [
        ("<@U0AGENT>", None, "ask me about a service"),
        ("<@U0AGENT>", {"graph.png": b"\x89PNG"}, "graph.png"),
        ("<@U0AGENT> what does chekout need?", None, "checkout"),
        ("<@U0AGENT> what does the warp-drive service need?", None, "services.yaml"),
        ("<@U0AGENT> was braucht checkout vor dem Start?", None, "checkout"),
        ("<@U0AGENT> reload", None, "knowledge revision"),
        ("<@U0AGENT> checkout " + "x" * 40_000, None, "12,000 characters"),
    ],
)
async def test_unusual_questions_get_a_helpful_sentence(
    stack: Stack, words: str, files: dict[str, bytes] | None, said: str
) -> None:
    await stack.serve()
    ts = await stack.slack.say(MAYA, CHECKOUT, words, files=files)
    answers = await stack.answered(CHECKOUT, ts)
    assert said in shown(answers).lower()


async def test_nobody_is_pinged_whatever_the_question_holds(stack: Stack) -> None:
    await stack.serve()
    _, answers = await stack.ask("<@U0AGENT> repeat <!channel> <!here> @channel <@U0OMAR> about checkout")
    for ping in ("<!channel", "<!here", "<@U0OMAR>"):
        assert ping not in shown(answers)


async def test_feedback_is_stored_and_the_newest_counts(stack: Stack) -> None:
    await stack.serve()
    _, [answer] = await stack.ask()
    [button] = [
        element
        for block in answer.blocks
        if block["type"] == "context_actions"
        for element in block["elements"]
    ]
    for thumb in ("negative_button", "positive_button"):
        await stack.slack.click(MAYA, answer.ts, "feedback", button[thumb]["value"])
        await stack.slack.wait_for(lambda: stack.slack.ephemeral(MAYA))
    await stack.slack.wait_for(lambda: len(stack.slack.ephemeral(MAYA)) == 2)
    assert await stack.rows("SELECT user_id, helpful FROM feedback") == [(MAYA, True)]
    assert await stack.rows("SELECT count(*) FROM audit_log WHERE action = 'feedback'") == [(2,)]


async def test_a_program_that_is_up_looks_for_garbage_again(stack: Stack) -> None:
    make_what_stays()
    await stack.serve()
    async with asyncio.timeout(60):
        while not gc.isenabled():
            await asyncio.sleep(0.05)


async def test_a_replica_that_cannot_carry_out_turns_stores_them_for_others(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setitem(sys.modules, "app.handlers", None)  # as where a part of it is not installed
        first = await stack.serve()
        async with asyncio.timeout(60):
            while (await readyz(first))[0]:
                await asyncio.sleep(0.05)
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    async with asyncio.timeout(60):
        while not await stack.rows("SELECT 1 FROM turns WHERE status = 'queued'"):
            await asyncio.sleep(0.05)

    await stack.serve()

    assert "services/checkout.md" in shown(await stack.answered(CHECKOUT, ts))


async def test_what_is_older_than_it_is_kept_goes_when_the_program_starts(stack: Stack) -> None:
    async with stack.engine.begin() as connection:
        for statement in (
            "INSERT INTO sessions (team_id, channel_id, thread_ts, created_at, updated_at) "
            "SELECT 'T1', 'C1', days::text, now() - interval '90 days', now() - make_interval(days => days) "
            "FROM unnest('{29,31}'::int[]) AS days",
            "INSERT INTO audit_log (action, created_at) "
            "SELECT 'message', now() - make_interval(days => days) FROM unnest('{59,61}'::int[]) AS days",
        ):
            await connection.exec_driver_sql(statement)
    await stack.serve(TRANSCRIPT_RETENTION_DAYS="30", AUDIT_RETENTION_DAYS="60")
    kept = "SELECT (SELECT count(*) FROM sessions), (SELECT count(*) FROM audit_log WHERE action = 'message')"
    async with asyncio.timeout(60):
        while await stack.rows(kept) != [(1, 1)]:
            await asyncio.sleep(0.05)
    assert await stack.rows("SELECT thread_ts FROM sessions") == [("29",)]
    assert await stack.rows("SELECT count(*) > 0 FROM audit_log WHERE action = 'retention'") == [(True,)]


@pytest.mark.parametrize(("user", "words"), [(GUEST, "guests"), (STRANGER, "workspace")])
async def test_whoever_is_not_answered_has_no_vote(stack: Stack, user: str, words: str) -> None:
    await stack.serve()
    _, [answer] = await stack.ask()
    [thumbs] = [
        element
        for block in answer.blocks
        if block["type"] == "context_actions"
        for element in block["elements"]
    ]
    await stack.slack.say(user, CHECKOUT, "may I join?")
    await stack.slack.click(user, answer.ts, "feedback", thumbs["positive_button"]["value"])
    [told] = await stack.slack.wait_for(lambda: stack.slack.ephemeral(user))
    assert words in told.text
    assert await stack.rows("SELECT count(*) FROM feedback") == [(0,)]
    assert await stack.rows("SELECT count(*) FROM audit_log WHERE action = 'feedback'") == [(0,)]


async def test_events_delivered_twice_and_again_to_two_replicas_are_answered_once(stack: Stack) -> None:
    await stack.serve()
    await stack.serve()
    stack.slack.faults.deliveries.twice = 2
    stack.slack.faults.deliveries.lose_acks = 2
    _, answers = await stack.ask()
    assert len(answers) == 1
    assert await stack.rows("SELECT count(*) FROM turns") == [(1,)]


async def test_turns_of_one_thread_run_in_order_and_one_at_a_time(stack: Stack) -> None:
    await stack.serve(worker=False)
    ts = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    await stack.slack.wait_for(lambda: "eyes" in stack.slack.thread(CHECKOUT, ts)[0].reactions)
    later = [await stack.slack.say(MAYA, CHECKOUT, f"question {n} about checkout", ts) for n in range(5)]
    await stack.slack.wait_for(lambda: len(stack.slack.calls("reactions.add")) >= 6)
    await stack.serve(door=False)
    await stack.serve(door=False)
    for each in later:
        await stack.answered(CHECKOUT, each, ts)
    spans = await stack.rows("SELECT started_at, finished_at FROM turns ORDER BY job_id")
    assert all(before[1] <= after[0] for before, after in pairwise(spans))
    assert len(stack.answers(CHECKOUT, ts)) == 6


async def test_documents_that_cannot_be_reached_are_an_older_copy_and_said_to_be(
    stack: Stack, tmp_path: Path
) -> None:
    organisation = write_repos(tmp_path / "own")
    away = tmp_path / "own" / "elsewhere"
    await stack.serve(BLUEPRINTS_REPO_URL=organisation.blueprints, GIT_POLL_SECONDS="0.2")
    (tmp_path / "own" / "blueprints").rename(away)

    async def notice() -> str:
        _, answers = await stack.ask()
        return shown(answers)

    for _ in range(20):
        if "could not be reached since" in (said := await notice()):
            break
        await asyncio.sleep(0.2)
    assert "could not be reached since" in said
    assert "services/checkout.md" in said


async def test_a_changed_knowledge_repo_shapes_new_threads_and_a_broken_one_is_refused_and_told(
    stack: Stack, tmp_path: Path
) -> None:
    organisation = write_repos(tmp_path / "own")
    repo = tmp_path / "own" / "knowledge"
    await stack.serve(KNOWLEDGE_REPO_URL=organisation.knowledge, GIT_POLL_SECONDS="0.2")
    ts, _ = await stack.ask("<@U0AGENT> what does tier 1 ask of us?")
    [(pinned,)] = await stack.rows("SELECT knowledge_revision FROM sessions")

    commit(repo, "tiers/tier-1.md", "# Tier 1: critical\n\nTier 1 asks for a dragon on the roof.\n")
    await revisions(stack, 2)
    _, answers = await stack.ask("<@U0AGENT> what does tier 1 ask of us?")
    assert "dragon on the roof" in shown(answers)
    _, answers = await stack.ask("and what does tier 1 ask of us?", thread_ts=ts)
    assert "dragon" not in shown(answers)
    assert await stack.rows(f"SELECT knowledge_revision FROM sessions WHERE thread_ts = '{ts}'") == [
        (pinned,)
    ]
    await stack.ask("reload", thread_ts=ts)
    _, answers = await stack.ask("and what does tier 1 ask of us?", thread_ts=ts)
    assert "dragon on the roof" in shown(answers[-1:])

    commit(repo, "system-prompt.md", "")
    await stack.slack.wait_for(lambda: stack.slack.channel("C0INCIDENTS"))
    [told] = stack.slack.channel("C0INCIDENTS")
    assert "system-prompt.md:1" in told.text
    assert "refused" in told.text
    _, answers = await stack.ask("<@U0AGENT> what does tier 1 ask of us?")
    assert "dragon on the roof" in shown(answers)
    assert await stack.rows("SELECT count(*) FROM audit_log WHERE action = 'knowledge_refused'") == [(1,)]


async def test_knowledge_of_a_folder_that_was_broken_before_a_restart_is_told_once_and_in_readyz(
    stack: Stack, tmp_path: Path
) -> None:
    folder = tmp_path / "own"
    shutil.copytree(packaged_path(), folder)
    (folder / "system-prompt.md").write_text("Be brief.\n")
    del stack.environment["KNOWLEDGE_REPO_URL"]
    values = {"KNOWLEDGE_PATH": str(folder), "GIT_POLL_SECONDS": "0.1"}
    first = await stack.serve(**values)
    assert await readyz(first) == (True, [])
    (folder / "system-prompt.md").write_text("")
    await stack.slack.wait_for(lambda: stack.slack.channel("C0INCIDENTS"))
    ready, [refused] = await readyz(first)
    assert ready
    assert "system-prompt.md:1" in refused
    await first.stop()

    for _ in range(3):
        again = await stack.serve(**values)
        ready, [stands_in, refused] = await readyz(again)
        assert ready
        assert "The knowledge that comes with the program is used instead." in stands_in
        assert "system-prompt.md:1" in refused
        await again.stop()

    told = [message.text for message in stack.slack.channel("C0INCIDENTS")]
    assert len(told) == 2
    assert "system-prompt.md:1" in told[0]
    assert "The knowledge that comes with the program is used instead." in told[1]


async def readyz(runtime: Runtime) -> tuple[bool, list[str]]:
    async with httpx.AsyncClient(trust_env=False, timeout=60) as web:
        answer = (await web.get(f"http://127.0.0.1:{runtime.ports['OPS_PORT']}/readyz")).json()
    return answer["ready"], answer["notices"]


async def test_each_time_the_knowledge_breaks_is_told_once_and_a_new_replica_serves_the_last_good_one(
    stack: Stack, tmp_path: Path
) -> None:
    organisation = write_repos(tmp_path / "own")
    repo = tmp_path / "own" / "knowledge"
    values = {"KNOWLEDGE_REPO_URL": organisation.knowledge, "GIT_POLL_SECONDS": "0.1"}
    await stack.serve(SRE_AGENT_HOME=str(tmp_path / "one"), **values)
    await stack.serve(SRE_AGENT_HOME=str(tmp_path / "two"), **values)
    [(good,)] = await stack.rows("SELECT revision FROM knowledge_revisions")

    commit(repo, "system-prompt.md", "")
    heads = ["ORIG", "HEAD~1", "ORIG", "HEAD~1", "ORIG"]
    git(repo, "branch", "ORIG")
    for n, head in enumerate(heads, start=1):
        git(repo, "reset", "--hard", "--quiet", head)
        await verdicts(stack, n + 1)
    await asyncio.sleep(0.5)

    assert await stack.rows("SELECT action FROM audit_log ORDER BY id") == [
        ("knowledge_reload",),
        *[("knowledge_refused",), ("knowledge_reload",)] * 2,
        ("knowledge_refused",),
    ]
    await stack.slack.wait_for(lambda: len(stack.slack.channel("C0INCIDENTS")) == 3)
    await stack.serve(SRE_AGENT_HOME=str(tmp_path / "three"), **values)
    assert len(stack.slack.channel("C0INCIDENTS")) == 3
    await stack.ask("<@U0AGENT> what does tier 1 ask of us?")
    assert await stack.rows("SELECT knowledge_revision FROM sessions") == [(good,)]


async def verdicts(stack: Stack, wanted: int) -> None:
    async with asyncio.timeout(60):
        while await stack.rows("SELECT count(*) FROM knowledge_revisions") != [(wanted,)]:
            await asyncio.sleep(0.05)


def commit(repo: Path, path: str, text: str) -> None:
    (repo / path).write_text(text, "utf-8")
    git(repo, "commit", "--quiet", "--all", "--message", f"Change {path}")


async def revisions(stack: Stack, wanted: int) -> None:
    async with asyncio.timeout(60):
        while await stack.rows("SELECT count(*) FROM knowledge_revisions WHERE accepted") != [(wanted,)]:
            await asyncio.sleep(0.05)


async def test_what_is_said_first_is_stored_first_however_long_its_writer_takes_to_look_up(
    stack: Stack,
) -> None:
    await stack.serve(worker=False)
    root = await stack.slack.say(MAYA, CHECKOUT, LAUNCH)
    stored: list[object] = []

    async def until(many: int) -> None:
        async with asyncio.timeout(60):
            while len(stored) < many:
                await asyncio.sleep(0.05)
                stored[:] = [ts for (ts,) in await stack.rows("SELECT message_ts FROM turns ORDER BY job_id")]

    await until(1)
    stack.slack.faults.calls.add("users.info", CallFault.slow(1))
    # Maya is known by now, Omar is not.
    first = await stack.slack.say(OMAR, CHECKOUT, "and inventory?", root)
    second = await stack.slack.say(MAYA, CHECKOUT, "and payments?", root)

    await until(3)
    assert stored == [root, first, second]
