"""Git commands end in time, with everything they started."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from app.context.addresses import parse
from app.context.bare import MOST_OUTPUT, Bare, GitFailed
from tests.context.origin import Origin


@pytest.fixture
def mute() -> Iterator[socket.socket]:
    """A server that takes a connection and never answers, until it is closed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def port(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def running(word: str) -> list[int]:
    """The processes that are told `word`, this one left out."""
    processes = psutil.process_iter(["cmdline"])
    return [each.pid for each in processes if any(word in part for part in each.info["cmdline"] or ())]


def test_a_remote_that_never_answers_leaves_no_process_behind(mute: socket.socket, tmp_path: Path) -> None:
    url = f"http://localhost:{port(mute)}/acme/blueprints"
    with pytest.raises(GitFailed, match=r"git ls-remote of blueprints did not end in 0\.5 s"):
        Bare(tmp_path / "mirror", parse(url), seconds=0.5).remote_revision("main")
    # What was killed takes a moment to leave the table of processes.
    ends = time.monotonic() + 60
    while running(url) and time.monotonic() < ends:
        time.sleep(0.02)
    assert running(url) == []


def test_the_repository_of_a_surrounding_hook_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, origin = Origin(tmp_path / "other"), Origin(tmp_path / "origin")
    origin.commit({"README.md": "# Hi\n"})
    monkeypatch.setenv("GIT_DIR", str(other.path / ".git"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "elsewhere"))
    bare = Bare(tmp_path / "mirror", parse(origin.url))
    bare.fetch(bare.remote_revision("main")[1])
    assert [entry.path for entry in bare.entries(bare.revision() or "")] == ["README.md"]
    assert not (tmp_path / "elsewhere").exists()


def test_no_more_is_read_of_many_matches_than_is_shown(tmp_path: Path) -> None:
    origin = Origin(tmp_path / "origin")
    origin.commit({f"{name}.txt": "the same line\n" * 50_000 for name in "abc"})
    bare = Bare(tmp_path / "mirror", parse(origin.url))
    bare.fetch(bare.remote_revision("main")[1])
    revision = bare.revision() or ""
    found = bare.grep(revision, ["same"])
    assert 0 < sum(len(line.text) for line in found) < MOST_OUTPUT
    assert running(str(bare.folder)) == []


def test_credentials_are_in_no_command_line(mute: socket.socket, tmp_path: Path) -> None:
    address = parse(f"http://ada:hunter2@localhost:{port(mute)}/acme/x")
    bare, seen = Bare(tmp_path / "mirror", address, seconds=120), []
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(bare.remote_revision, "main")
        while not running(address.url):
            assert not asked.done()
        seen = [
            running(word)
            for word in ("hunter2", "Basic", (address.authorization or SecretStr("")).get_secret_value())
        ]
        mute.close()
        assert isinstance(asked.exception(), GitFailed)
    assert seen == [[], [], []]


PULL = """
import asyncio, sys
from pathlib import Path
from app.context.mirrors import Mirror

tree = asyncio.run(Mirror(sys.argv[1], "main", Path(sys.argv[2])).refresh())
print(tree.files["README.md"], "git" in sys.modules)
"""


def test_a_process_whose_copy_is_current_does_without_the_library(tmp_path: Path) -> None:
    origin = Origin(tmp_path / "origin")

    def pulled() -> str:
        command = [sys.executable, "-c", PULL, origin.url, str(tmp_path / "mirror")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    origin.commit({"README.md": "one"})
    assert [pulled(), pulled()] == ["one True", "one False"]
    origin.commit({"README.md": "two"})
    assert [pulled(), pulled()] == ["two True", "two False"]


def test_a_machine_without_git_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    bare = Bare(tmp_path / "mirror", parse((tmp_path / "origin").as_uri()))
    for ask in (lambda: bare.remote_revision("main"), lambda: bare.fetch("refs/heads/main")):
        with pytest.raises(GitFailed, match="git is not installed on this machine"):
            ask()
