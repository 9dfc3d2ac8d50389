"""What docs/workflows.md lets its reader do, from an empty file to a running workflow, command by command."""

from __future__ import annotations

import asyncio
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from app.playground import visit
from app.playground.example import git
from handbook.blocks import blocks
from tests.acceptance.test_demo import playing
from tests.deploy.validators import ROOT
from tests.workflows.test_reading import from_docs

PAGE = ROOT / "docs/workflows.md"
HERE = "tests/acceptance/test_workflow_page.py"


def typed(folder: Path) -> None:
    """The page's commands, in the folder they are typed in; `git` writes as the example's author does."""
    [block] = [each for each in blocks(PAGE) if each.mark == f"in={HERE}"]
    check, *commits = (shlex.split(command) for command in block.commands)
    assert check == ["sre-agent", "knowledge", "check", "."]
    done = subprocess.run(
        [sys.executable, "-m", "app", "knowledge", "check", str(folder)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stdout.endswith("0 errors, 0 warnings.\n")
    for program, *arguments in commits:
        assert program == "git"
        git(folder, *arguments)


async def begun(tour: visit.Tour) -> str:
    """The thread of the first question, asked anew until the merged revision has arrived."""
    async with asyncio.timeout(60):
        while True:
            said = await tour.ask(f"{visit.AGENT} let's plan a rollback for checkout")
            if "What does the release change" in said.last.text:
                return said.thread_ts
            await asyncio.sleep(0.5)


@pytest.mark.slow
async def test_from_an_empty_file_to_a_running_workflow(tmp_path: Path) -> None:
    async with playing(tmp_path) as running:
        (running.knowledge / "workflows/rollback-plan.md").write_text(from_docs(), "utf-8")
        typed(running.knowledge)
        tour = visit.Tour(running)
        ts = await begun(tour)
        for answer in ("It puts a cache before the prices.", "no", "revert the deploy", "yes"):
            said = (await tour.ask(answer, thread_ts=ts)).answers
        [done] = [each for each in said if "is done" in each.text]
        visit.says(done, "rollback-checkout.md", "team = Checkout")
        [name] = [name for each in said for name in each.files]
        plan = tour.slack.file(name).decode()
        assert "1. Checkout: revert the deploy, within 5m." in plan
