"""Commits and pull requests, as GitHub tells them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from app.sources.failures import NotThere, QueryRejected, SourceFailed
from app.sources.github_changes import GitHubChanges
from tests.fakes.changes import FakeGitHub, commit, sha

AT = "2026-11-20T10:00:00Z"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp()


@pytest.fixture
async def server() -> AsyncIterator[FakeGitHub]:
    async with FakeGitHub() as running:
        yield running


@pytest.fixture
async def github(server: FakeGitHub) -> AsyncIterator[GitHubChanges]:
    client = GitHubChanges(server.endpoint, timeout_seconds=60)
    yield client
    await client.aclose()


@pytest.mark.parametrize(
    ("message", "pull", "title"),
    [
        ("Retry less (#12)", None, "#12 Retry less"),
        ("Merge pull request #7 from acme/x\n\nRetry less", None, "#7 Retry less"),
        ("Fix the pool\n\nLong story", None, "Fix the pool"),
        ("Squashed", {"number": 9, "title": "Grow the pool", "user": {"login": "jonas"}}, "#9 Grow the pool"),
    ],
)
async def test_a_commit_is_told_as_its_pull_request(
    server: FakeGitHub, github: GitHubChanges, message: str, pull: dict[str, object] | None, title: str
) -> None:
    server.commits = [commit("a", AT, message)]
    if pull:
        server.pulls = [
            {"merge_commit_sha": sha("a"), "merged_at": AT, "html_url": "https://localhost/9", **pull}
        ]
    (change,) = await github.between("acme/checkout", "v1", "v2")

    assert change.title == title
    assert change.author == ("jonas" if pull else "maya")
    assert change.at == NOON - 2 * 3600


async def test_the_only_commit_carries_files_and_diff(server: FakeGitHub, github: GitHubChanges) -> None:
    server.commits = [commit("a", AT, "Shrink the pool")]
    server.files = [{"filename": "app/db.py", "patch": "-pool = 20\n+pool = 2"}]
    (change,) = await github.between("acme/checkout", sha("0"), sha("a"))

    assert change.files == ("app/db.py",)
    assert change.diff == "--- app/db.py\n-pool = 20\n+pool = 2"
    assert server.asked[0].raw_path == f"/repos/acme/checkout/compare/{sha('0')}...{sha('a')}"


async def test_commits_of_a_span_come_oldest_first(server: FakeGitHub, github: GitHubChanges) -> None:
    server.commits = [commit("a", AT, "One"), commit("b", "2026-11-20T11:00:00Z", "Two", login=None)]
    found = await github.recent("acme/checkout", NOON - 86400, NOON)

    assert [each.title for each in found] == ["One", "Two"]
    assert found[1].author == "Maya L"
    assert server.asked[0].params["since"] == "2026-11-19T12:00:00Z"


async def test_without_the_right_to_pull_requests_commits_are_told(
    server: FakeGitHub, github: GitHubChanges
) -> None:
    server.commits, server.without_pulls = [commit("a", AT, "One")], True

    assert len(await github.recent("acme/checkout", NOON - 86400, NOON)) == 1


@pytest.mark.parametrize("base", ["", "a..b", "../x", "a b", "-x", "feature/x", "x" * 101])
async def test_what_is_no_revision_is_not_sent(server: FakeGitHub, github: GitHubChanges, base: str) -> None:
    with pytest.raises(QueryRejected):
        await github.between("acme/checkout", base, "v2")
    assert server.asked == []


@pytest.mark.parametrize("repo", ["checkout", "acme/checkout/secrets", "../x", "acme/che ckout"])
async def test_what_is_no_repo_is_not_sent(server: FakeGitHub, github: GitHubChanges, repo: str) -> None:
    with pytest.raises(QueryRejected):
        await github.recent(repo, 0, NOON)
    assert server.asked == []


async def test_an_unknown_repo_and_an_outage_are_told_apart(
    server: FakeGitHub, github: GitHubChanges
) -> None:
    with pytest.raises(NotThere):
        await github.recent("acme/elsewhere", 0, NOON)
    server.fault = "html"
    with pytest.raises(SourceFailed):
        await github.recent("acme/checkout", 0, NOON)
