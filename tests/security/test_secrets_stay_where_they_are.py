"""Secrets planted wherever people leave them, and every place they could come out of."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from app.playground.example import git, write_repos
from tests.acceptance.conftest import CHECKOUT, LAUNCH, MAYA, OMAR, Stack
from tests.fakes.anthropic import FakeAnthropic, tool_results
from tests.fakes.script import Reply, call, conclude, say

# Put together here, so that no scanner takes this file for a leak.
KEY_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAA" + "SCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj"
CANARIES = {
    "aws": "AKIA" + "Q7CANARY7QXW3ZPL",
    "github": "ghp_" + "canary7Qx2Vb9Lm4Np6Rt8Yw1Zc3Df5Gh7Jk9",
    "slack": "xoxb-" + "123456789012-canaryAbCdEfGhIjKl",
    "anthropic": "sk-ant-" + "api03-canaryZ9y8X7w6V5u4T3s2R1q0P",
    "key": KEY_BODY,
    "url": "canaryPassw0rdInUrl",
    "password": "canary-hunter2-pw",
    "mail": "canary.person@acme.example",
}
TEXT = "\n".join(
    [
        f"aws {CANARIES['aws']}",
        f"token {CANARIES['github']}",
        f"slack {CANARIES['slack']}",
        f"claude {CANARIES['anthropic']}",
        "-----BEGIN RSA PRIVATE KEY-----",
        *[KEY_BODY] * 12,
        "-----END RSA PRIVATE KEY-----",
        f"database postgres://app:{CANARIES['url']}@db.acme.example/checkout",
        f'password = "{CANARIES["password"]}"',
        f"write to {CANARIES['mail']}",
    ]
)
SETTINGS = {
    "GITHUB_TOKEN": "ghp_" + "settingCanary2Vb9Lm4Np6Rt8Yw1Zc3Df5G",
    "GITHUB_WEBHOOK_SECRET": "setting-canary-webhook",
    "ANTHROPIC_API_KEY": "sk-ant-" + "settingCanaryZ9y8X7w6V5u4T3s2",
    "KNOWLEDGE_REPO_URL": "https://bot:settingCanaryGitPass@127.0.0.1:1/acme/knowledge.git",
}
SETTING_CANARIES = [*list(SETTINGS.values())[:3], "settingCanaryGitPass"]


def leaks(place: str, text: str) -> list[str]:
    wanted = {**CANARIES, **{f"setting {n}": value for n, value in enumerate(SETTING_CANARIES)}}
    return [f"{name} in {place}" for name, value in wanted.items() if value in text]


def obedient(body: dict[str, Any]) -> Reply:
    """A model that looks where secrets are and says all it saw."""
    seen = json.dumps(body["messages"])
    results = tool_results(body) if isinstance(body["messages"][-1]["content"], list) else []
    if not results:
        return say(
            "",
            call("read_service_file", path="config/app.txt"),
            call("read_service_file", path="config/app.txt", from_line=8, lines=4),
            call("search_service_code", text="MIIEvQIBADAN"),
            call("search_service_code", text="canary"),
        )
    return say(seen[-60_000:], conclude(0.9))


async def everything_stored(stack: Stack) -> str:
    tables = await stack.rows(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables "
        "WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    rows = [await stack.rows(f"SELECT to_jsonb(t)::text FROM {name} AS t") for (name,) in tables]
    return "\n".join(str(row) for table in rows for row in table)


async def test_no_planted_secret_comes_out_anywhere(stack: Stack, tmp_path: Path) -> None:
    acme = write_repos(tmp_path / "acme")
    repo = acme.folder / "checkout"
    (repo / "config").mkdir(exist_ok=True)
    (repo / "config" / "app.txt").write_text(TEXT)
    with (repo / "README.md").open("a") as readme:
        readme.write(f"\n## Launch checkout\n\nlaunch checkout before\n{TEXT}\n")
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Leave secrets lying about")

    async with FakeAnthropic(obedient) as model:
        environment = (
            stack.environment
            | SETTINGS
            | {
                "BLUEPRINTS_REPO_URL": acme.blueprints,
                "MODEL_PROVIDER": "anthropic",
                "ANTHROPIC_BASE_URL": model.url,
                "LOG_LEVEL": "DEBUG",
            }
        )
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app", "serve"),
            env={**os.environ, **environment},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            await stack.slack.connected(120)
            root = await stack.slack.say(OMAR, CHECKOUT, f"look at this: {TEXT}")
            ts = await stack.slack.say(
                MAYA, CHECKOUT, f"{LAUNCH}\n{TEXT}", root, files={TEXT[:24] + ".png": b"x"}
            )
            await stack.answered(CHECKOUT, ts, root)
        finally:
            process.terminate()
            logged, _ = await process.communicate()

        said = [each.arguments for each in stack.slack.calls() if each.method.startswith("chat.")]
        found = [
            *leaks("the log", logged.decode()),
            *leaks("the database", await everything_stored(stack)),
            *leaks("the model's request", json.dumps(model.requests)),
            *leaks("Slack", json.dumps(said)),
        ]
    assert '"event": "turn_done"' in logged.decode()
    for mark in ("[masked private key]", "[masked key material]", "[masked aws key]"):
        assert mark in json.dumps(model.requests)
    assert found == []
