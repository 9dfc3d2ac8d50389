"""A push that comes to one process is followed by all, with whatever pause between their polls."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from app.playground.example import git, write_repos
from app.playground.slack.records import Message
from app.runtime import Runtime
from tests.acceptance.conftest import Stack
from tests.acceptance.test_conversation import shown
from tests.acceptance.test_durability import forbid_connections, runtime_database
from tests.context.origin import SmartHttp, smart_http

SECRET = "a-secret-of-the-test"
TIER = "<@U0AGENT> what does tier 1 ask of us?"
README = "<@U0AGENT> which dragon does the README of checkout name?"


@dataclass
class Acme:
    """Repos on a host of their own, and a process of ours that takes pushes beside one that answers."""

    stack: Stack
    folder: Path
    url: str
    door: Runtime

    def commit(self, repo: str, path: str, text: str) -> None:
        (self.folder / repo / path).write_text(text, "utf-8")
        git(self.folder / repo, "commit", "--quiet", "--all", "--message", f"Change {path}")

    async def push(self, repo: str) -> int:
        """Tell the door of it; the status it answers."""
        body = json.dumps({"ref": "refs/heads/main", "repository": {"full_name": f"Acme/{repo}"}}).encode()
        signature = "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {"X-GitHub-Event": "push", "X-Hub-Signature-256": signature}
        url = f"http://127.0.0.1:{self.door.ports['PORT']}/webhooks/github"
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=body, headers=headers) as answer,
        ):
            return answer.status

    async def answers(self, question: str, wanted: str) -> bool:
        """Whether an answer says so before long; each is asked for anew."""
        ends = time.monotonic() + 60
        while time.monotonic() < ends:
            answers: list[Message]
            _, answers = await self.stack.ask(question)
            if wanted in shown(answers):
                return True
            await asyncio.sleep(0.3)
        return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[SmartHttp]:
    with smart_http(tmp_path / "git") as server:
        yield server


@pytest.fixture
async def acme(stack: Stack, server: SmartHttp, tmp_path: Path) -> Acme:
    folder = tmp_path / "git" / "acme"
    write_repos(folder, owner="acme")
    url = f"{server.url}/acme"
    catalog = folder / "blueprints" / "services.yaml"
    catalog.write_text(catalog.read_text().replace("repo: acme/", f"repo: {url}/"))
    git(folder / "blueprints", "commit", "--quiet", "--all", "--message", "Say where the repos are")
    values = {
        "KNOWLEDGE_REPO_URL": f"{url}/knowledge",
        "BLUEPRINTS_REPO_URL": f"{url}/blueprints",
        "GITHUB_WEBHOOK_SECRET": SECRET,
        "GIT_POLL_SECONDS": "3600",
    }
    door = await stack.serve(worker=False, SRE_AGENT_HOME=str(tmp_path / "door"), **values)
    await stack.serve(door=False, SRE_AGENT_HOME=str(tmp_path / "worker"), **values)
    return Acme(stack, folder, url, door)


async def test_a_push_changes_the_answers_of_a_process_that_did_not_receive_it(acme: Acme) -> None:
    _, answers = await acme.stack.ask(README)
    assert "Smaug" not in shown(answers)
    acme.commit(
        "knowledge", "tiers/tier-1.md", "# Tier 1: critical\n\nTier 1 asks for a dragon on the roof.\n"
    )
    acme.commit(
        "blueprints", "services/checkout.md", "# Checkout\n\n## Owners\n\nThe owners keep a griffin.\n"
    )
    acme.commit("checkout", "README.md", "# checkout\n\nThe README of checkout names the dragon Smaug.\n")

    for repo in ("knowledge", "blueprints", "checkout"):
        assert await acme.push(repo) == 202

    assert await acme.answers(TIER, "dragon on the roof")
    assert await acme.answers("<@U0AGENT> who are the owners of checkout?", "griffin")
    assert await acme.answers(README, "Smaug")


async def test_a_push_is_heard_behind_a_restart_of_the_database_and_so_is_what_was_missed(
    acme: Acme, postgres_url: str
) -> None:
    name = runtime_database(acme.stack)
    await forbid_connections(postgres_url, name, True)
    acme.commit(
        "knowledge", "tiers/tier-1.md", "# Tier 1: critical\n\nTier 1 asks for a dragon on the roof.\n"
    )
    assert await acme.push("knowledge") == 503
    await forbid_connections(postgres_url, name, False)
    assert await acme.answers(TIER, "dragon on the roof")

    acme.commit(
        "knowledge", "tiers/tier-1.md", "# Tier 1: critical\n\nTier 1 asks for a griffin on the roof.\n"
    )
    assert await acme.push("knowledge") == 202
    assert await acme.answers(TIER, "griffin on the roof")
