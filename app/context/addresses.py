"""Addresses of git repositories: how git reaches one, how a person opens it, and who may see which token."""

from __future__ import annotations

import base64
import re
import unicodedata
from dataclasses import dataclass, replace
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from pydantic import SecretStr

from app.errors import AgentError

SCP_LIKE = re.compile(r"(?P<user>\w[\w.-]*)@(?P<host>\w[\w.-]*):(?!//)(?P<path>[^-].*)")
SLUG = re.compile(r"[\w.][\w.-]*/[\w.][\w.-]*")
SCHEMES = ("http", "https", "ssh", "git", "file")
BLOBS = {"github": "blob", "gitlab": "-/blob", "bitbucket": "src", "gitea": "src/commit"}
"""What stands between repo and revision in the address of a file, by a word of the host's name; without one
of them `owner/name` over HTTP is taken for GitHub's shape: most hosts under a company's own name have it."""


class AddressRefused(AgentError):
    """What should be the address of a repository is none that git may be given."""

    code = "address_refused"

    def __init__(self, why: str) -> None:
        super().__init__(
            f"The address of a git repository {why}; https://github.com/acme/checkout would be one."
        )


@dataclass(frozen=True)
class Address:
    """A repository: `url` for git, never with credentials in it; `authorization` is sent to its host alone.

    `site` is the host with its port, lower case ("" for a local path), `name` the last part of the path. One
    of `others` is named by people who do not run this program: where it leads is looked at before git goes
    there, and must not be this machine unless `local_too`.
    """

    url: str
    site: str = ""
    path: str = ""
    authorization: SecretStr | None = None
    others: bool = False
    local_too: bool = False

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
    """Take an address apart; credentials in it are moved to where they do not show.

    Raises:
        AddressRefused: for options, other transports of git, relative paths, and whatever else is none.
    """
    refuse_tricks(url)
    if found := SCP_LIKE.fullmatch(url):
        return Address(url, found["host"].lower(), found["path"])
    if url.startswith("/"):
        return Address(url, path=url)
    try:
        parts = urlsplit(url)
        site = site_of(parts)
    except ValueError as error:
        raise AddressRefused("must have a host and a port that can be") from error
    if parts.scheme not in SCHEMES or f"{parts.scheme}://" != url[: len(parts.scheme) + 3].lower():
        raise AddressRefused(f"must begin with {', '.join(SCHEMES)} and ://, or be like git@host:acme/x.git")
    if parts.scheme == "file":
        return Address(url, path=parts.path)
    if not site[:1].isalnum() and not site.startswith("["):
        raise AddressRefused("must name a host")
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
    """The address that a catalog's `repo` means; `acme/checkout` is a repository of the configured GitHub.

    Raises:
        AddressRefused: for what is no address, for local paths, and for what is on GitHub but no repository.
    """
    if SLUG.fullmatch(repo):
        scheme = urlsplit(github_api_url).scheme or "https"
        address = parse(f"{scheme}://{github_site(github_api_url)}/{repo}")
    else:
        address = parse(repo)
    if repo.startswith("/"):
        raise AddressRefused("must name a host, or be owner/name on GitHub")
    if address.is_on(github_api_url) and not SLUG.fullmatch(address.slug):
        raise AddressRefused("must be that of the whole repository, owner/name, when it is on GitHub")
    return address


def refuse_tricks(url: str) -> None:
    """Refuse what git or a web server could take for something else than a name."""
    plain = unquote(re.sub(r"//[^/@]*@", "//", url))
    hidden = any(unicodedata.category(each) in ("Cc", "Cf", "Cs", "Zl", "Zp") for each in plain)
    if hidden or (not url.startswith("/") and any(each.isspace() for each in url)):
        raise AddressRefused("must be without spaces and control characters")
    if {".", ".."} & set(re.split(r"[/:\\]", plain)):
        raise AddressRefused("must be without . and .. in its path")


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
