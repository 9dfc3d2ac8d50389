"""A pull request on the wire: opened once however often it is begun, and what GitHub refuses in a sentence."""

from __future__ import annotations

import dataclasses

import pytest
from pydantic import SecretStr

from app.delivery.github import PullRequests, branch_of
from app.delivery.models import Delivered, DeliveryFailed, File, Parcel
from app.tools.masking import mask
from tests.fakes.github_writes import TOKEN, GitHubWrites, Repo

SLO = File(
    4,
    "slo/checkout.yaml",
    "SLOs for checkout",
    "application/yaml",
    "target: 99.9\n",
    ("team",),
    ("line 1 is odd",),
)
PARCEL = Parcel("T1/C1/1.0/7/1764400000.5", (SLO,), "https://acme.slack.com/archives/C1/p1")
BRANCH = branch_of(PARCEL)
ONCE = ["POST /git/refs", "PUT /contents/slo/checkout.yaml", "POST /pulls"]


def requests_to(server: GitHubWrites, token: str = TOKEN) -> PullRequests:
    return PullRequests(server.url, server.repo.slug, SecretStr(token), mask)


async def deliver(server: GitHubWrites, parcel: Parcel = PARCEL) -> Delivered:
    way = requests_to(server)
    return await way.carry_out(parcel, await way.plan(parcel))


async def test_a_branch_a_commit_and_a_request_that_links_the_thread() -> None:
    async with GitHubWrites() as server:
        done = await deliver(server)

        repo = server.repo
        assert server.writes == ONCE
        assert repo.branches["main"] == {"README.md": "# Checkout\n"}
        assert repo.branches[BRANCH]["slo/checkout.yaml"] == "target: 99.9\n"
        assert repo.commits == [(BRANCH, "Add slo/checkout.yaml")]
        [pull] = repo.pulls
        assert (pull["title"], pull["head"]["ref"], pull["base"]["ref"]) == (
            "SLOs for checkout",
            BRANCH,
            "main",
        )
        assert "[this conversation](https://acme.slack.com/archives/C1/p1)" in pull["body"]
        assert "- [ ] `team`" in pull["body"]
        assert "line 1 is odd" in pull["body"]
        assert done == Delivered(
            "The pull request acme/checkout#1 is open: `slo/checkout.yaml`.", pull["html_url"]
        )


@pytest.mark.parametrize("cut_at", range(3))
@pytest.mark.parametrize("how", ["cut", "cut after"])
async def test_broken_off_anywhere_it_goes_on_and_there_is_one(cut_at: int, how: str) -> None:
    async with GitHubWrites() as server:
        way = requests_to(server)
        plan = await way.plan(PARCEL)
        server.fail(ONCE[cut_at], how)
        with pytest.raises(DeliveryFailed) as broken:
            await way.carry_out(PARCEL, plan)
        assert broken.value.passing
        again = await requests_to(server).carry_out(PARCEL, plan)

        assert [pull["number"] for pull in server.repo.pulls] == [1]
        assert again.link == server.repo.pulls[0]["html_url"]
        assert server.repo.commits == [(BRANCH, "Add slo/checkout.yaml")]


async def test_two_at_once_open_one() -> None:
    async with GitHubWrites() as server:
        way = requests_to(server)
        plan = await way.plan(PARCEL)
        # Another process opens it between our look and our request.
        await way.carry_out(PARCEL, plan)
        [pull] = server.repo.pulls
        hidden = list(server.repo.pulls)
        server.repo.pulls = []
        server.before = lambda request: (
            server.repo.pulls.extend(hidden) if request.method == "POST" and not server.repo.pulls else None
        )
        again = await way.carry_out(PARCEL, plan)

        assert server.repo.pulls == [pull]
        assert again.link == pull["html_url"]


async def test_a_better_version_goes_into_the_request_that_is_open() -> None:
    async with GitHubWrites() as server:
        first = await deliver(server)
        better = dataclasses.replace(SLO, id=5, content="target: 99.95\n")
        second = await deliver(server, dataclasses.replace(PARCEL, files=(better,)))

        assert second.link == first.link
        assert "has what I made" in second.said
        assert server.repo.branches[BRANCH]["slo/checkout.yaml"] == "target: 99.95\n"
        assert server.repo.commits[-1] == (BRANCH, "Update slo/checkout.yaml")
        assert len(server.repo.pulls) == 1


async def test_two_installations_on_one_repo_open_one_each() -> None:
    """The numbers of their threads and artifacts are the same; who began when is not."""
    other = dataclasses.replace(PARCEL, origin="T1/C1/1.0/7/1764400000.75")
    async with GitHubWrites() as server:
        first, second = await deliver(server), await deliver(server, other)
        again = await deliver(server, other)

        assert first.link != second.link == again.link
        assert [pull["head"]["ref"] for pull in server.repo.pulls] == [BRANCH, branch_of(other)]
        assert branch_of(other) != BRANCH
        assert {BRANCH[:-10], branch_of(other)[:-10]} == {"sre-agent/checkout-"}


async def test_files_of_one_name_in_different_folders_are_different_requests() -> None:
    runbook = dataclasses.replace(SLO, path="runbooks/checkout.md", title="Runbook", content="# Checkout\n")
    async with GitHubWrites() as server:
        await deliver(server)
        await deliver(server, dataclasses.replace(PARCEL, files=(runbook,)))

        assert [pull["title"] for pull in server.repo.pulls] == ["SLOs for checkout", "Runbook"]
        assert "runbooks/checkout.md" not in server.repo.branches[BRANCH]


