"""How repositories are addressed, and who may see which token."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from app.context.addresses import AddressRefused, github_site, of_service, parse


@pytest.mark.parametrize(
    ("url", "page"),
    [
        ("https://github.com/acme/blueprints.git", "https://github.com/acme/blueprints/blob/abc"),
        ("https://github.com/acme/blueprints", "https://github.com/acme/blueprints/blob/abc"),
        ("https://github.com/acme/blueprints/", "https://github.com/acme/blueprints/blob/abc"),
        ("git@github.com:acme/blueprints.git", "https://github.com/acme/blueprints/blob/abc"),
        ("ssh://git@github.com/acme/blueprints.git", "https://github.com/acme/blueprints/blob/abc"),
        ("https://github.acme.io:8443/a/b", "https://github.acme.io:8443/a/b/blob/abc"),
        ("https://gitlab.com/acme/sre/blueprints.git", "https://gitlab.com/acme/sre/blueprints/-/blob/abc"),
        ("https://token:x@github.com/acme/blueprints.git", "https://github.com/acme/blueprints/blob/abc"),
        ("https://git.acme.io/sre/blueprints.git", "https://git.acme.io/sre/blueprints/blob/abc"),
        ("http://localhost:3838/acme/blueprints.git", "http://localhost:3838/acme/blueprints/blob/abc"),
        ("git@git.acme.io:sre/blueprints.git", None),
        ("https://git.acme.io/blueprints.git", None),
        ("file:///srv/git/blueprints", None),
        ("/srv/git/blueprints", None),
    ],
)
def test_the_page_of_a_file_is_known_for_forges(url: str, page: str | None) -> None:
    assert parse(url).page_at("abc") == page


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:pw1@git.acme.io/x.git",
        "https://pw1@git.acme.io/x.git",
        "https://ada:pw1%20%2F..%2F@git.acme.io/x.git",
    ],
)
def test_credentials_leave_the_address(url: str) -> None:
    address = parse(url)
    assert address.url == "https://git.acme.io/x.git"
    assert address.authorization is not None
    assert "pw1" not in repr(address)


@pytest.mark.parametrize(
    ("url", "api", "sent"),
    [
        ("https://github.com/acme/x", "https://api.github.com", True),
        ("https://GitHub.com:443/acme/x", "https://api.github.com/", True),
        ("https://github.acme.io/acme/x", "https://github.acme.io/api/v3", True),
        ("https://acme.ghe.com/acme/x", "https://api.acme.ghe.com", True),
        ("http://localhost:8080/acme/x", "http://localhost:8080/api/v3", True),
        ("https://gitlab.com/acme/x", "https://api.github.com", False),
        ("https://github.com.evil.io/acme/x", "https://api.github.com", False),
        ("https://github.com@evil.io/acme/x", "https://api.github.com", False),
        ("https://evil.io/github.com/x", "https://api.github.com", False),
        ("https://github.com:8443/acme/x", "https://api.github.com", False),
        ("https://github.com/acme/x", "https://github.acme.io/api/v3", False),
        ("https://acme.io/acme/x", "https://api.acme.io", False),
        ("http://github.com/acme/x", "https://api.github.com", False),
        ("git@github.com:acme/x.git", "https://api.github.com", False),
        ("file:///srv/git/x", "https://api.github.com", False),
    ],
)
def test_a_token_goes_to_the_host_of_its_api_alone(url: str, api: str, *, sent: bool) -> None:
    alone, given = parse(url), parse(url).with_token(SecretStr("t0ken"), api)
    assert (given.authorization != alone.authorization) == sent


def test_credentials_in_the_address_come_before_the_token() -> None:
    address = parse("https://ada:pw1@github.com/acme/x")
    assert address.with_token(SecretStr("t0ken"), "https://api.github.com") == address


@pytest.mark.parametrize(
    ("repo", "api", "url"),
    [
        ("acme/checkout", "https://api.github.com", "https://github.com/acme/checkout"),
        ("acme/checkout", "https://github.acme.io/api/v3", "https://github.acme.io/acme/checkout"),
        ("https://gitlab.com/a/b", "https://api.github.com", "https://gitlab.com/a/b"),
        ("git@github.com:a/b.git", "https://api.github.com", "git@github.com:a/b.git"),
    ],
)
def test_the_repo_of_a_service_is_understood(repo: str, api: str, url: str) -> None:
    assert of_service(repo, api).url == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "../user",
        "./x",
        "x",
        "--upload-pack=touch /tmp/x",
        "--upload-pack=true",
        "-x",
        "ext::sh -c id",
        "ext::id",
        "fd::17",
        "https::https://github.com/acme/x",
        "ftp://github.com/acme/x",
        "javascript://github.com/acme/x",
        "ssh://-oProxyCommand=id/acme/x",
        "git@-oProxyCommand=id:acme/x",
        "-git@github.com:acme/x",
        "git@github.com:-x",
        "git@github.com:../x",
        "https://github.com/acme/../x",
        "https://github.com/acme/%2e%2e/x",
        "https://github.com/../user",
        "https://github.com/acme/./x",
        "https:///acme/x",
        "https://github.com:port/acme/x",
        "https://github.com/acme/x y",
        "https://github.com/acme/x\n",
        "https://github.com/acme/\u202ex",
        "https://github.com/acme/%0a",
        "file:///srv/../etc",
        "/srv/../etc",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(AddressRefused, match="address of a git repository"):
        parse(url)
    with pytest.raises(AddressRefused, match="address of a git repository"):
        of_service(url, "https://api.github.com")


@pytest.mark.parametrize(
    "repo",
    [
        "owner/..",
        "../user",
        "./x",
        "owner/.",
        "-o/x",
        "owner/-x",
        "acme/x\n",
        "acme/.git",
        "/srv/git/x",
        "https://github.com/acme",
        "https://github.com/acme/mono/tree/main/x",
    ],
)
def test_a_service_cannot_name_what_is_no_repo(repo: str) -> None:
    with pytest.raises(AddressRefused):
        of_service(repo, "https://api.github.com")


@pytest.mark.parametrize("url", ["/home/ada/my repos/x", "file:///home/ada/my%20repos/x"])
def test_a_folder_with_a_space_in_its_name_is_an_address(url: str) -> None:
    assert parse(url).name == "x"


def test_a_refusal_does_not_repeat_credentials() -> None:
    with pytest.raises(AddressRefused) as refused:
        parse("https://ada:pw1@git.acme.io/../x")
    assert "pw1" not in str(refused.value)


@pytest.mark.parametrize(
    ("api", "site"),
    [
        ("https://api.github.com", "github.com"),
        ("https://github.acme.io/api/v3", "github.acme.io"),
        ("http://localhost:8080", "localhost:8080"),
        ("https://api.github.com:443", "github.com"),
        ("https://api.acme.ghe.com", "acme.ghe.com"),
        ("https://api.acme.io/v3", "api.acme.io"),
    ],
)
def test_the_site_of_an_api_is_what_people_open(api: str, site: str) -> None:
    assert github_site(api) == site
