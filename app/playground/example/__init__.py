"""Acme, the example organisation: its documents as plain files, and real git repos made of them.

The documents contradict each other in places on purpose (a timeout in a contract and another one in the
code, a tier that demands a runbook nobody wrote): a good answer notices.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.knowledge.packaged import packaged_path

HERE = Path(__file__).parent
BLUEPRINTS = HERE / "blueprints"
REPOS = HERE / "repos"
OWNER = "acme"
AUTHOR = {"NAME": "Acme", "EMAIL": "engineering@acme.example", "DATE": "2026-01-05T09:00:00+00:00"}


@dataclass(frozen=True)
class ExampleOrganisation:
    """Where the repos are, all in `folder`: `file://` addresses, those of the services by name."""

    folder: Path
    blueprints: str
    knowledge: str
    services: Mapping[str, str]


def service_names() -> tuple[str, ...]:
    """The services that have a repo, by name."""
    return tuple(sorted(path.name for path in REPOS.iterdir() if path.is_dir()))


def write_repos(folder: Path, *, owner: str | None = None) -> ExampleOrganisation:
    """Make one git repo each for the blueprints, the knowledge and every service; blocks, so use a thread.

    The catalog's `repo` becomes the service's `file://` address, or `owner/name` when an owner is given.
    Author and date are fixed, so the same content has the same revision everywhere. A repo that is there
    already is left as it is: what somebody committed in the demo is still there the next day.
    """
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    services = {name: commit(REPOS / name, folder / name) for name in service_names()}
    addresses = {name: f"{owner}/{name}" if owner else url for name, url in services.items()}
    return ExampleOrganisation(
        folder=folder,
        blueprints=commit(BLUEPRINTS, folder / "blueprints", addresses),
        knowledge=commit(packaged_path(), folder / "knowledge"),
        services=services,
    )


def commit(content: Path, repo: Path, addresses: Mapping[str, str] | None = None) -> str:
    """Make `repo` with one commit of `content` on main; its address.

    The repo is built beside its place and moved there, so half a repo is never found.
    """
    if (repo / ".git").is_dir():
        return repo.as_uri()
    with tempfile.TemporaryDirectory(dir=repo.parent, prefix=f".{repo.name}-") as building:
        draft = Path(building) / repo.name
        shutil.copytree(content, draft, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        if addresses:
            place_addresses(draft / "services.yaml", addresses)
        git(draft, "init", "--quiet", "--template=", "--initial-branch=main")
        git(draft, "add", "--all")
        git(draft, "commit", "--quiet", "--message", "Write down what we have")
        draft.rename(repo)
    return repo.as_uri()


def place_addresses(catalog: Path, addresses: Mapping[str, str]) -> None:
    """Put the address of each repo in place of `acme/<name>`; the rest of the file stays as written."""
    text = catalog.read_text(encoding="utf-8")
    for name, address in addresses.items():
        text = text.replace(f"repo: {OWNER}/{name}\n", f"repo: {address}\n")
    catalog.write_text(text, encoding="utf-8")


def git(folder: Path, *arguments: str) -> None:
    """Run git with nothing of the user's own configuration: no hooks, no signing, no other identity."""
    program = shutil.which("git") or "git"
    environment = {
        "PATH": os.pathsep.join((str(Path(program).parent), os.defpath)),
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **{f"GIT_{role}_{what}": value for role in ("AUTHOR", "COMMITTER") for what, value in AUTHOR.items()},
    }
    subprocess.run(
        [program, "-c", "core.autocrlf=false", *arguments],
        cwd=folder,
        env=environment,
        check=True,
        capture_output=True,
    )
