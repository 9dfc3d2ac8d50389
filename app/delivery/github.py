"""A pull request for what a conversation made: a branch of ours, a commit a file, the request; never more.

Each step finds out whether it was done already, so that whoever goes on after a crash opens no second one.
https://docs.github.com/en/rest/git/refs, /en/rest/repos/contents, /en/rest/pulls/pulls.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from app.context.github import is_blob
from app.delivery.models import Delivered, DeliveryFailed, File, Parcel, Plan, listed
from app.delivery.writes import PREFIX, Writes

if TYPE_CHECKING:
    from github.Requester import Requester

TIMEOUT_SECONDS = 15
MOST_BRANCHES = 20
"""Branches of one name: that many requests of one file in one thread can have been closed before."""
LONGEST_TITLE = 120
LONGEST_NAME = 60
NEVER_PINGS = re.compile(r"[^\w .,:;()'’&+%-]+|(?<=\bgh)-(?=\d)", re.IGNORECASE)
"""What a title may not have: in people's words @, #, GH-1 and addresses do things on GitHub."""


@dataclass(frozen=True)
class PullRequests:
    """Pull requests to one repository, `owner/name`; `mask` takes secrets out of what is written around the
    files, whose content is masked already."""

    api_url: str
    slug: str
    token: SecretStr
    mask: Callable[[str], str]

    async def plan(self, parcel: Parcel) -> Plan:
        return await asyncio.to_thread(self._plan, parcel)

    async def carry_out(self, parcel: Parcel, plan: Plan) -> Delivered:
        return await asyncio.to_thread(self._carry_out, parcel, plan)

    # -- in a thread -----------------------------------------------------------------------------------------

    def _plan(self, parcel: Parcel) -> Plan:
        with self._asking() as github:
            base = self._base(github)
            wanted = branch_of(parcel)
            for number in range(1, MOST_BRANCHES):
                branch = wanted if number == 1 else f"{wanted}-{number}"
                known = self._requests(github, branch)
                # What was merged or closed is over: it gets a branch and a request of its own.
                if not known or any(each.get("state") == "open" for each in known):
                    return Plan(self.slug, (branch,), base)
        raise DeliveryFailed(
            f"{self.slug} had {MOST_BRANCHES} pull requests of {wanted}; remove some branches."
        )

    def _carry_out(self, parcel: Parcel, plan: Plan) -> Delivered:
        branch = plan.names[0]
        with self._asking() as github:
            self._base(github)
            known = self._requests(github, branch)
            closed = next((each for each in known if each.get("state") != "open"), None)
            if closed is not None:  # while nobody of us lived to tell of it
                return self._delivered(closed, parcel, "was opened, and closed meanwhile")
            self._make_branch(github, branch, plan.base)
            for file in parcel.files:
                self._commit(github, branch, file)
            if known:
                return self._delivered(known[0], parcel, "has what I made")
            return self._open(github, parcel, plan)

    def _base(self, github: Requester) -> str:
        """The branch that is asked to take it."""
        repo = self._get(github, "")
        if repo.get("archived"):
            raise DeliveryFailed(f"{self.slug} is archived on GitHub, so it takes no changes.")
        base = str(repo.get("default_branch") or "")
        if not base or base.startswith(PREFIX):
            raise DeliveryFailed(f"The default branch of {self.slug} is {base or 'none'}; I cannot ask it.")
        return base

    def _requests(self, github: Requester, branch: str) -> list[Any]:
        """Those of a branch of ours, open ones first."""
        owner = self.slug.partition("/")[0]
        query = {"head": f"{owner}:{branch}", "state": "all", "per_page": "100"}
        found = self._get(github, "/pulls", query)
        # A server that does not know the filter lists everybody's.
        ours = [each for each in found if (each.get("head") or {}).get("ref") == branch]
        return sorted(ours, key=lambda each: each.get("state") != "open")

    def _make_branch(self, github: Requester, branch: str, base: str) -> None:
        if self._find(github, f"/git/ref/heads/{branch}") is not None:
            return
        at = self._get(github, f"/git/ref/heads/{base}")
        try:
            self._send(
                github,
                "POST",
                "/git/refs",
                {"ref": f"refs/heads/{branch}", "sha": str(at["object"]["sha"])},
            )
        except DeliveryFailed:
            # Another attempt may have made it just now.
            if self._find(github, f"/git/ref/heads/{branch}") is None:
                raise

    def _commit(self, github: Requester, branch: str, file: File) -> None:
        content = file.content.encode()
        resource = f"/contents/{file.path}"
        there = self._find(github, resource, {"ref": branch})
        if there is not None and (not isinstance(there, dict) or there.get("type") != "file"):
            raise DeliveryFailed(f"{file.path} in {self.slug} is a folder or a link, so I leave it alone.")
        if there is not None and is_blob(content, str(there.get("sha"))):
            return
        body = {
            "message": f"{'Update' if there else 'Add'} {file.path}",
            "content": base64.b64encode(content).decode(),
            "branch": branch,
            **({"sha": str(there["sha"])} if there else {}),
        }
        self._send(github, "PUT", resource, body)

    def _open(self, github: Requester, parcel: Parcel, plan: Plan) -> Delivered:
        body = {
            "title": title_of(parcel.files, self.mask),
            "head": plan.names[0],
            "base": plan.base,
            "body": self.mask(body_of(parcel)),
        }
        try:
            opened = self._send(github, "POST", "/pulls", body)
        except DeliveryFailed:
            opened = next(iter(self._requests(github, plan.names[0])), None)
            if opened is None:
                raise
        return self._delivered(opened, parcel, "is open")

    def _delivered(self, request: Any, parcel: Parcel, state: str) -> Delivered:
        number, link = request.get("number"), str(request.get("html_url") or "")
        return Delivered(f"The pull request {self.slug}#{number} {state}: {listed(parcel.files)}.", link)

    # -- requests --------------------------------------------------------------------------------------------

    @contextmanager
    def _asking(self) -> Iterator[Requester]:
        """A client that can only ask what `Writes` lists, and failures in words."""
        import requests  # noqa: PLC0415 — with PyGithub 30 MB, which a deployment without it should not pay

        github = requester(Writes(self.api_url, self.slug), self.token)
        try:
            yield github
        except requests.RequestException as error:
            raise DeliveryFailed("GitHub could not be reached.", passing=True) from error
        except RuntimeError as error:
            raise DeliveryFailed(f"GitHub sends me elsewhere for {self.slug}; has it moved?") from error
        finally:
            github.close()

    def _get(self, github: Requester, resource: str, query: dict[str, str] | None = None) -> Any:
        return self._ask(github, "GET", resource, query, None)

    def _find(self, github: Requester, resource: str, query: dict[str, str] | None = None) -> Any:
        """None for what is not there."""
        return self._ask(github, "GET", resource, query, None, missing_is_fine=True)

    def _send(self, github: Requester, method: str, resource: str, body: dict[str, str]) -> Any:
        return self._ask(github, method, resource, None, body)

    def _ask(
        self,
        github: Requester,
        method: str,
        resource: str,
        query: dict[str, str] | None,
        body: dict[str, str] | None,
        *,
        missing_is_fine: bool = False,
    ) -> Any:
        from github import GithubException  # noqa: PLC0415

        url = f"/repos/{self.slug}{resource}"
        try:
            return github.requestJsonAndCheck(method, url, parameters=query, input=body)[1]
        except GithubException as error:
            if missing_is_fine and error.status == HTTPStatus.NOT_FOUND:
                return None
            raise refusal(self.slug, error.status, words_of(error.data), error.headers or {}) from error


