"""The services' own repos: read through GitHub where they are there, through git otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from app.context.github import GitHubUnavailable
from app.context.mirrors import MirrorUnavailable
from app.context.models import Service
from app.context.paths import PathRefused
from app.context.repos import NoRepository, NoSuchFile, Repos
from app.storage.engine import create_engine
from tests.context.clock import Clock
from tests.context.github_wire import GitHubWire
from tests.context.origin import Origin, smart_http

MAIN = "import os\n\n\ndef charge_card(amount):\n    raise CardDeclined('no')\n"


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


@pytest.fixture
def origin(tmp_path: Path) -> Origin:
    origin = Origin(tmp_path / "git" / "acme" / "checkout")
    origin.commit(
        {
            "README.md": "# Checkout\n",
            "README.txt": "no markdown\n",
            "src/main.py": MAIN,
            "src/pay/api.py": "from main import charge_card\n\n# A declined card is retried once.\n",
            "tests/test_main.py": "def test_charge_card():\n    pass\n",
            "config/secrets.yaml": "charge_card: hunter2\n",
            "logo.png": b"\x89PNG\0charge_card",
            "package-lock.json": '{"charge_card": 1}\n',
            "huge.sql": "-- x\n" * 200_000,
        }
    )
    return origin


@pytest.fixture
def repos(tmp_path: Path, engine: AsyncEngine) -> Repos:
    return Repos(tmp_path / "mirrors", engine, github_api_url="http://localhost:1", clock=Clock())


def service(origin: Origin) -> Service:
    return Service(name="checkout", repo=origin.url)


async def test_a_readme_of_a_plain_git_repo(repos: Repos, origin: Origin) -> None:
    readme = await repos.readme(service(origin))
    assert readme.source is not None
    assert (readme.text, readme.source.kind, readme.source.path) == ("# Checkout\n", "readme", "README.md")
    assert readme.source.revision == origin.git("rev-parse", "HEAD")[:12]


@pytest.mark.parametrize(
    ("files", "shown"),
    [
        (["README.md", "docs/README.md"], "README.md"),
        (["README.rst", "docs/README.md"], "README.rst"),
        (["README.txt", "README.rst", "readme.md"], "readme.md"),
        (["docs/README.md", "docs/README.txt", "src/README.md"], "docs/README.md"),
        (["docs/README.rst"], "docs/README.rst"),
        (["Docs/readme.txt"], "Docs/readme.txt"),
        (["README", "docs/README.md"], "README"),
        (["README.png", "README.md.bak", "docs/README.md"], "docs/README.md"),
        (["docs/guide/README.md", "src/README.md"], None),
    ],
)
async def test_the_readme_at_the_top_comes_before_the_one_in_docs(
    repos: Repos, tmp_path: Path, files: list[str], shown: str | None
) -> None:
    origin = Origin(tmp_path / "git" / "x")
    origin.commit({file: b"\x89PNG\0" if file.endswith("png") else f"in {file}\n" for file in files})
    readme = await repos.readme(service(origin))
    assert (readme.source.path if readme.source else None) == shown
    assert readme.text == (f"in {shown}\n" if shown else None)


async def test_a_readme_that_is_no_text_makes_way_for_the_next(repos: Repos, tmp_path: Path) -> None:
    origin = Origin(tmp_path / "git" / "x")
    origin.commit({"README.md": b"\xff\xfe\0", "docs/README.md": "in docs\n"})
    assert (await repos.readme(service(origin))).text == "in docs\n"


async def test_a_repo_without_a_readme(repos: Repos, tmp_path: Path) -> None:
    bare = Origin(tmp_path / "git" / "bare")
    bare.commit({"src/README.md": "not at the top\n"})
    readme = await repos.readme(service(bare))
    assert (readme.text, readme.notice) == (None, None)


async def test_a_file_is_read_at_its_revision(repos: Repos, origin: Origin) -> None:
    page = await repos.page(service(origin), "./src/main.py")
    assert (page.text, page.is_folder, page.source.path) == (MAIN, False, "src/main.py")


@pytest.mark.parametrize(
    ("path", "listed"),
    [
        ("", "README.md\nREADME.txt\nhuge.sql\nlogo.png\npackage-lock.json\nsrc/\ntests/"),
        ("src", "src/main.py\nsrc/pay/"),
        ("src/pay/", "src/pay/api.py"),
    ],
)
async def test_a_folder_is_listed_without_its_secrets(
    repos: Repos, origin: Origin, path: str, listed: str
) -> None:
    page = await repos.page(service(origin), path)
    assert (page.text, page.is_folder) == (listed, True)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("main.py", "There is src/main.py"),
        ("nothing.here", "no file 'nothing.here'"),
        ("logo.png", "no text file"),
        ("huge.sql", "1,000,000 bytes"),
    ],
)
async def test_what_cannot_be_read_is_explained(repos: Repos, origin: Origin, path: str, said: str) -> None:
    with pytest.raises(NoSuchFile, match=said):
        await repos.page(service(origin), path)


async def test_secrets_and_other_folders_are_refused(repos: Repos, origin: Origin) -> None:
    for path in ("config/secrets.yaml", "../../../etc/passwd", ".git/config"):
        with pytest.raises(PathRefused):
            await repos.page(service(origin), path)


async def test_code_is_found_before_tests_and_never_in_secrets(repos: Repos, origin: Origin) -> None:
    hits = await repos.search(service(origin), "charge_card")
    found = [(line.path, line.number) for line, _ in hits.lines]
    assert found == [("src/main.py", 4), ("src/pay/api.py", 1), ("tests/test_main.py", 1)]
    assert hits.lines[0][1].title == "checkout/src/main.py:4"


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("CHARGE_CARD(amount", "src/main.py:4"),
        ("declined card", "src/pay/api.py:3"),
        ("card retried", "src/pay/api.py:3"),
        ("raise CardDeclined('no')", "src/main.py:5"),
    ],
)
async def test_a_text_or_its_words_are_found(repos: Repos, origin: Origin, text: str, first: str) -> None:
    hits = await repos.search(service(origin), text)
    line = hits.lines[0][0]
    assert f"{line.path}:{line.number}" == first


@pytest.mark.parametrize("text", [".*", "(", "-e", "--help", "$(id)", "nowhere to be found"])
async def test_a_text_is_taken_literally(repos: Repos, origin: Origin, text: str) -> None:
    hits = await repos.search(service(origin), text)
    assert all(text in line.text for line, _ in hits.lines)


async def test_files_are_found_by_their_names(repos: Repos, origin: Origin) -> None:
    assert (await repos.search(service(origin), "api.py")).paths == ("src/pay/api.py",)
    assert (await repos.search(service(origin), "secrets")).paths == ()


async def test_the_files_that_hold_a_text(repos: Repos, origin: Origin) -> None:
    rules = {
        "a/rules.yml": "Alert: one\n",
        "b.yaml": "alert: two\n",
        "c.md": "alert: three\n",
        "big.yaml": "alert: x\n" * 70_000,
    }
    origin.commit({**rules, "deploy/secrets.yaml": "alert: hunter2\n"})

    found = await repos.holding(service(origin), "alert:", (".yaml", ".yml"))
    assert [(each.source.path, each.text) for each in found] == [
        ("a/rules.yml", "Alert: one\n"),
        ("b.yaml", "alert: two\n"),
    ]
    assert await repos.holding(service(origin), "nowhere:", (".yaml",)) == ()


async def test_a_service_without_a_repo_says_how_to_add_one(repos: Repos) -> None:
    with pytest.raises(NoRepository, match=r"services\.yaml"):
        await repos.readme(Service(name="checkout"))


@pytest.mark.parametrize(
    "repo", ["../user", "./x", "acme/..", "--upload-pack=id", "ext::sh -c id", "https://github.com/../user"]
)
async def test_what_is_no_repo_is_refused_before_anyone_is_asked(
    tmp_path: Path, engine: AsyncEngine, repo: str
) -> None:
    async with GitHubWire({}) as wire:
        repos = Repos(tmp_path / "mirrors", engine, github_api_url=wire.url, clock=Clock())
        bad = Service(name="checkout", repo=repo, declared_in="services.yaml:3")
        for asked in (repos.readme(bad), repos.page(bad, "x"), repos.search(bad, "x")):
            with pytest.raises(NoRepository, match=r"repo of checkout \(services.yaml:3\) is not used"):
                await asked
        assert wire.requests == []


async def test_a_repo_that_cannot_be_reached_is_unavailable(repos: Repos, tmp_path: Path) -> None:
    with pytest.raises(MirrorUnavailable, match="gone"):
        await repos.search(Service(name="x", repo=f"file://{tmp_path}/gone"), "text")


async def test_a_repo_on_github_is_read_through_its_api(tmp_path: Path, engine: AsyncEngine) -> None:
    files: dict[str, str | bytes] = {"README.md": "# Hi\n", "src/main.py": MAIN, ".env": "KEY=1\n"}
    async with GitHubWire({"acme/checkout": files}) as wire:
        repos = Repos(tmp_path / "mirrors", engine, github_api_url=wire.url, clock=Clock())
        checkout = Service(name="checkout", repo="acme/checkout")
        readme = await repos.readme(checkout)
        assert readme.source is not None
        assert (readme.text, readme.source.title) == ("# Hi\n", "README of checkout")
        page = await repos.page(checkout, "src/main.py")
        assert page.source.url == f"{wire.url}/acme/checkout/blob/main/src/main.py"
        assert (await repos.page(checkout, "")).text == "README.md\nsrc/"
        with pytest.raises(NoSuchFile):
            await repos.page(checkout, "src/other.py")
        assert not (tmp_path / "mirrors").exists()


async def test_a_readme_that_cannot_be_had_is_an_error_of_ours(tmp_path: Path, engine: AsyncEngine) -> None:
    async with GitHubWire({}) as wire:
        wire.fails_with = 503
        repos = Repos(tmp_path / "mirrors", engine, github_api_url=wire.url, clock=Clock())
        with pytest.raises(GitHubUnavailable):
            await repos.readme(Service(name="checkout", repo=f"{wire.url}/acme/checkout"))


async def test_a_file_is_read_by_git_while_the_api_is_away(
    origin: Origin, tmp_path: Path, engine: AsyncEngine
) -> None:
    with smart_http(tmp_path / "git") as server:
        # The same host serves git; as an API it answers nothing useful.
        repos = Repos(tmp_path / "mirrors", engine, github_api_url=server.url, clock=Clock())
        server.api_status = 403
        page = await repos.page(Service(name="checkout", repo="acme/checkout"), "src/main.py")
    assert (page.text, page.source.path) == (MAIN, "src/main.py")


async def test_the_token_is_for_github_alone(origin: Origin, tmp_path: Path, engine: AsyncEngine) -> None:
    with smart_http(tmp_path / "git") as elsewhere:
        repos = Repos(tmp_path / "mirrors", engine, token=SecretStr("t0ken"), clock=Clock())
        await repos.search(Service(name="checkout", repo=f"{elsewhere.url}/acme/checkout"), "charge")
        assert elsewhere.authorizations == {""}
        at_home = Repos(
            tmp_path / "home",
            engine,
            github_api_url=elsewhere.url,
            token=SecretStr("t0ken"),
            clock=Clock(),
        )
        await at_home.search(Service(name="checkout", repo="acme/checkout"), "charge")
        assert len(elsewhere.authorizations) == 2


async def test_an_outage_of_a_repo_is_told_with_what_was_found(
    origin: Origin, tmp_path: Path, engine: AsyncEngine
) -> None:
    clock = Clock()
    with smart_http(tmp_path / "git") as server:
        repos = Repos(tmp_path / "mirrors", engine, clock=clock)
        checkout = Service(name="checkout", repo=f"{server.url}/acme/checkout")
        await repos.search(checkout, "charge")
        server.away = True
        clock.passes(minutes=5)
        hits = await repos.search(checkout, "charge_card")
    assert "could not be reached since 14:03 UTC" in (hits.notice or "")
    assert hits.lines


def origins(tmp_path: Path, names: str) -> list[Service]:
    made = []
    for name in names:
        origin = Origin(tmp_path / "git" / name)
        origin.commit({"README.md": f"# {name}\n"})
        made.append(Service(name=name, repo=origin.url))
    return made


def mirrored(tmp_path: Path) -> set[str]:
    """The first letters of the mirrors on disk."""
    return {folder.name[0] for folder in (tmp_path / "mirrors").iterdir() if folder.is_dir()}


async def test_the_mirror_not_used_for_longest_makes_room(tmp_path: Path, engine: AsyncEngine) -> None:
    clock = Clock()
    repos = Repos(tmp_path / "mirrors", engine, most_mirrors=2, clock=clock)
    a, b, c = origins(tmp_path, "abc")
    for asked in (a, b, a, c):
        clock.passes(minutes=5)
        await repos.readme(asked)
    assert mirrored(tmp_path) == {"a", "c"}
    # What made room is fetched again when it is asked for.
    assert (await repos.readme(b)).text == "# b\n"
    assert mirrored(tmp_path) == {"b", "c"}


async def test_mirrors_of_an_earlier_process_make_room_too(tmp_path: Path, engine: AsyncEngine) -> None:
    clock = Clock()
    a, b, c = origins(tmp_path, "abc")
    earlier = Repos(tmp_path / "mirrors", engine, clock=clock)
    await earlier.readme(a)
    clock.passes(minutes=5)
    await earlier.readme(b)
    clock.passes(minutes=5)
    await Repos(tmp_path / "mirrors", engine, most_mirrors=2, clock=clock).readme(c)
    assert mirrored(tmp_path) == {"b", "c"}
    # The earlier one finds out that its copy is gone.
    assert (await earlier.readme(a)).text == "# a\n"


async def test_more_repos_at_once_than_there_is_room_for(tmp_path: Path, engine: AsyncEngine) -> None:
    repos = Repos(tmp_path / "mirrors", engine, most_mirrors=1, clock=Clock())
    services = origins(tmp_path, "abcde")
    read = await asyncio.gather(*(repos.search(each, each.name) for each in services * 3))
    assert [hits.lines[0][0].text for hits in read] == [f"# {each.name}" for each in services] * 3
    await repos.readme(services[0])
    assert mirrored(tmp_path) == {"a"}


async def test_a_push_is_read_at_once_from_git(tmp_path: Path, engine: AsyncEngine) -> None:
    origin = Origin(tmp_path / "git" / "acme" / "checkout")
    origin.commit({"README.md": "# One\n"})
    with smart_http(tmp_path / "git") as server:
        repos = Repos(tmp_path / "mirrors", engine, clock=Clock())
        checkout = Service(name="checkout", repo=f"{server.url}/acme/checkout")
        await repos.readme(checkout)
        origin.commit({"README.md": "# Two\n"})
        await repos.wake("acme/other")
        assert (await repos.readme(checkout)).text == "# One\n"
        await repos.wake("Acme/Checkout")
        assert (await repos.readme(checkout)).text == "# Two\n"


async def test_a_push_is_read_at_once_from_github_by_every_replica(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    async with GitHubWire({"acme/checkout": {"README.md": "# One\n"}, "acme/check": {"x": "1\n"}}) as wire:
        door, worker = (
            Repos(tmp_path / name, engine, github_api_url=wire.url, clock=Clock()) for name in ("d", "w")
        )
        checkout = Service(name="checkout", repo="acme/checkout")
        await worker.readme(checkout)
        with pytest.raises(NoSuchFile):
            await worker.page(checkout, "new.md")
        wire.files["acme/checkout"] = {"README.md": "# Two\n", "new.md": "new\n"}
        await door.wake("acme/check")
        assert (await worker.readme(checkout)).text == "# One\n"
        await door.wake("Acme/Checkout")
        assert (await worker.readme(checkout)).text == "# Two\n"
        assert (await worker.page(checkout, "new.md")).text == "new\n"
