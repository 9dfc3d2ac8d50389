"""GitHub is asked seldom, conditionally, and never waited for when it is away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from app.context.github import GitHub, GitHubFile, GitHubFolder, GitHubUnavailable, LinkRefused
from app.storage.engine import create_engine
from tests.context.clock import Clock
from tests.context.github_wire import GitHubWire

README = "# Checkout\n\nTakes the money.\n"


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def wire() -> AsyncIterator[GitHubWire]:
    async with GitHubWire({"acme/checkout": {"README.md": README, "src/main.py": "pay()\n"}}) as wire:
        yield wire


@pytest.fixture
def clock() -> Clock:
    return Clock()


def github_of(wire: GitHubWire, engine: AsyncEngine, clock: Clock, token: str | None = "t0ken") -> GitHub:
    return GitHub(engine, api_url=wire.url, token=SecretStr(token) if token else None, clock=clock)


async def test_a_readme_comes_with_its_address_and_revision(
    wire: GitHubWire, engine: AsyncEngine, clock: Clock
) -> None:
    found = await github_of(wire, engine, clock).readme("acme/checkout")
    assert found is not None
    assert (found.path, found.text, found.notice) == ("README.md", README, None)
    assert found.url == f"{wire.url}/acme/checkout/blob/main/README.md"
    assert len(found.revision or "") == 12
    assert wire.requests[0].path == "/repos/acme/checkout/readme"
    assert wire.requests[0].headers["authorization"] == "token t0ken"


async def test_without_a_token_nothing_is_sent(wire: GitHubWire, engine: AsyncEngine, clock: Clock) -> None:
    await github_of(wire, engine, clock, token=None).readme("acme/checkout")
    assert "authorization" not in wire.requests[0].headers


async def test_a_fresh_answer_is_not_asked_for_again(
    wire: GitHubWire, engine: AsyncEngine, clock: Clock
) -> None:
    github = github_of(wire, engine, clock)
    first = await github.readme("acme/checkout")
    clock.passes(seconds=59)
    # Nor by another replica: they share the database.
    assert await github_of(wire, engine, clock).readme("acme/checkout") == first
    assert len(wire.requests) == 1


async def test_an_older_answer_is_asked_about_and_costs_nothing_while_unchanged(
    wire: GitHubWire, engine: AsyncEngine, clock: Clock
) -> None:
    github = github_of(wire, engine, clock)
    first = await github.readme("acme/checkout")
    clock.passes(minutes=5)
    assert await github.readme("acme/checkout") == first
    assert wire.statuses == [200, 304]
    await github.readme("acme/checkout")
    assert wire.statuses == [200, 304]


async def test_a_change_is_seen(wire: GitHubWire, engine: AsyncEngine, clock: Clock) -> None:
    github = github_of(wire, engine, clock)
    await github.readme("acme/checkout")
    wire.files["acme/checkout"]["README.md"] = "# Checkout 2\n"
    clock.passes(minutes=5)
    found = await github.readme("acme/checkout")
    assert found is not None
    assert found.text == "# Checkout 2\n"


@pytest.mark.parametrize(
    ("trouble", "headers", "said"),
    [
        ("cut", {}, "could not be reached"),
        (500, {}, "could not be reached|GitHub answered 500"),
        (401, {}, "refused the token"),
        (403, {}, "refused to answer|limited"),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1795000000"}, "limited|refused to answer"),
    ],
)
async def test_trouble_leaves_the_copy_and_says_so(
    wire: GitHubWire,
    engine: AsyncEngine,
    clock: Clock,
    *,
    trouble: int | str,
    headers: dict[str, str],
    said: str,
) -> None:
    github = github_of(wire, engine, clock)
    await github.readme("acme/checkout")
    wire.fails_with, wire.failing_headers = trouble, headers
    clock.passes(minutes=5)
    found = await github.readme("acme/checkout")
    assert found is not None
    assert found.text == README
    assert found.notice is not None
    assert "For checkout this is the copy of 2026-11-20 13:58 UTC." in found.notice
    with pytest.raises(GitHubUnavailable, match=said):
        await github.look("acme/checkout", "src/main.py")


async def test_what_is_not_there_is_remembered_for_a_while(
    wire: GitHubWire, engine: AsyncEngine, clock: Clock
) -> None:
    github = github_of(wire, engine, clock)
    assert await github.readme("acme/payments") is None
    clock.passes(minutes=9)
    assert await github.readme("acme/payments") is None
    assert wire.statuses == [404]
    wire.files["acme/payments"] = {"README.md": "# Payments\n"}
    clock.passes(minutes=2)
    found = await github.readme("acme/payments")
    assert found is not None
    assert found.text == "# Payments\n"


async def test_files_and_folders_are_told_apart(wire: GitHubWire, engine: AsyncEngine, clock: Clock) -> None:
    github = github_of(wire, engine, clock)
    assert await github.look("acme/checkout", "") == GitHubFolder(("README.md", "src/"))
    assert await github.look("acme/checkout", "src") == GitHubFolder(("src/main.py",))
    file = await github.look("acme/checkout", "src/main.py")
    assert isinstance(file, GitHubFile)
    assert file.text == "pay()\n"
    assert await github.look("acme/checkout", "src/other.py") is None


@pytest.mark.parametrize("target", ["../.env", "main.py", "../src", "/etc/passwd", "gone"])
async def test_a_symbolic_link_is_not_followed(
    wire: GitHubWire, engine: AsyncEngine, clock: Clock, target: str
) -> None:
    wire.files["acme/checkout"][".env"] = "KEY=hunter2\n"
    wire.links["src/link.py"] = target
    with pytest.raises(LinkRefused, match="src/link.py is a symbolic link"):
        await github_of(wire, engine, clock).look("acme/checkout", "src/link.py")
    assert await github_of(wire, engine, clock).look("acme/checkout", "src") == GitHubFolder(("src/main.py",))


async def test_a_readme_that_is_a_link_is_not_followed(
    wire: GitHubWire, engine: AsyncEngine, clock: Clock
) -> None:
    wire.files["acme/checkout"] = {"docs/.env": "KEY=hunter2\n"}
    wire.links["README.md"] = "docs/.env"
    with pytest.raises(LinkRefused, match=r"README.md is a symbolic link"):
        await github_of(wire, engine, clock).readme("acme/checkout")


@pytest.mark.parametrize("content", [b"\x89PNG\xff\xff", b"x" * 1_000_001])
async def test_what_is_no_text_or_too_large_for_github_is_nothing(
    wire: GitHubWire, engine: AsyncEngine, clock: Clock, content: bytes
) -> None:
    wire.files["acme/checkout"]["blob"] = content
    assert await github_of(wire, engine, clock).look("acme/checkout", "blob") is None


async def test_questions_at_once_are_one_request(wire: GitHubWire, engine: AsyncEngine, clock: Clock) -> None:
    github = github_of(wire, engine, clock)
    found = await asyncio.gather(*(github.readme("acme/checkout") for _ in range(5)))
    assert len({each.text for each in found if each}) == 1
    assert len(wire.requests) == 1
