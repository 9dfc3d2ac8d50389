"""All that the writing client of GitHub may ask: in one repository, branches of ours, commits, pull requests.

Each request is held against this list where it leaves the program, whichever function made it, redirects
included; what is not on it is not sent. The rights of the token do not widen it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from app.delivery.models import WriteRefused
from app.sources.allowed import Unacceptable, normalised

PREFIX = "sre-agent/"
"""Of every branch of ours."""
SLUG = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
BRANCH = re.compile(r"sre-agent/[A-Za-z0-9][A-Za-z0-9._-]{0,120}", re.ASCII)
FILE = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9_-][A-Za-z0-9._-]*", re.ASCII)
"""No hidden files and folders: `.github` holds what runs."""


@dataclass(frozen=True)
class Writes:
    """What may be asked of the GitHub at `api_url` about the repository `slug`."""

    api_url: str
    slug: str

    def __post_init__(self) -> None:
        if not SLUG.fullmatch(self.slug):
            raise WriteRefused(f"{self.slug} is no repository on GitHub.")

    def check(self, host: str, method: str, url: str, body: Any) -> None:
        """`url` is the path with its query, `body` what is sent, both as they go out.

        Raises:
            WriteRefused: the request is not on the list.
        """
        api = urlsplit(self.api_url)
        path, _, query = url.partition("?")
        top = f"{api.path.rstrip('/')}/repos/{self.slug}"
        # Only its plain form may be sent, or a server could read another path than was checked.
        if host != api.hostname or not _is_plain(path) or not (path == top or path.startswith(f"{top}/")):
            raise self._refused(method, path)
        if not self._is_listed(method, path[len(top) :], dict(parse_qsl(query)), _read(body)):
            raise self._refused(method, path)

    def _is_listed(
        self, method: str, path: str, query: Mapping[str, str], body: Mapping[str, Any] | None
    ) -> bool:
        if method == "GET":
            return body is None and (
                path in ("", "/pulls") or path.startswith(("/git/ref/heads/", "/contents/"))
            )
        if query or body is None:
            return False
        if (method, path) == ("POST", "/git/refs"):
            top, _, branch = str(body.get("ref")).partition("refs/heads/")
            return _has(body, "ref", "sha") and not top and _is_ours(branch)
        if (method, path) == ("POST", "/pulls"):
            return (
                _has(body, "title", "body", "head", "base")
                and _is_ours(body.get("head"))
                and not str(body.get("base")).startswith(PREFIX)
            )
        if method == "PUT" and path.startswith("/contents/"):
            return (
                FILE.fullmatch(path.removeprefix("/contents/")) is not None
                and _has(body, "message", "content", "branch", "sha")
                and _is_ours(body.get("branch"))
            )
        return False

    def _refused(self, method: str, path: str) -> WriteRefused:
        return WriteRefused(
            f"{method} {path[:200]} is nothing that I may ask GitHub; in {self.slug} I only make branches "
            f"{PREFIX}…, commits on them and pull requests. Nothing was sent."
        )


def _is_plain(path: str) -> bool:
    try:
        return normalised(path) == path
    except Unacceptable:
        return False


def _read(body: Any) -> Mapping[str, Any] | None:
    """The object that is sent; an empty one, which nothing on the list is, for whatever else is sent."""
    if body is None:
        return None
    try:
        read = json.loads(body)
    except (TypeError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}


def _has(body: Mapping[str, Any], *names: str) -> bool:
    return body.keys() <= set(names)


def _is_ours(branch: Any) -> bool:
    return isinstance(branch, str) and BRANCH.fullmatch(branch) is not None and ".." not in branch