def requester(writes: Writes, token: SecretStr) -> Requester:
    """PyGithub's client with connections that hold each request against the list before it leaves.

    PyGithub makes its connections of two classes, which a subclass of its client may replace for itself
    alone; everything it can do, redirects included, goes through their `request`.
    """
    import github  # noqa: PLC0415
    from github import Consts  # noqa: PLC0415
    from github.Requester import (  # noqa: PLC0415
        HTTPRequestsConnectionClass,
        HTTPSRequestsConnectionClass,
        Requester,
    )

    class Http(HTTPRequestsConnectionClass):
        def request(self, verb: str, url: str, input: Any, *rest: Any, **more: Any) -> None:
            writes.check(self.host, verb, url, input)
            super().request(verb, url, input, *rest, **more)

    class Https(HTTPSRequestsConnectionClass):
        def request(self, verb: str, url: str, input: Any, *rest: Any, **more: Any) -> None:
            writes.check(self.host, verb, url, input)
            super().request(verb, url, input, *rest, **more)

    class Guarded(Requester):
        pass

    Guarded.injectConnectionClasses(Http, Https)
    return Guarded(
        auth=github.Auth.Token(token.get_secret_value()),
        base_url=writes.api_url.rstrip("/"),
        timeout=TIMEOUT_SECONDS,
        user_agent="sre-agent",
        per_page=100,
        verify=True,
        retry=None,  # a step is repeated as a whole, by who called
        pool_size=None,
        api_version=Consts.API_VERSION_2022_11_28,
    )


