"""Sessions in mid-workflow whose worker is killed with -9 while answers come in, and another goes on.

Each answer names its thread and its question, so one that is lost, or counts twice, is seen in the stored
answers: a second time it would have been taken for the next question.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from typing import Any

from app.playground.example import git
from benchmarks.figures import Row, Target
from benchmarks.stand import CHANNELS, PEOPLE, App, Stand, channel, stand

QUESTIONS = ("first", "second", "third")
AT_ONCE = 40
"""Messages under way to the program."""
KILLED_AFTER = 0.3
"""Of the answers in whose midst it is killed."""
PATIENCE = 600
"""Seconds until all must have been answered."""
WORKFLOW = """\
---
triggers: [keep a protocol]
---
# Protocol
## Phase 1: Answers
```fields
- name: first
- name: second
- name: third
```
"""
START = "<@U0AGENT> let's keep a protocol"


async def run(sessions: int) -> list[Row]:
    async with stand() as here:
        await asyncio.to_thread(_bring, here)
        threads: list[tuple[str, str]] = []
        async with here.serve(MODEL_PROVIDER="offline") as app:
            threads = await _said(here, [(channel(n // 10 % CHANNELS), "") for n in range(sessions)], None)
            await _until(here, "first", sessions)
            await _said(here, threads, "first")
            await _until(here, "second", sessions)
            print(f"· {sessions} sessions in mid-workflow", flush=True)
            await _said(here, threads, "second", kill=app)
        began = time.monotonic()
        async with here.serve(MODEL_PROVIDER="offline"):
            await _until(here, "third", sessions)
            took = time.monotonic() - began
            await _said(here, threads, "third")
            await _until(here, None, sessions)
            return await _counted(here, threads, took)


def _bring(here: Stand) -> None:
    repo = here.folder / "organisation" / "knowledge"
    (repo / "workflows").mkdir(exist_ok=True)
    (repo / "workflows" / "protocol.md").write_text(WORKFLOW, "utf-8")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Add a workflow")


async def _said(
    here: Stand, threads: Sequence[tuple[str, str]], question: str | None, kill: App | None = None
) -> list[tuple[str, str]]:
    """Say the same in all threads; with `kill`, the program is killed in their midst."""
    bound = asyncio.Semaphore(AT_ONCE)
    last = round(len(threads) * KILLED_AFTER) if kill else -1

    async def say(number: int, where: str, root: str) -> tuple[str, str]:
        async with bound:
            if number == last and kill is not None:
                kill.process.kill()
            words = START if question is None else answer(question, root)
            ts = await here.slack.say(PEOPLE[number % len(PEOPLE)], where, words, root or None)
            await asyncio.sleep(0.05)
            return where, root or ts

    return list(await asyncio.gather(*(say(n, where, root) for n, (where, root) in enumerate(threads))))


def answer(question: str, root: str) -> str:
    return f"the {question} of {root.replace('.', '-')}"


async def _until(here: Stand, at: str | None, sessions: int) -> None:
    """Until as many sessions are asked this; None: are done."""
    where = "workflow_state ->> 'status' = 'done'" if at is None else "workflow_state ->> 'at' = $1"
    found, deadline = 0, time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        statement = f"SELECT count(*) AS many FROM sessions WHERE {where}"
        [row] = await here.rows(statement, *(() if at is None else (at,)))
        found = row["many"]
        if found >= sessions:
            return
        await asyncio.sleep(0.5)
    raise RuntimeError(f"only {found} of {sessions} sessions came to {at or 'their end'} in {PATIENCE} s")


async def _counted(here: Stand, threads: Sequence[tuple[str, str]], took: float) -> list[Row]:
    rows = await here.rows("SELECT id, channel_id, thread_ts, workflow_state FROM sessions")
    stored = {(row["channel_id"], row["thread_ts"]): json.loads(row["workflow_state"]) for row in rows}
    lost = sum(missing(stored[each].get("answers", {}), each[1]) for each in threads)
    twice = sum(corrected(stored[each].get("answers", {})) for each in threads)
    made = await here.rows("SELECT count(*) - count(DISTINCT session_id) AS more FROM artifacts")
    ends = await here.rows(
        "SELECT count(*) - count(DISTINCT (channel_id, thread_ts)) AS more FROM audit_log "
        "WHERE action = 'workflow_complete'"
    )
    none = Target("value", 0)
    many = len(threads)
    return [
        Row("answers lost by kill -9", "", {"value": lost}, count=many, target=none),
        Row("answers that counted twice", "", {"value": twice}, count=many, target=none),
        Row("files or ends twice", "", {"value": made[0]["more"] + ends[0]["more"]}, count=many, target=none),
        Row("from the kill until all are resumed", "s", {"value": took}, count=many),
    ]


def missing(answers: dict[str, Any], root: str) -> int:
    """Answers that are not what was said to their question."""
    return sum(answers.get(each, {}).get("value") != answer(each, root) for each in QUESTIONS)


def corrected(answers: dict[str, Any]) -> int:
    return sum(bool(each.get("before")) for each in answers.values())
