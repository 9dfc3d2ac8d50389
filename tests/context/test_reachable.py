"""What a catalog names may be anywhere but at addresses that answer this machine alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.context.addresses import AddressRefused, parse
from app.context.bare import environment
from app.context.mirrors import MirrorUnavailable
from app.context.models import Service
from app.context.reachable import addresses_of, is_of_this_machine, pinned
from app.context.repos import Repos
from app.storage.engine import create_engine
from tests.context.origin import Origin, smart_http


def at(url: str, *found: str, local_too: bool = False) -> str | None:
    address = replace(parse(url), others=True, local_too=local_too)
    return pinned(address, resolve=lambda name: found or addresses_of(name))


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/acme/x",  # the same address as one number, and in hexadecimal
        "http://0xA9FEA9FE/acme/x",
        "http://[fe80::1]/acme/x",
        "http://[::ffff:169.254.169.254]/acme/x",
        "http://[64:ff9b::a9fe:a9fe]/acme/x",
        "http://[2002:a9fe:a9fe::1]/acme/x",
        "http://[fd00:ec2::254]/acme/x",
        "http://100.100.100.200/acme/x",
        "http://168.63.129.16/acme/x",
        "http://0.0.0.0/acme/x",
        "http://224.0.0.1/acme/x",
        "ssh://git@169.254.169.254/acme/x",
        "git@169.254.169.254:acme/x.git",
        "git://169.254.169.254/acme/x",
    ],
)
@pytest.mark.parametrize("local_too", [False, True])
def test_metadata_and_single_links_are_refused(url: str, *, local_too: bool) -> None:
    with pytest.raises(AddressRefused, match="metadata"):
        at(url, local_too=local_too)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8081/x/y", "https://[::1]/x/y", "ssh://git@127.8.8.8/x/y"])
def test_this_machine_is_for_a_catalog_of_this_machine(url: str) -> None:
    with pytest.raises(AddressRefused, match="this machine"):
        at(url)
    at(url, local_too=True)


@pytest.mark.parametrize("bad", ["169.254.169.254", "127.0.0.1", "fe80::1"])
def test_a_name_is_refused_for_any_address_it_has(bad: str) -> None:
    with pytest.raises(AddressRefused):
        at("https://git.evil.example/acme/x", "203.0.113.7", bad)


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("/srv/git/blueprints", True),
        ("file:///srv/git/blueprints", True),
        ("http://127.0.0.1:3000/acme/blueprints", True),
        ("http://localhost:3000/acme/blueprints", True),
        ("http://[::1]:3000/acme/blueprints", True),
        ("https://git.example.org/acme/blueprints", False),
        ("https://localhost.example.org/acme/blueprints", False),
        ("http://10.0.0.7/acme/blueprints", False),
    ],
)
def test_blueprints_of_this_machine_may_name_repos_of_it(url: str, *, here: bool) -> None:
    assert is_of_this_machine(parse(url)) is here


def test_git_goes_to_the_address_that_was_looked_at() -> None:
    """And asks no name server again, which might say something else by then."""
    assert at("https://git.acme.io/acme/x", "10.1.2.3") == "git.acme.io:443:10.1.2.3"
    assert at("http://git.acme.io:8080/acme/x", "10.1.2.3", "fd12::1") == "git.acme.io:8080:10.1.2.3,fd12::1"
    assert at("ssh://git@git.acme.io/acme/x", "10.1.2.3") is None
    address = replace(parse("https://git.acme.io/acme/x"), others=True)
    told = environment(address, "git.acme.io:443:10.1.2.3")
    values = {
        told[f"GIT_CONFIG_KEY_{n}"]: told[f"GIT_CONFIG_VALUE_{n}"]
        for n in range(int(told["GIT_CONFIG_COUNT"]))
    }
    assert values["http.curloptResolve"] == "git.acme.io:443:10.1.2.3"
    assert values["http.followRedirects"] == "false"


def test_a_name_that_is_not_known_is_left_to_git() -> None:
    assert pinned(replace(parse("https://nowhere.invalid/a/b"), others=True), resolve=lambda _: ()) is None


def test_behind_a_proxy_names_are_its_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.acme.io:3128")
    assert at("https://git.acme.io/acme/x", "10.1.2.3") is None
    with pytest.raises(AddressRefused):
        at("https://169.254.169.254/acme/x")


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url)
    yield engine
    await engine.dispose()


def repos(tmp_path: Path, engine: AsyncEngine, *, local_too: bool) -> Repos:
    return Repos(tmp_path / "mirrors", engine, github_api_url="http://elsewhere.invalid", local_too=local_too)


async def test_a_catalog_from_afar_sends_no_request_to_this_machine(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    Origin(tmp_path / "git" / "acme" / "checkout").commit({"README.md": "# Checkout\n"})
    with smart_http(tmp_path / "git") as server:
        named = Service(name="checkout", repo=f"{server.url}/acme/checkout")
        with pytest.raises(MirrorUnavailable, match="must not lead to this machine"):
            await repos(tmp_path, engine, local_too=False).readme(named)
        assert server.requests == []
        assert (await repos(tmp_path, engine, local_too=True).readme(named)).text == "# Checkout\n"


async def test_a_repo_that_is_named_leads_nowhere_else(tmp_path: Path, engine: AsyncEngine) -> None:
    with smart_http(tmp_path / "git") as server, smart_http(tmp_path / "git") as other:
        server.moved_to = other.url
        with pytest.raises(MirrorUnavailable, match="301"):
            await repos(tmp_path, engine, local_too=True).readme(
                Service(name="checkout", repo=f"{server.url}/acme/checkout")
            )
        assert other.requests == []
