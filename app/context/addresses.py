"""Addresses of git repositories: how git reaches one, how a person opens it, and who may see which token."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pydantic import SecretStr

SCP_LIKE = re.compile(r"^(?P<user>[\w.-]+)@(?P<host>[\w.-]+):(?!//)(?P<path>.+)$")
SLUG = re.compile(r"^[\w.-]+/[\w.-]+$")
BLOBS = {"github": "blob", "gitlab": "-/blob", "bitbucket": "src", "gitea": "src/commit"}
"""What stands between repo and revision in the address of a file, by a word of the host's name; without one
of them `owner/name` over HTTP is taken for GitHub's shape: most hosts under a company's own name have it."""


@dataclass(frozen=True)
class Address:
    """A repository: `url` for git, never with credentials in it; `authorization` is sent to its host alone.

    `site` is the host with its port, lower case ("" for a local path), `name` the last part of the path.
    """

    url: str
    site: str = ""
    path: str = ""
    authorization: SecretStr | None = None

    @property
    def name(self) -> str:
        return (self.path or self.url).rstrip("/").rsplit("/", 1)[-1].removesuffix(".git") or "git"

    @property
    def slug(self) -> str:
        """`owner/name`, and deeper groups where a host has them."""
        return self.path.strip("/").removesuffix(".git")

    @property
    def origin(self) -> str | None:
        """Scheme and host of an HTTP address, `https://git.acme.io/`; None for other ways to reach it."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}/" if parts.scheme in ("http", "https") else None

    def page_at(self, revision: str) -> str | None:
        """The address a person opens for the files at a revision; None when the host has no such pages."""
        unnamed = "blob" if self.origin and self.slug.count("/") == 1 else None
        blob = next((BLOBS[word] for word in BLOBS if word in self.site), unnamed)
        return f"{self.origin or f'https://{self.site}/'}{self.slug}/{blob}/{revision}" if blob else None

    def is_on(self, github_api_url: str) -> bool:
        """Whether this is a repository of the GitHub that answers at `github_api_url`."""
        return self.origin is not None and self.site == github_site(github_api_url)

    def with_token(self, token: SecretStr | None, github_api_url: str) -> Address:
        """The address with a token of that GitHub; unchanged where the token does not belong, where it would
        travel less protected than to the API, and where the address brought credentials of its own."""
        if token is None or self.authorization is not None or not self.is_on(github_api_url):
            return self
        if urlsplit(self.url).scheme == "http" and urlsplit(github_api_url).scheme != "http":
            return self
        return replace(self, authorization=basic("x-access-token", token.get_secret_value()))


def parse(url: str) -> Address:
    """Take an address apart; credentials in it are moved to where they do not show."""
    if found := SCP_LIKE.match(url):
        return Address(url, found["host"].lower(), found["path"])
    try:
        parts = urlsplit(url)
        site = site_of(parts)
    except ValueError:
        return Address(url)
    if parts.scheme not in ("http", "https", "ssh", "git"):
        return Address(url, path=parts.path)
    if parts.scheme in ("ssh", "git"):
        return Address(url, parts.hostname or "", parts.path)
    authorization = None
    if parts.username or parts.password:
        authorization = basic(unquote(parts.username or ""), unquote(parts.password or ""))
    return Address(urlunsplit((parts.scheme, site, parts.path, "", "")), site, parts.path, authorization)


def basic(user: str, password: str) -> SecretStr:
    """The value of an Authorization header."""
    return SecretStr("Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


def of_service(repo: str, github_api_url: str) -> Address:
    """The address that a catalog's `repo` means; `acme/checkout` is a repository of the configured GitHub."""
    if SLUG.match(repo):
        scheme = urlsplit(github_api_url).scheme or "https"
        return parse(f"{scheme}://{github_site(github_api_url)}/{repo}")
    return parse(repo)


def github_site(github_api_url: str) -> str:
    """The host people open for an API: the API's own, but for GitHub's cloud, where it is `api.` and that.

    https://docs.github.com/en/enterprise-cloud@latest/admin/data-residency
    """
    site = site_of(urlsplit(github_api_url))
    return site.removeprefix("api.") if site.endswith((".github.com", ".ghe.com")) else site


def site_of(parts: SplitResult) -> str:
    """The host, with its port unless that is the usual one of the scheme."""
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    return f"{host}:{parts.port}" if parts.port not in (None, usual) else host
