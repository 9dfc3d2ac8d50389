"""Two versions side by side on one database, as during a rolling update."""

from __future__ import annotations

import asyncio
import io
import signal
import subprocess
import tarfile
from pathlib import Path

from benchmarks.stand import ROOT
from drills.drill import Drill
from drills.ground import Ground, NotRun
from drills.load import Load

OLD_PARTS = ("app", "knowledge", "migrations")


async def updated(here: Ground, load: Load) -> None:
    """The version before this one runs; each of its processes is replaced by one of this, under load."""
    before = here.against or _before()
    code = here.folder / "before"
    await asyncio.to_thread(_bring, before, code)
    old = {"PYTHONPATH": str(code)}
    leaving = [await here.start("serve", **old)]
    leaving += [await here.start("worker", **old) for _ in range(2)]
    await here.slack.connected()
    async with load:
        await asyncio.sleep(3)
        for command, gone in zip(("worker", "worker", "serve"), reversed(leaving), strict=True):
            await here.start(command)
            await asyncio.sleep(max(2.0, here.seconds / 4))
            gone.send(signal.SIGTERM)
            await asyncio.wait_for(gone.process.wait(), 60)
        await asyncio.sleep(3)


def _before() -> str:
    """The last release, or the parent commit where nothing was released."""
    tagged = _git("describe", "--tags", "--abbrev=0", "HEAD^")
    return tagged or _git("rev-parse", "HEAD^") or _refuse()


def _refuse() -> str:
    raise NotRun("this is no git checkout with a commit before this one")


def _bring(commit: str, folder: Path) -> None:
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit, "--", *OLD_PARTS], capture_output=True, check=False
    )
    if archive.returncode:
        raise NotRun(f"git has no {commit}: {archive.stderr.decode().strip()}")
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as tar:
        tar.extractall(folder, filter="data")


def _git(*arguments: str) -> str | None:
    try:
        said = subprocess.run(
            ["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return said.stdout.strip() or None if said.returncode == 0 else None


DRILLS = (
    Drill(
        "versions",
        "a rolling update from the version before, both at work side by side",
        updated,
        True,
        fresh=True,
    ),
)
