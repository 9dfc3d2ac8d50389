"""The example organisation's git host: what can be cloned, opened and asked there, and that nothing is written."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser
from sqlalchemy.ext.asyncio import AsyncEngine

from app.context.mirrors import Mirror
from app.context.models import Service
from app.context.repos import NoSuchFile, Repos
from app.playground.example import ExampleOrganisation, git, write_repos
from app.playground.forge import Forge
from app.playground.slack import PlaygroundSlack, Workspace
from app.storage.engine import create_engine

NASTY = "# <script>alert(1)</script>\n\n```sh\n# no heading\n```\n| [x](javascript:alert(1)) |\n"


@pytest.fixture(scope="module")
def acme(tmp_path_factory: pytest.TempPathFactory) -> ExampleOrganisation:
    return write_repos(tmp_path_factory.mktemp("acme"), owner="acme")


@pytest.fixture
async def settings(acme: ExampleOrganisation) -> AsyncIterator[dict[str, str]]:
    forge = Forge(acme.folder)
    async with PlaygroundSlack(Workspace.example(), routes=forge.routes()) as slack:
        yield forge.environment(slack.url)


@pytest.fixture
async def http(settings: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    base = settings["GITHUB_API_URL"].removesuffix("/api/v3")
    async with httpx.AsyncClient(base_url=base, timeout=60) as client:
        yield client


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    made = create_engine(database_url)
    yield made
    await made.dispose()


def commit(acme: ExampleOrganisation, path: str, content: str | bytes, repo: str = "knowledge") -> None:
    file = acme.folder / repo / path
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    git(acme.folder / repo, "add", "--all")
    git(acme.folder / repo, "commit", "--quiet", "--message", "A change")


async def git_fails(*arguments: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *("git", *arguments), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()
    assert process.returncode
    return errors.decode()


# -- git -------------------------------------------------------------------------------------------------


async def test_a_mirror_follows_every_commit_and_links_to_its_pages(
    acme: ExampleOrganisation, settings: dict[str, str], http: httpx.AsyncClient, tmp_path: Path
) -> None:
    mirror = Mirror(settings["KNOWLEDGE_REPO_URL"], "main", tmp_path / "mirror")
    before = await mirror.refresh()

    commit(acme, "standards/coffee.md", "# Coffee\n\nBefore every release.\n")
    after = await mirror.refresh()

    assert "tiers/tier-1.md" in before.files
    assert "standards/coffee.md" not in before.files
    assert after.files["standards/coffee.md"].endswith("release.\n")
    link = after.url("standards/coffee.md", 3)
    assert link
    page = await http.get(link)
    assert page.status_code == 200
    assert '<div id="L3">' in page.text
    assert "Before every release." in page.text
    assert (await http.get(str(before.url("tiers/tier-1.md")))).status_code == 200


@pytest.mark.parametrize("version", ["0", "1", "2"])
async def test_each_version_of_git_s_protocol_clones(
    version: str, settings: dict[str, str], tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *("git", "-c", f"protocol.version={version}", "clone", "--quiet"),
        *(settings["BLUEPRINTS_REPO_URL"], str(tmp_path / "clone")),
    )

    assert await process.wait() == 0
    assert (tmp_path / "clone" / "services.yaml").is_file()


async def test_a_push_is_refused(
    acme: ExampleOrganisation, settings: dict[str, str], http: httpx.AsyncClient
) -> None:
    said = await git_fails(
        "-C", str(acme.folder / "knowledge"), "push", settings["KNOWLEDGE_REPO_URL"], "main:stolen"
    )

    assert "403" in said
    assert (await http.post("/acme/knowledge.git/git-receive-pack")).status_code == 403


async def test_a_request_that_unpacks_without_end_is_refused(http: httpx.AsyncClient) -> None:
    bomb = gzip.compress(bytes(50_000_000))

    answer = await http.post(
        "/acme/knowledge.git/git-upload-pack", content=bomb, headers={"Content-Encoding": "gzip"}
    )

    assert answer.status_code == 403
    assert "too long" in answer.text


async def test_a_request_that_is_too_long_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.post("/acme/knowledge.git/git-upload-pack", content=bytes(2_000_000))

    assert answer.status_code == 403


# -- pages -----------------------------------------------------------------------------------------------


async def test_a_page_shows_a_file_as_text_and_lets_nothing_run(
    acme: ExampleOrganisation, http: httpx.AsyncClient
) -> None:
    commit(acme, "standards/<b>.md", NASTY)

    page = await http.get("/acme/knowledge/blob/main/standards/%3Cb%3E.md")

    assert page.status_code == 200
    assert "<script" not in page.text
    assert "<b>" not in page.text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "javascript:alert(1)" in page.text
    assert 'href="javascript' not in page.text
    assert page.text.count("class=heading") == 1
    assert page.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")


async def test_from_the_owner_one_clicks_through_to_every_file(http: httpx.AsyncClient) -> None:
    owner, repo = await http.get("/acme"), await http.get("/acme/checkout")
    link = repo.text.partition('<li><a href="')[2].partition('"')[0]

    assert 'href="/acme/checkout"' in owner.text
    assert (await http.get(link)).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "/acme/nothing",
        "/acme/nothing.git/info/refs?service=git-upload-pack",
        "/acme/../../etc/blob/main/passwd",
        "/acme/%2e%2e/blob/main/x",
        "/acme/.git/blob/main/x",
        "/acme/knowledge/blob/main/nothing.md",
        "/acme/knowledge/blob/main/../../secret",
        "/acme/knowledge/blob/main/.git/config",
        "/acme/knowledge/blob/nothing/system-prompt.md",
        "/acme/knowledge/blob/--output=x/system-prompt.md",
        "/acme/knowledge/blob/ffffffffffff/system-prompt.md",
        "/umbrella/knowledge",
        "/api/v3/repos/acme/nothing/readme",
        "/api/v3/repos/acme/reports/readme",
        "/api/v3/repos/acme/checkout/contents/nothing",
    ],
)
async def test_what_is_not_there_is_not_found(path: str, http: httpx.AsyncClient) -> None:
    assert (await http.get(path)).status_code == 404


async def test_bytes_are_not_shown_as_text(acme: ExampleOrganisation, http: httpx.AsyncClient) -> None:
    commit(acme, "artifacts/picture.png", b"\x89PNG\0\0")

    assert "no text" in (await http.get("/acme/knowledge/blob/main/artifacts/picture.png")).text


async def test_a_borrowed_name_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.get("/acme/knowledge", headers={"Host": "rebound.example"})

    assert answer.status_code == 400


async def test_the_line_a_link_leads_to_is_marked(
    acme: ExampleOrganisation, http: httpx.AsyncClient, browser: Browser
) -> None:
    page = await browser.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    await page.goto(f"{http.base_url}/acme/knowledge/blob/main/tiers/tier-1.md#L3")

    marked = await page.evaluate("getComputedStyle(document.querySelector(':target')).backgroundColor")
    plain = await page.evaluate("getComputedStyle(document.querySelector('#L1')).backgroundColor")
    await page.close()

    assert marked != plain
    assert not [said for said in complaints if "favicon" not in said]


# -- the REST API ----------------------------------------------------------------------------------------


async def test_the_reader_of_github_reads_it(
    settings: dict[str, str], engine: AsyncEngine, http: httpx.AsyncClient, tmp_path: Path
) -> None:
    repos = Repos(tmp_path, engine, github_api_url=settings["GITHUB_API_URL"])
    checkout = Service(name="checkout", repo="acme/checkout")

    readme = await repos.readme(checkout)
    folder = await repos.page(checkout, "")
    code = await repos.page(checkout, "internal/pay/handler.go")
    hits = await repos.search(checkout, "timeout")

    assert readme.text
    assert readme.text.startswith("#")
    assert {"README.md", "internal/"} <= set(folder.text.split())
    assert "package pay" in code.text
    for source in (readme.source, code.source, hits.lines[0][1]):
        assert source
        assert source.url
        assert (await http.get(source.url)).status_code == 200


async def test_what_has_no_readme_or_file_says_so(
    settings: dict[str, str], engine: AsyncEngine, tmp_path: Path
) -> None:
    repos = Repos(tmp_path, engine, github_api_url=settings["GITHUB_API_URL"])
    reports = Service(name="reports", repo="acme/reports")

    assert (await repos.readme(reports)).text is None
    with pytest.raises(NoSuchFile):
        await repos.page(reports, "nothing.md")


async def test_an_unchanged_file_costs_nothing(acme: ExampleOrganisation, http: httpx.AsyncClient) -> None:
    path = "/api/v3/repos/acme/payments/readme"
    first = await http.get(path)
    again = await http.get(path, headers={"If-None-Match": first.headers["etag"]})
    commit(acme, "README.md", "# Payments\n\nNew.\n", repo="payments")
    changed = await http.get(path, headers={"If-None-Match": first.headers["etag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert changed.status_code == 200
    assert base64.b64decode(changed.json()["content"]) == b"# Payments\n\nNew.\n"
