"""What those who write blueprints and knowledge can make the agent reach and say."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.context.models import Service
from app.context.repos import NoRepository, Repos
from app.playground.example import git, write_repos
from app.storage.engine import create_engine
from tests.acceptance.conftest import Stack

AWS = "AKIA" + "Q7CANARY7QXW3ZPL"


@pytest.mark.parametrize(
    "repo",
    [
        "ext::sh -c touch% /tmp/owned",
        "--upload-pack=touch",
        "ssh://-oProxyCommand=touch/x",
        "file:///etc",
        "/etc",
        "../../user",
        "acme/..",
        "fd::0",
        "git@-oProxyCommand=x:y/z",
    ],
)
async def test_a_catalog_from_afar_names_hosts_only(repo: str, tmp_path: Path, database_url: str) -> None:
    engine = create_engine(database_url)
    try:
        repos = Repos(tmp_path / "mirrors", engine, local_too=False)
        with pytest.raises(NoRepository):
            await repos.readme(Service(name="checkout", repo=repo))
    finally:
        await engine.dispose()


async def test_a_fault_of_the_knowledge_tells_no_secret_and_pings_nobody(
    stack: Stack, tmp_path: Path
) -> None:
    acme = write_repos(tmp_path / "acme")
    repo = acme.folder / "knowledge"
    (repo / "tiers" / "tier-1.md").write_text(
        f"---\ntier: '```<!channel> @here {AWS} https://evil.example'\n---\n# Tier 1\ntext\n"
    )
    git(repo, "add", "--all")
    git(repo, "commit", "--quiet", "--message", "Break it")
    await stack.serve(KNOWLEDGE_REPO_URL=acme.knowledge, BLUEPRINTS_REPO_URL=acme.blueprints)
    said = await stack.slack.wait_for(
        lambda: next((each for each in stack.slack.channel("C0INCIDENTS") if "tier-1.md" in each.text), None)
    )
    stored = str(await stack.rows("SELECT response_text FROM audit_log")) + str(
        await stack.rows("SELECT faults FROM knowledge_revisions")
    )
    assert said.text.count("```") == 2
    for text in (said.text, stored):
        assert AWS not in text
    for ping in ("<!channel", "@here"):
        assert all(ping not in each.text for each in stack.slack.channel("C0INCIDENTS"))
