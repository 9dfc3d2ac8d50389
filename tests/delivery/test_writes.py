"""The writing client of GitHub asks a handful of things, and nothing else leaves it."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import github
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from app.delivery.github import requester
from app.delivery.models import WriteRefused
from app.delivery.writes import Writes
from tests.fakes.github_writes import TOKEN, GitHubWrites

HOST = "api.github.com"
WRITES = Writes("https://api.github.com", "acme/checkout")
TOP = "/repos/acme/checkout"
OURS = "sre-agent/slo-7"
FILE = {"message": "Add x", "content": "eA==", "branch": OURS}
PULL = {"title": "x", "body": "y", "head": OURS, "base": "main"}
REF = {"ref": f"refs/heads/{OURS}", "sha": "a" * 40}

LISTED: list[tuple[str, str, Any]] = [
    ("GET", TOP, None),
    ("GET", f"{TOP}/git/ref/heads/main", None),
    ("GET", f"{TOP}/contents/slo/checkout.yaml?ref=sre-agent/slo-7", None),
    ("GET", f"{TOP}/pulls?head=acme:{OURS}&state=all", None),
    ("POST", f"{TOP}/git/refs", REF),
    ("PUT", f"{TOP}/contents/slo/checkout.yaml", FILE),
    ("PUT", f"{TOP}/contents/README.md", {**FILE, "sha": "a" * 40}),
    ("POST", f"{TOP}/pulls", PULL),
]

REFUSED: list[tuple[str, str, Any]] = [
    # other places
    ("GET", "/repos/acme/payments", None),
    ("GET", "/repos/acme/checkout2", None),
    ("GET", "/user", None),
    ("POST", "/graphql", {"query": "mutation {}"}),
    ("POST", "/repos/acme/payments/pulls", PULL),
    ("PUT", f"{TOP}/../payments/contents/x", FILE),
    ("PUT", f"{TOP}/contents/../../payments/contents/x", FILE),
    ("PUT", f"{TOP}/%2e%2e/payments/contents/x", FILE),
    ("PUT", f"/{TOP}/contents/x", FILE),
    # other branches
    ("PUT", f"{TOP}/contents/x", {**FILE, "branch": "main"}),
    ("PUT", f"{TOP}/contents/x", {k: v for k, v in FILE.items() if k != "branch"}),
    ("PUT", f"{TOP}/contents/x", {**FILE, "branch": "refs/heads/sre-agent/x"}),
    ("PUT", f"{TOP}/contents/x", {**FILE, "branch": "sre-agent/a/../../main"}),
    ("PUT", f"{TOP}/contents/x", {**FILE, "branch": "sre-agent/"}),
    ("PUT", f"{TOP}/contents/x", {**FILE, "branch": ["sre-agent/x"]}),
    ("POST", f"{TOP}/git/refs", {**REF, "ref": "refs/heads/main"}),
    ("POST", f"{TOP}/git/refs", {**REF, "ref": "refs/tags/sre-agent/x"}),
    ("POST", f"{TOP}/git/refs", {**REF, "ref": OURS}),
    ("POST", f"{TOP}/pulls", {**PULL, "head": "main"}),
    ("POST", f"{TOP}/pulls", {**PULL, "head": "evil:sre-agent/x"}),
    ("POST", f"{TOP}/pulls", {**PULL, "base": "sre-agent/x"}),
    # other files
    ("PUT", f"{TOP}/contents/.github/workflows/x.yml", FILE),
    ("PUT", f"{TOP}/contents/a/.git/config", FILE),
    ("PUT", f"{TOP}/contents/", FILE),
    # other things to send
    ("PUT", f"{TOP}/contents/x", {**FILE, "committer": {"name": "x", "email": "y"}}),
    ("POST", f"{TOP}/pulls", {**PULL, "maintainer_can_modify": True}),
    ("POST", f"{TOP}/pulls", None),
    ("POST", f"{TOP}/pulls?x=1", PULL),
    ("PUT", f"{TOP}/contents/x", "branch=sre-agent/x"),
    ("GET", TOP, {"a": 1}),
    # other deeds
    ("PATCH", f"{TOP}/git/refs/heads/{OURS}", {"sha": "a" * 40, "force": True}),
    ("DELETE", f"{TOP}/git/refs/heads/{OURS}", None),
    ("DELETE", f"{TOP}/contents/x", FILE),
    ("DELETE", TOP, None),
    ("PATCH", TOP, {"default_branch": OURS}),
    ("PUT", f"{TOP}/pulls/1/merge", {}),
    ("PATCH", f"{TOP}/pulls/1", {"base": OURS}),
    ("POST", f"{TOP}/pulls/1/reviews", {"event": "APPROVE"}),
    ("POST", f"{TOP}/merges", {"base": "main", "head": OURS}),
    ("POST", f"{TOP}/issues", {"title": "x"}),
    ("POST", f"{TOP}/dispatches", {"event_type": "x"}),
    ("PUT", f"{TOP}/collaborators/evil", {}),
    ("PUT", f"{TOP}/branches/main/protection", {}),
    ("GET", f"{TOP}/actions/secrets", None),
    ("GET", f"{TOP}/hooks", None),
    ("POST", f"{TOP}/hooks", {"config": {}}),
    ("POST", f"{TOP}/keys", {"key": "x"}),
    ("HEAD", TOP, None),
]


@pytest.mark.parametrize(("method", "url", "body"), LISTED)
def test_what_a_pull_request_takes_is_listed(method: str, url: str, body: Any) -> None:
    WRITES.check(HOST, method, url, None if body is None else json.dumps(body))
    with pytest.raises(WriteRefused):
        WRITES.check("evil.example", method, url, None if body is None else json.dumps(body))


@pytest.mark.parametrize(("method", "url", "body"), REFUSED)
def test_nothing_else_is(method: str, url: str, body: Any) -> None:
    sent = body if isinstance(body, str | None) else json.dumps(body)
    with pytest.raises(WriteRefused, match="Nothing was sent"):
        WRITES.check(HOST, method, url, sent)


@given(
    st.sampled_from(["POST", "PUT", "PATCH", "DELETE"]),
    st.text(max_size=30),
    st.dictionaries(st.sampled_from(["ref", "branch", "head", "base", "sha"]), st.text(max_size=30)),
)
def test_no_write_passes_that_names_no_branch_of_ours(method: str, path: str, body: dict[str, str]) -> None:
    for below in (path, f"git/refs{path}", f"contents/{path}", f"pulls{path}"):
        try:
            WRITES.check(HOST, method, f"{TOP}/{below}", json.dumps(body))
        except WriteRefused:
            continue
        named = body.get("ref", "").removeprefix("refs/heads/"), body.get("branch", ""), body.get("head", "")
        assert any(each.startswith("sre-agent/") for each in named)


def test_below_an_enterprise_api() -> None:
    writes = Writes("https://github.acme.example/api/v3/", "acme/checkout")
    writes.check("github.acme.example", "POST", f"/api/v3{TOP}/pulls", json.dumps(PULL))
    with pytest.raises(WriteRefused):
        writes.check("github.acme.example", "POST", f"{TOP}/pulls", json.dumps(PULL))


@pytest.mark.parametrize("slug", ["acme", "acme/checkout/x", "../x", "acme/..", "acme/x?y", ""])
def test_a_repository_is_owner_and_name(slug: str) -> None:
    with pytest.raises(WriteRefused):
        Writes("https://api.github.com", slug)


async def test_pygithub_itself_cannot_get_past_it() -> None:
    """Whatever PyGithub can do goes through the same connections."""
    async with GitHubWrites() as server:
        client = requester(Writes(server.url, "acme/checkout"), SecretStr(TOKEN))
        headers, data = await asyncio.to_thread(client.requestJsonAndCheck, "GET", "/repos/acme/checkout")
        assert data["default_branch"] == "main"
        repo = github.Repository.Repository(client, headers, data, completed=True)
        encoded = base64.b64encode(b"x").decode()
        for deed in (
            lambda: repo.create_file("x.md", "Add x", "x", branch="main"),
            lambda: repo.create_git_ref("refs/heads/release", "a" * 40),
            lambda: repo.edit(archived=True),
            repo.delete,
            lambda: repo.create_issue("x"),
            lambda: repo.merge("main", "sre-agent/x"),
            lambda: client.graphql_query("query { viewer { login } }", {}),
            lambda: client.requestJsonAndCheck("GET", "https://evil.example/repos/acme/checkout"),
            lambda: client.requestBlobAndCheck("POST", "/repos/acme/checkout/releases", input=__file__),
            lambda: client.requestJson("PUT", "/repos/acme/other/contents/x", input={"content": encoded}),
        ):
            # PyGithub checks hosts by itself, with an assertion.
            with pytest.raises((WriteRefused, AssertionError)):
                await asyncio.to_thread(deed)
        assert server.writes == []
        assert len(server.requests) == 1


def test_the_reading_client_keeps_its_own_connections() -> None:
    requester(WRITES, SecretStr("x"))
    reader = github.Github().requester
    assert "delivery" not in reader._Requester__httpsConnectionClass.__module__