def refusal(slug: str, status: int, words: str, headers: dict[str, Any]) -> DeliveryFailed:
    """Why GitHub did not do it, in a sentence, and whether it may do it later. Pure."""
    limited = "rate limit" in words.lower() or headers.get("x-ratelimit-remaining") == "0"
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.FORBIDDEN and limited):
        reset = str(headers.get("x-ratelimit-reset") or "")
        until = f" until {datetime.fromtimestamp(int(reset), UTC):%H:%M} UTC" if reset.isdigit() else ""
        return DeliveryFailed(f"GitHub has limited our requests{until}.")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return DeliveryFailed(f"GitHub answered {status}.", passing=True)
    if "archived" in words.lower():
        return DeliveryFailed(f"{slug} is archived on GitHub, so it takes no changes.")
    if "no commits between" in words.lower():
        return DeliveryFailed(f"{slug} has exactly this already, so there is nothing to ask for.")
    if status == HTTPStatus.CONFLICT and "empty" in words.lower():
        return DeliveryFailed(f"{slug} has no commit yet; a pull request needs one to build on.")
    said = {
        HTTPStatus.UNAUTHORIZED: "GitHub does not know the token; check GITHUB_WRITE_TOKEN.",
        HTTPStatus.FORBIDDEN: f"GitHub refuses to change {slug} ({words}); GITHUB_WRITE_TOKEN needs "
        "“Contents” and “Pull requests”, read and write, for it.",
        HTTPStatus.NOT_FOUND: f"GitHub shows GITHUB_WRITE_TOKEN no {slug}, or does not let it write there.",
        HTTPStatus.CONFLICT: f"Somebody changed the same file of {slug} just now.",
    }
    sentence = said.get(HTTPStatus(status)) if status in said else None
    return DeliveryFailed(
        sentence or f"GitHub refused it ({status}: {words}).", passing=status == HTTPStatus.CONFLICT
    )


def words_of(data: Any) -> str:
    """GitHub's own words: `message`, and that of the first of `errors`."""
    if not isinstance(data, dict):
        return "no reason given"
    errors = data.get("errors") if isinstance(data.get("errors"), list) else []
    told = [data.get("message"), *(e.get("message") if isinstance(e, dict) else e for e in errors or [])]
    return "; ".join(str(each) for each in told if each)[:300] or "no reason given"


def branch_of(parcel: Parcel) -> str:
    """The same for the same file of the same thread: a better version goes where the first one went. What
    another installation makes in the same repo gets a branch of its own."""
    first = parcel.files[0]
    stem = re.sub(r"[^A-Za-z0-9-]+", "-", first.name.rpartition(".")[0] or first.name)
    return f"{PREFIX}{stem.strip('-')[:LONGEST_NAME].strip('-') or 'file'}-{parcel.mark(first.path)}"


def title_of(files: Sequence[File], mask: Callable[[str], str]) -> str:
    first = " ".join(NEVER_PINGS.sub(" ", mask(files[0].title)).split())[:LONGEST_TITLE].strip()
    more = f" and {len(files) - 1} more" if len(files) > 1 else ""
    return f"{first or files[0].name}{more}"


def body_of(parcel: Parcel) -> str:
    """What reviewers need to know. Where people's words are in it, they stand in code, which pings nobody."""
    where = f"[this conversation]({parcel.thread})" if parcel.thread else "a conversation"
    lines = [f"Made by SRE Agent in {where}; somebody there asked for this pull request.", ""]
    lines += [f"- {_code(file.path)}: {_code(file.title)}" for file in parcel.files]
    faults = [(file, fault) for file in parcel.files for fault in file.faults]
    if faults:
        lines += [
            "",
            "**Not valid:**",
            "",
            *(f"- {_code(file.path)}: {_code(said)}" for file, said in faults),
        ]
    todos = dict.fromkeys(todo for file in parcel.files for todo in file.todos)
    if todos:
        lines += ["", "Open, marked as TODO:", "", *(f"- [ ] {_code(todo)}" for todo in todos)]
    return "\n".join(lines)


def _code(words: str) -> str:
    return f"`{' '.join(words.replace('`', ' ').split())[:300]}`"
