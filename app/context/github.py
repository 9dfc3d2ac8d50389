"""Files and READMEs through GitHub's REST API: asked conditionally, cached by ETag, never waited for long."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote
from weakref import WeakValueDictionary

import structlog
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from app.context import http_cache
from app.context.http_cache import Cached
from app.errors import AgentError
from app.storage.engine import begin

log = structlog.get_logger(__name__)

FRESH = timedelta(seconds=60)
"""How long an answer is taken as it is; after that GitHub is asked whether it changed."""
NOTHING_THERE = timedelta(minutes=10)
"""How long a 404 is believed."""
TIMEOUT_SECONDS = 10
RETRIES = 2
LONGEST_WAIT_SECONDS = 5
"""Of a rate limit; anything longer is answered from the cache instead."""


class GitHubUnavailable(AgentError):
    """GitHub did not answer, and nothing is cached."""

    code = "github_unavailable"
    status = 503


class LinkRefused(AgentError):
    """GitHub follows symbolic links, which would lead around the rules for paths."""

    code = "link_refused"
    status = 403


@dataclass(frozen=True)
class GitHubFile:
    """A text file as GitHub has it; `revision` is its blob id, `notice` says when this is an older copy."""

    path: str
    text: str
    url: str | None
    revision: str | None
    notice: str | None = None


@dataclass(frozen=True)
class GitHubFolder:
    """The paths in a folder; those of folders end with a slash."""

    paths: tuple[str, ...]
    notice: str | None = None


@dataclass(frozen=True)
class Answered:
    """What one request came to; `etag` is what to ask with the next time."""

    status: int
    etag: str | None
    body: str


class GitHub:
    """A reader of one GitHub (`api_url`), for files of repositories named `owner/name`."""

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        api_url: str = "https://api.github.com",
        token: SecretStr | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._api_url = api_url.rstrip("/")
        self._token = token
        self._clock = clock
        self._asking: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def readme(self, slug: str) -> GitHubFile | None:
        """The README that GitHub shows for a repo; None when it has none.

        Raises:
            GitHubUnavailable: GitHub does not answer and there is no earlier copy.
            LinkRefused: the README is a symbolic link.
        """
        found = await self._look(f"/repos/{quote(slug)}/readme")
        return found if isinstance(found, GitHubFile) else None

    async def look(self, slug: str, path: str) -> GitHubFile | GitHubFolder | None:
        """A file or a folder ("" for the top) of the default branch; None when there is nothing of that name,
        or no text.

        Raises:
            GitHubUnavailable: GitHub does not answer and there is no earlier copy.
            LinkRefused: the path is that of a symbolic link.
        """
        return await self._look(f"/repos/{quote(slug)}/contents/{quote(path)}".rstrip("/"))

    async def wake(self, slug: str) -> None:
        """A repo changed: its files are asked for again, by every replica."""
        async with begin(self._engine) as connection:
            prefix = f"{self._api_url}/repos/{quote(slug)}/"
            await http_cache.expire(connection, prefix, self._clock() - FRESH)

    async def _look(self, resource: str) -> GitHubFile | GitHubFolder | None:
        key = f"{self._api_url}{resource}"
        # Two questions at once about one file are one request.
        asking = self._asking.setdefault(key, asyncio.Lock())
        async with asking:
            body, notice = await self._newest(key, resource)
        return read_answer(body, notice)

    async def _newest(self, key: str, resource: str) -> tuple[str, str | None]:
        """The body of a resource, "" when there is none, and a word when it is an older copy."""
        async with begin(self._engine) as connection:
            cached = await http_cache.find(connection, key)
        now = self._clock()
        if cached and now - cached.fetched_at < (FRESH if cached.body else NOTHING_THERE):
            return cached.body, None
        try:
            answered = await asyncio.to_thread(self._ask, resource, cached.etag if cached else None)
            fresh = take(answered, cached, now)
        except GitHubUnavailable as error:
            if cached is None:
                raise
            log.warning("github_away", resource=resource, reason=error.sentence)
            copy = f"this is the copy of {cached.fetched_at:%Y-%m-%d %H:%M} UTC"
            return cached.body, f"{error.sentence} For {resource.split('/')[3]} {copy}."
        async with begin(self._engine) as connection:
            await http_cache.keep(connection, key, fresh)
        return fresh.body, None

    def _ask(self, resource: str, etag: str | None) -> Answered:
        """One conditional request, in a thread.

        Raises:
            GitHubUnavailable: with the reason in words.
        """
        # Loading it takes 30 MB and most of a second, which a deployment without GitHub should not pay.
        import github  # noqa: PLC0415
        import requests  # noqa: PLC0415

        client = github.Github(
            auth=github.Auth.Token(self._token.get_secret_value()) if self._token else None,
            base_url=self._api_url,
            timeout=TIMEOUT_SECONDS,
            retry=github.GithubRetry(
                total=RETRIES, max_rate_limit_wait=LONGEST_WAIT_SECONDS, backoff_factor=0.2
            ),
            seconds_between_requests=0,
        )
        try:
            status, headers, body = client.requester.requestJson(
                "GET", resource, headers={"If-None-Match": etag} if etag else None
            )
        except github.GithubException as error:
            raise GitHubUnavailable("GitHub has limited our requests.") from error
        except requests.RequestException as error:
            raise GitHubUnavailable("GitHub could not be reached.") from error
        finally:
            client.close()
        return Answered(status, headers.get("etag"), body or "")


def take(answered: Answered, cached: Cached | None, now: datetime) -> Cached:
    """What an answer leaves in the cache.

    Raises:
        GitHubUnavailable: for every answer but the file, its absence, or that it has not changed.
    """
    if answered.status == 304 and cached:
        return Cached(cached.etag, cached.body, now)
    if answered.status == 200:
        return Cached(answered.etag, answered.body, now)
    if answered.status == 404:
        return Cached(None, "", now)
    if answered.status == 401:
        raise GitHubUnavailable("GitHub refused the token; GITHUB_TOKEN must be one that may read.")
    if answered.status in (403, 429):
        raise GitHubUnavailable("GitHub refused to answer, by its limits or by the token's rights.")
    raise GitHubUnavailable(f"GitHub answered {answered.status}.")


def read_answer(body: str, notice: str | None) -> GitHubFile | GitHubFolder | None:
    """The file or folder in an answer; None for what is neither, or no text.

    GitHub leaves the content of files above 1 MB out (`encoding` is then `none`).

    Raises:
        LinkRefused: it is a symbolic link.
    """
    try:
        answer: Any = json.loads(body or "null")
        if isinstance(answer, list):
            entries = (each for each in answer if each["type"] != "symlink")
            names = (f"{each['path']}/" if each["type"] == "dir" else each["path"] for each in entries)
            return GitHubFolder(tuple(names), notice)
        if not isinstance(answer, dict):
            return None
        if answer.get("type") == "symlink":
            raise link_refused(answer)
        if answer.get("encoding") != "base64":
            return None
        content = base64.b64decode(answer["content"])
        if not is_blob(content, str(answer.get("sha"))):
            raise link_refused(answer)
        text = content.decode("utf-8")
        revision = str(answer.get("sha") or "")[:12] or None
        return GitHubFile(str(answer["path"]), text, answer.get("html_url"), revision, notice)
    except (ValueError, KeyError, TypeError):
        return None


def is_blob(content: bytes, object_id: str) -> bool:
    """Whether a content is that of an object of git.

    Of a link to a file GitHub answers the target's content as a file of the link's path; what gives it away
    is the id, which stays that of the link.
    """
    kind = "sha256" if len(object_id) == 64 else "sha1"
    return hashlib.new(kind, b"blob %d\0" % len(content) + content).hexdigest() == object_id


def link_refused(answer: dict[str, Any]) -> LinkRefused:
    return LinkRefused(f"{answer['path']} is a symbolic link, and links are not followed; read its target.")
