"""Every command that people are told to type: run here, run elsewhere in CI, or said to be run by nobody."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import variables
from handbook.blocks import Block, blocks, pages
from tests.conftest import address, execute
from tests.deploy.validators import ROOT

BLOCKS = [block for page in pages() for block in blocks(page)]
RUN = [block for block in BLOCKS if block.mark == "run"]
ELSEWHERE = [block for block in BLOCKS if block.mark.startswith("in=")]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_shell_block_says_who_runs_it(block: Block) -> None:
    assert re.fullmatch(r"run|not-run|in=\S+", block.mark), "write ```console run, not-run or in=FILE"
    assert block.commands, "begin commands with “$ ”"


@pytest.mark.parametrize("block", ELSEWHERE, ids=str)
def test_the_file_that_runs_a_block_names_its_commands(block: Block) -> None:
    file = (ROOT / block.mark.removeprefix("in=")).read_text("utf-8")
    for command in block.commands:
        ours = re.search(r"(?:\./run|sre-agent) (\w+)", command)
        named = rf"""(?:["']|\./run ){ours[1]}\b""" if ours else re.escape(Path(command.split()[0]).name)
        assert re.search(named, file), command


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks like the checkout and may be written to, with `sre-agent` in it."""
    folder = tmp_path_factory.mktemp("checkout")
    for path in ROOT.iterdir():
        if path.name not in (".env", ".git", ".venv"):
            (folder / path.name).symlink_to(path)
    command = folder / "sre-agent-bin" / "sre-agent"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m app "$@"\n')
    command.chmod(0o755)
    return folder


@pytest.mark.parametrize("block", RUN, ids=str)
async def test_a_block_that_is_run_succeeds(block: Block, checkout: Path, postgres_url: str) -> None:
    programs = [checkout / "sre-agent-bin", Path(sys.executable).parent, *os.environ["PATH"].split(":")]
    name = f"commands_{os.getpid()}"
    await execute(postgres_url, f"CREATE DATABASE {name}")
    try:
        for command in block.commands:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", command],
                cwd=checkout,
                env={
                    **{each: value for each, value in os.environ.items() if each not in variables()},
                    "PATH": ":".join(map(str, programs)),
                    "DATABASE_URL": address(postgres_url, name),
                    "SRE_AGENT_HOME": str(checkout / "home"),
                },
                capture_output=True,
                text=True,
                timeout=250,
                check=False,
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    finally:
        await execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")
        shutil.rmtree(checkout / "home", ignore_errors=True)


def test_the_readme_begins_with_both_commands_and_a_picture() -> None:
    top = "\n".join((ROOT / "README.md").read_text("utf-8").splitlines()[:40])
    assert "$ ./run demo\n" in top
    assert "$ ./run test\n" in top
    assert "](docs/playground.png)" in top
