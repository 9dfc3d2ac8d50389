"""What a workflow made is brought elsewhere: on request, after a yes, once, and told in the thread."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.playground.slack.records import Message
from tests.acceptance.conftest import CHECKOUT, MAYA, OMAR, Stack
from tests.acceptance.test_conversation import shown
from tests.acceptance.test_workflows import START, repo, said
from tests.fakes.github_writes import TOKEN, GitHubWrites
from tests.fakes.notion import PARENT, FakeNotion
from tests.fakes.notion import TOKEN as NOTION_TOKEN
from tests.fakes.wire import Request, json_response

__all__ = ["repo"]

CONFIRM = "Say *yes* and I do it"


def plain(message: Message) -> str:
    return shown([message]).replace("**", "*")


@pytest.fixture
async def github(stack: Stack, repo: Path) -> AsyncIterator[GitHubWrites]:
    """The GitHub that the catalog's `acme/checkout` is on, which can be written to."""
    async with GitHubWrites() as server:
        stack.environment |= {"GITHUB_WRITE_TOKEN": TOKEN, "GITHUB_API_URL": server.url}
        yield server


async def made(stack: Stack) -> str:
    """A thread in which the workflow has handed its file over."""
    ts, _ = await stack.ask(START)
    last = await said(stack, ts, "pay", "99.95", "skip", "yes")
    assert "is done" in last.text
    return ts


def branch_of(github: GitHubWrites) -> str:
    """The one branch that is ours."""
    [branch] = github.repo.branches.keys() - {"main"}
    assert re.fullmatch("sre-agent/checkout-[0-9a-f]{10}", branch)
    return branch


async def audited(stack: Stack) -> list[tuple[str, ...]]:
    return await stack.rows(
        "SELECT action, user_id, service_name, workflow FROM audit_log WHERE action LIKE 'delivery%' ORDER BY id"
    )


async def test_a_pull_request_after_the_requester_s_yes(stack: Stack, github: GitHubWrites) -> None:
    await stack.serve()
    ts = await made(stack)
    proposal = await said(stack, ts, "please open a pull request")
    slug = github.repo.slug
    assert f"I would open a pull request in *{slug}* with `slo/checkout.yaml`" in plain(proposal)
    assert CONFIRM in plain(proposal)
    assert github.writes == []
    done = await said(stack, ts, "yes")

    [pull] = github.repo.pulls
    assert f"{slug}#1 is open" in done.text
    assert pull["html_url"] in shown([done])
    assert (pull["head"]["ref"], pull["base"]["ref"]) == (branch_of(github), "main")
    assert f"p{ts.replace('.', '')}" in pull["body"]
    [(content,)] = await stack.rows("SELECT content FROM artifacts")
    assert github.repo.branches[branch_of(github)]["slo/checkout.yaml"] == content
    assert list(github.repo.branches["main"]) == ["README.md"]
    again = await said(stack, ts, "open a PR please")
    assert "That is there already" in again.text
    assert len(github.repo.pulls) == 1
    assert await audited(stack) == [
        ("delivery_confirmed", MAYA, "checkout", "SLO Sample"),
        ("delivery", MAYA, "checkout", "SLO Sample"),
    ]


async def test_a_correction_goes_into_the_same_request(stack: Stack, github: GitHubWrites) -> None:
    await stack.serve()
    ts = await made(stack)
    await said(stack, ts, "open a pull request", "yes", "target of pay: 99.5")
    done = await said(stack, ts, "open a pull request", "yes")

    assert "has what I made" in done.text
    assert len(github.repo.pulls) == 1
    assert "99.5" in github.repo.branches[branch_of(github)]["slo/checkout.yaml"]


async def test_only_the_requester_says_yes_and_only_at_once(stack: Stack, github: GitHubWrites) -> None:
    await stack.serve()
    ts = await made(stack)
    await said(stack, ts, "open a pull request")
    other = await said(stack, ts, "yes", user=OMAR)
    assert "Only the person who asked" in other.text
    late = await said(stack, ts, "yes")
    assert "pull request" not in late.text
    await said(stack, ts, "open a pull request")
    left = await said(stack, ts, "no")
    assert "I leave it" in left.text
    await said(stack, ts, "yes")

    assert github.writes == []
    assert await audited(stack) == []


async def test_with_buttons_alone(stack: Stack, github: GitHubWrites) -> None:
    await stack.serve()
    ts = await made(stack)
    handed = [each for each in stack.answers(CHECKOUT, ts) if not each.files][-1]

    async def press(number: int, user: str = MAYA) -> Message:
        message = [each for each in stack.answers(CHECKOUT, ts) if not each.files][-1]
        before = len(stack.answers(CHECKOUT, ts))
        await stack.slack.click(user, message.ts, f"choose_{number}")
        await stack.slack.wait_for(lambda: len(stack.answers(CHECKOUT, ts)) > before)
        return (await stack.answered(CHECKOUT, message.ts, ts))[-1]

    assert "*open a pull request*" in plain(handed)
    assert "I would open a pull request" in (await press(0)).text
    assert "Then I leave it" in (await press(1)).text
    await said(stack, ts, "open a pull request")
    assert "#1 is open" in (await press(0)).text
    assert len(github.repo.pulls) == 1


