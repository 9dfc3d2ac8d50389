"""Git commands end in time, with everything they started."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.context.addresses import parse
from app.context.bare import Bare, GitFailed


@pytest.fixture
def mute() -> Iterator[int]:
    """The port of a server that takes a connection and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def running(word: str) -> list[int]:
    """The processes that are told `word`, this one left out."""
    processes = psutil.process_iter(["cmdline"])
    return [each.pid for each in processes if any(word in part for part in each.info["cmdline"] or ())]


def test_a_remote_that_never_answers_leaves_no_process_behind(mute: int, tmp_path: Path) -> None:
    url = f"http://localhost:{mute}/acme/blueprints"
    with pytest.raises(GitFailed, match=r"git ls-remote of blueprints did not end in 0\.5 s"):
        Bare(tmp_path / "mirror", parse(url), seconds=0.5).remote_revision("main")
    # What was killed takes a moment to leave the table of processes.
    for _ in range(100):
        if not running(url):
            break
        time.sleep(0.02)
    assert running(url) == []
