"""The container image, as far as it can be held to account without building it."""

from __future__ import annotations

import http.server
import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.deploy.validators import ROOT, checked

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
STEPS = re.sub(r"(?m)^#.*\n|\\\n *|^\n", "", DOCKERFILE).splitlines()
FROM = re.findall(r"(?m)^FROM (\S+)(?: AS (\w+))?$", DOCKERFILE)
AGENT = "\n".join(STEPS).partition(" AS agent\n")[2].partition("\nFROM ")[0].splitlines()


def step(keyword: str) -> str:
    """What the stage of the program says with a keyword, once."""
    [found] = [each.partition(" ")[2] for each in AGENT if each.startswith(f"{keyword} ")]
    return found


def test_hadolint_has_nothing_to_say() -> None:
    checked("hadolint", "Dockerfile")


def test_every_stage_begins_with_one_base_of_an_exact_version() -> None:
    assert FROM == [("${PYTHON}", "build"), ("${PYTHON}", "agent"), ("agent", "demo"), ("agent", "")]
    assert re.search(r"(?m)^ARG PYTHON=python:\d+\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?$", DOCKERFILE)


def test_nothing_is_installed_whose_hash_is_not_in_a_lock() -> None:
    installs = re.findall(r"pip(?: --python \S+)? (?:install|wheel) [^&\n]+", "\n".join(STEPS))
    assert len(installs) == 4
    for install in installs:
        from_lock, ourselves = "--require-hashes" in install, install.split()[-1] == "."
        assert from_lock or ourselves or "--no-index" in install
        assert "--no-deps" in install
        assert "--no-build-isolation" in install or " wheel " not in install


def test_what_runs_is_nobody_s_root_and_has_no_compiler_and_no_database() -> None:
    user, group = step("USER").split(":")
    assert int(user) >= 10000
    assert int(group) >= 10000
    assert json.loads(step("ENTRYPOINT"))[:2] == ["tini", "--"]
    [packages] = re.findall(r"apt-get install (.*?) &&", "\n".join(AGENT))
    named = {each for each in packages.split() if not each.startswith("-")}
    assert named == {"ca-certificates", "git", "openssh-client", "tini"}


def test_the_builder_is_sent_what_is_copied_and_nothing_else() -> None:
    rules = [
        line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")
    ]
    copied = {
        name
        for sources in re.findall(r"(?m)^COPY (?!--from)(.+) \S+$", DOCKERFILE)
        for name in sources.split()
    }
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied
    assert all((ROOT / name).exists() for name in copied)


@contextmanager
def health(status: int) -> Iterator[int]:
    class Answers(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with http.server.HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
def test_the_health_check_tells_a_living_process_from_a_dead_one(status: int, code: int) -> None:
    python, *arguments = json.loads(step("HEALTHCHECK").partition(" CMD ")[2])
    assert python == "python"
    with health(status) as port:
        done = subprocess.run(
            [sys.executable, *arguments], env={"OPS_PORT": str(port)}, capture_output=True, check=False
        )
    assert done.returncode == code