async def test_killed_between_the_yes_and_the_request_it_opens_one(
    stack: Stack, github: GitHubWrites
) -> None:
    worker = await stack.spawn("serve")
    ts = await made(stack)
    await said(stack, ts, "open a pull request")

    def kill(request: Request) -> None:
        if request.method == "PUT" and worker.returncode is None:
            worker.send_signal(signal.SIGKILL)

    github.before = kill
    yes = await stack.slack.say(MAYA, CHECKOUT, "yes", ts)
    await asyncio.wait_for(worker.wait(), 60)
    assert github.repo.pulls == []
    [(plan, outcome)] = await stack.rows("SELECT plan ->> 'base', outcome FROM deliveries")
    assert (plan, outcome) == ("main", None)
    await stack.spawn("serve")
    answers = await stack.answered(CHECKOUT, yes, ts)

    assert len(github.repo.pulls) == 1
    assert github.repo.commits == [(branch_of(github), "Add slo/checkout.yaml")]
    assert sum("#1 is open" in each.text for each in answers) == 1


@pytest.mark.parametrize(
    ("on", "answer", "told"),
    [
        ("GET ", (404, "Not Found"), "shows GITHUB_WRITE_TOKEN no"),
        ("POST /git/refs", (403, "Resource not accessible by personal access token"), "“Contents”"),
        ("POST /pulls", (403, "API rate limit exceeded"), "has limited our requests"),
        ("PUT /contents", (403, "Repository was archived so is read-only."), "is archived"),
    ],
)
async def test_refused_it_is_said_and_the_file_stays(
    stack: Stack, github: GitHubWrites, on: str, answer: tuple[int, str], told: str
) -> None:
    await stack.serve()
    ts = await made(stack)
    github.fail(on, answer, times=9)
    failed = await said(stack, ts, "open a pull request", "yes")
    assert told in failed.text
    assert "stays attached" in failed.text
    assert [action for action, *_ in await audited(stack)] == ["delivery_confirmed", "delivery_failed"]
    github.times = 0
    done = await said(stack, ts, "open a pull request", "yes")

    assert "is open" in done.text
    assert len(github.repo.pulls) == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("open a pull request", "GITHUB_WRITE_TOKEN is not set"),
        ("put it in Notion", "NOTION_TOKEN is not set"),
    ],
)
async def test_without_a_token_it_is_refused_clearly(stack: Stack, repo: Path, words: str, told: str) -> None:
    await stack.serve()
    ts = await made(stack)
    refused = await said(stack, ts, words)
    assert told in refused.text
    assert "stays attached" in refused.text
    assert await stack.rows("SELECT count(*) FROM deliveries") == [(0,)]


async def test_the_knowledge_repo_and_unknown_places(stack: Stack, github: GitHubWrites) -> None:
    stack.environment |= {"GITHUB_TOKEN": "", "KNOWLEDGE_REPO_URL": stack.environment["KNOWLEDGE_REPO_URL"]}
    await stack.serve()
    ts = await made(stack)
    local = await said(stack, ts, "open a pull request in the knowledge repo")
    assert "The knowledge repo is not on the GitHub that I know" in local.text
    unknown = await said(stack, ts, "open a pull request in the nonsense repo")
    assert "The catalog knows no `nonsense`" in unknown.text
    assert github.writes == []


async def test_a_draft_in_notion(stack: Stack, repo: Path) -> None:
    async with FakeNotion() as notion:
        stack.environment |= {
            "NOTION_TOKEN": NOTION_TOKEN,
            "NOTION_PARENT_PAGE_ID": PARENT,
            "NOTION_API_URL": notion.url,
        }
        await stack.serve()
        ts, _ = await stack.ask(START)
        handed = await said(stack, ts, "pay", "99.95", "skip", "yes")
        assert "put it in Notion" in handed.text
        notion.failures = [json_response(403, {"message": "Insufficient permissions"})]
        refused = await said(stack, ts, "put it in Notion", "yes")
        assert "needs “Insert content”" in refused.text
        assert "What I made stays attached in this thread" in refused.text
        assert notion.pages == []
        done = await said(stack, ts, "put it in Notion", "yes")

        [page] = notion.pages
        assert "is in Notion" in done.text
        assert page.id in shown([done])
        assert page.blocks[-1]["code"]["language"] == "yaml"
