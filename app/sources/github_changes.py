"""Commits and pull requests of a repo: between two revisions, or of a span of time.

Reads GitHub's REST API through the same door as every monitored system (docs.github.com/en/rest/commits and
/en/rest/pulls), so it cannot write, whatever the token may do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from app.settings import Endpoint
from app.signals.models import COMMIT, Change
from app.sources.failures import UNFAMILIAR, QueryRejected, SourceFailed
from app.sources.http import ReadOnlyHttp
from app.sources.parts import Part, moment, part, parts, stamp, told

ALLOWED = (
    "/repos/*/*/compare/*",
    "/repos/*/*/commits",
    "/repos/*/*/commits/*",
    "/repos/*/*/pulls",
)
MOST_COMMITS = 100
MOST_PULLS = 100
MOST_FILES = 60
LONGEST_PATCH = 2000
SLUG = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
"""A commit, a tag or a branch without slashes; `..` would end one early."""
MERGED = re.compile(r"\AMerge pull request #(\d+)|\(#(\d+)\)\s*\Z")
API_VERSION = "2022-11-28"


@dataclass(frozen=True)
class Compared:
    """What came between two revisions: commits oldest first, the files they touch, and where to see it."""

    changes: tuple[Change, ...]
    files: tuple[str, ...]
    total: int
    link: str | None


class GitHubChanges:
    """Reads repositories of one GitHub, named `owner/name`."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeout_seconds: float = 15,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.http = ReadOnlyHttp(
            endpoint,
            ALLOWED,
            source="github",
            timeout_seconds=timeout_seconds,
            headers={"X-GitHub-Api-Version": API_VERSION, "User-Agent": "sre-agent"},
            clock=clock,
        )

        self.api_url = endpoint.url

    async def aclose(self) -> None:
        await self.http.aclose()

    async def between(self, repo: str, base: str, head: str) -> tuple[Change, ...]:
        """The commits after `base` up to `head`, oldest first, as pull requests where they came by one.

        Raises:
            QueryRejected: a name or a revision is none.
            SourceFailed: as `ReadOnlyHttp.json`; `NotThere` for a revision or repo GitHub does not know.
        """
        return (await self.compared(repo, base, head)).changes

    async def compared(self, repo: str, base: str, head: str) -> Compared:
        """As `between`, with the files and the page of the comparison."""
        for revision in (base, head):
            if not REVISION.fullmatch(revision) or ".." in revision:
                raise QueryRejected("github", f"cannot compare {revision[:100]!r}: it is no commit or tag.")
        path = f"/repos/{_slug(repo)}/compare/{base}...{head}"
        answer = await self.http.json(path, {"per_page": MOST_COMMITS})
        if not isinstance(answer, Mapping) or not isinstance(answer.get("commits"), list):
            raise SourceFailed("github", UNFAMILIAR)
        files = parts(answer, "files")
        names = tuple(told(each, "filename") for each in files[:MOST_FILES])
        diff = _diff(files) if len(answer["commits"]) == 1 else None
        pulls = await self._pulls(repo)
        return Compared(
            changes=_changes(answer["commits"], pulls, names, diff),
            files=names,
            total=int(answer.get("total_commits") or len(answer["commits"])),
            link=told(answer, "html_url", 1000) or None,
        )

    async def recent(self, repo: str, start: float, end: float) -> tuple[Change, ...]:
        """The commits of the default branch between two times (seconds since the epoch), oldest first.

        Raises:
            QueryRejected: the name is none.
            SourceFailed: as `ReadOnlyHttp.json`.
        """
        answer = await self.http.json(
            f"/repos/{_slug(repo)}/commits",
            {"since": stamp(start), "until": stamp(end), "per_page": MOST_COMMITS},
        )
        if not isinstance(answer, list):
            raise SourceFailed("github", UNFAMILIAR)
        return _changes(reversed(answer), await self._pulls(repo) if answer else {})

    async def touched(self, repo: str, commit: str) -> tuple[tuple[str, ...], str | None]:
        """The files a commit touches, and its diff where GitHub gives one.

        Raises:
            QueryRejected: the name is none, or the commit is none.
            SourceFailed: as `ReadOnlyHttp.json`.
        """
        if not COMMIT.fullmatch(commit):
            raise QueryRejected("github", f"has no commit {commit[:100]!r}.")
        answer = await self.http.json(f"/repos/{_slug(repo)}/commits/{commit}")
        if not isinstance(answer, Mapping):
            raise SourceFailed("github", UNFAMILIAR)
        files = parts(answer, "files")
        return tuple(told(each, "filename") for each in files[:MOST_FILES]), _diff(files)

    async def _pulls(self, repo: str) -> dict[str, Part]:
        """Pull requests closed lately, by the commit that merged them; none when GitHub cannot tell."""
        try:
            answer = await self.http.json(
                f"/repos/{_slug(repo)}/pulls",
                {"state": "closed", "sort": "updated", "direction": "desc", "per_page": MOST_PULLS},
            )
        except SourceFailed:
            # A token that may read code alone still tells the commits.
            return {}
        pulls = parts({"pulls": answer}, "pulls")
        return {told(each, "merge_commit_sha"): each for each in pulls if each.get("merged_at")}


def _slug(repo: str) -> str:
    if not SLUG.fullmatch(repo):
        raise QueryRejected("github", f"has no repository {repo[:100]!r}; its name is owner/name.")
    return repo


def _changes(
    commits: Iterable[Any],
    pulls: Mapping[str, Part],
    files: tuple[str, ...] = (),
    diff: str | None = None,
) -> tuple[Change, ...]:
    found = [change for each in commits if (change := _change(each, pulls)) is not None]
    # The files of a comparison are those of all its commits together.
    return (replace(found[0], files=files, diff=diff),) if len(found) == 1 else tuple(found)


def _change(commit: Any, pulls: Mapping[str, Part]) -> Change | None:
    sha, body = told(commit, "sha"), part(commit, "commit")
    at = moment(part(body, "committer").get("date"))
    if not sha or at is None:
        return None
    pull = pulls.get(sha)
    return Change(
        kind="commit",
        id=sha,
        at=at,
        title=_title(str(body.get("message") or "").strip(), pull),
        author=_author(commit, body, pull),
        link=told(pull or commit, "html_url", 1000) or None,
        commits=(sha,),
        source="github",
    )


def _title(message: str, pull: Part | None) -> str:
    """A pull request's own title says more than “Merge pull request #7 from …”."""
    first, _, rest = message.partition("\n")
    match = MERGED.search(first)
    number = told(pull, "number") or (match and (match[1] or match[2]))
    if first.startswith("Merge pull request") and rest.strip():
        first = rest.strip().split("\n")[0]
    words = re.sub(r"\s*\(#\d+\)\s*\Z", "", told(pull, "title") or first)[:200]
    return f"#{number} {words}" if number else words


def _author(commit: Any, body: Part, pull: Part | None) -> str | None:
    """The login, which is no personal data, before the name that git wrote."""
    people = (part(pull, "user"), part(commit, "author"))
    return (
        next(filter(None, (told(each, "login") for each in people)), told(part(body, "author"), "name"))
        or None
    )


def _diff(files: Iterable[Part]) -> str | None:
    patches = [f"--- {told(each, 'filename')}\n{each['patch']}" for each in files if each.get("patch")]
    return "\n".join(patches)[:LONGEST_PATCH] or None