async def test_after_a_merge_there_is_another_branch() -> None:
    async with GitHubWrites() as server:
        await deliver(server)
        server.repo.pulls[0]["state"] = "closed"
        server.repo.branches["main"] = dict(server.repo.branches[BRANCH])
        better = dataclasses.replace(SLO, id=5, content="target: 99.95\n")
        await deliver(server, dataclasses.replace(PARCEL, files=(better,)))

        assert [pull["head"]["ref"] for pull in server.repo.pulls] == [BRANCH, f"{BRANCH}-2"]


async def test_one_that_was_closed_before_anybody_heard_of_it_is_told_and_not_opened_again() -> None:
    async with GitHubWrites() as server:
        way = requests_to(server)
        plan = await way.plan(PARCEL)
        await way.carry_out(PARCEL, plan)
        server.repo.pulls[0]["state"] = "closed"
        done = await way.carry_out(PARCEL, plan)

        assert "closed meanwhile" in done.said
        assert len(server.repo.pulls) == 1


async def test_words_of_people_ping_nobody_and_close_nothing() -> None:
    words = "SLOs @acme/everyone fixes #12 https://evil.example `x` [y](https://evil.example)"
    file = dataclasses.replace(SLO, title=words, todos=("ask @everyone",), faults=())
    async with GitHubWrites() as server:
        await deliver(server, dataclasses.replace(PARCEL, files=(file,)))
        [pull] = server.repo.pulls

    assert not set("@#`[]/") & set(pull["title"])
    prose = "".join(pull["body"].split("`")[::2])
    assert "@" not in prose
    assert "evil" not in prose


async def test_several_files_go_together() -> None:
    other = File(5, "slo/rules.yaml", "Rules", "application/yaml", "groups: []\n")
    async with GitHubWrites() as server:
        await deliver(server, dataclasses.replace(PARCEL, files=(SLO, other)))

        assert sorted(server.repo.branches[BRANCH]) == ["README.md", "slo/checkout.yaml", "slo/rules.yaml"]
        assert server.repo.pulls[0]["title"] == "SLOs for checkout and 1 more"


@pytest.mark.parametrize(
    ("on", "answer", "said", "passing"),
    [
        ("GET ", (404, "Not Found"), "shows GITHUB_WRITE_TOKEN no acme/checkout", False),
        ("GET ", (401, "Bad credentials"), "check GITHUB_WRITE_TOKEN", False),
        (
            "GET ",
            (403, "API rate limit exceeded for user"),
            "has limited our requests until 10:40 UTC",
            False,
        ),
        (
            "POST /git/refs",
            (403, "You have exceeded a secondary rate limit"),
            "has limited our requests",
            False,
        ),
        ("POST /pulls", (429, "Slow down"), "has limited our requests", False),
        ("POST /git/refs", (403, "Resource not accessible by personal access token"), "“Contents”", False),
        ("POST /git/refs", (422, "Repository rule violations found"), "rule violations", False),
        ("PUT /contents", (403, "Repository was archived so is read-only."), "is archived", False),
        ("PUT /contents", (409, "x does not match"), "Somebody changed the same file", True),
        ("POST /pulls", (422, "Validation Failed"), "Validation Failed", False),
        ("POST /pulls", (502, "Bad Gateway"), "GitHub answered 502", True),
        ("GET ", (301, "Moved Permanently"), "nothing that I may ask GitHub", False),
        ("GET ", "cut", "could not be reached", True),
    ],
)
async def test_what_github_refuses_is_said(
    on: str, answer: tuple[int, str] | str, said: str, passing: bool
) -> None:
    async with GitHubWrites() as server:
        limits = {"x_ratelimit_reset": "1764412800"}
        moved = {"location": f"{server.url}/repositories/123"} if answer[0] == 301 else {}
        server.fail(on, answer, times=9, **limits, **moved)
        with pytest.raises(DeliveryFailed) as refused:
            await deliver(server)
        assert said in refused.value.sentence
        assert refused.value.passing is passing
        assert server.repo.pulls == []


@pytest.mark.parametrize(
    ("repo", "said"),
    [
        (Repo(archived=True), "acme/checkout is archived on GitHub"),
        (Repo(reads_only=True), "read and write, for it"),
        (Repo(branches={}), "has no commit yet"),
        (Repo(default="sre-agent/x"), "The default branch of acme/checkout is sre-agent/x"),
        (Repo(branches={"main": {"slo/checkout.yaml": "target: 99.9\n"}}), "has exactly this already"),
        (Repo(branches={"main": {"slo/checkout.yaml/x": ""}}), "is a folder or a link"),
    ],
)
async def test_repositories_that_take_none(repo: Repo, said: str) -> None:
    async with GitHubWrites(repo) as server:
        with pytest.raises(DeliveryFailed, match=said):
            await deliver(server)
        assert repo.pulls == []


async def test_a_branch_that_exists_is_used() -> None:
    repo = Repo(branches={"main": {"README.md": "x"}, BRANCH: {"README.md": "x", "notes.md": "by hand"}})
    async with GitHubWrites(repo) as server:
        await deliver(server)
        assert server.writes == ONCE[1:]
        assert "notes.md" in repo.branches[BRANCH]


async def test_secrets_are_masked_in_what_stands_around_the_file() -> None:
    file = dataclasses.replace(SLO, title="SLOs password=hunter2hunter2", faults=())
    async with GitHubWrites() as server:
        await deliver(server, dataclasses.replace(PARCEL, files=(file,)))
        assert "hunter2" not in str(server.repo.pulls)
