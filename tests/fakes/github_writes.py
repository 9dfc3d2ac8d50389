"""A GitHub on the wire that can be written to: branches, files on them and pull requests of one repository.

Shaped after docs.github.com/en/rest/git/refs, /en/rest/repos/contents and /en/rest/pulls/pulls: statuses, words
and what is refused.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs

from tests.fakes.wire import CutConnection, Request, Response, WireServer, json_response

TOKEN = "token-of-tests-that-may-write"


@dataclass
class Repo:
    """`branches` are files by branch; `commits` are the messages on each."""

    slug: str = "acme/checkout"
    default: str = "main"
    branches: dict[str, dict[str, str]] = field(
        default_factory=lambda: {"main": {"README.md": "# Checkout\n"}}
    )
    commits: list[tuple[str, str]] = field(default_factory=list)
    pulls: list[dict[str, Any]] = field(default_factory=list)
    archived: bool = False
    reads_only: bool = False


class GitHubWrites:
    """`fails_on` is a method and the beginning of a path behind the repo; what it matches is answered with
    `fails_with`: a status and words, "cut" (before anything happens) or "cut after" (it happens, and nobody
    hears of it), `times` times."""

    def __init__(self, repo: Repo | None = None) -> None:
        self.repo = repo or Repo()
        self.requests: list[Request] = []
        self.fails_on = ""
        self.fails_with: tuple[int, str] | str = ""
        self.times = 0
        self.headers: dict[str, str] = {}
        self.before: Callable[[Request], None] = lambda request: None
        self._server = WireServer(self.handle)

    def fail(self, on: str, answer: tuple[int, str] | str, *, times: int = 1, **headers: str) -> None:
        self.fails_on, self.fails_with, self.times = on, answer, times
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    @property
    def url(self) -> str:
        return self._server.url.replace("127.0.0.1", "localhost")

    @property
    def writes(self) -> list[str]:
        return [
            f"{each.method} {each.path.removeprefix(f'/repos/{self.repo.slug}')}"
            for each in self.requests
            if each.method != "GET"
        ]

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop()

    async def handle(self, request: Request) -> Response:
        self.requests.append(request)
        self.before(request)
        top = f"/repos/{self.repo.slug}"
        failure: tuple[int, str] | str = ""
        if (
            self.times
            and self.fails_on
            and f"{request.method} {request.path}".startswith(self.fails_on.replace(" ", f" {top}", 1))
        ):
            self.times -= 1
            failure = self.fails_with
        if failure == "cut":
            raise CutConnection
        if isinstance(failure, tuple):
            return refused(*failure, headers=self.headers)
        answer = self.answer(request, top)
        if failure == "cut after":
            raise CutConnection
        return answer

    def answer(self, request: Request, top: str) -> Response:
        if request.headers.get("authorization") != f"token {TOKEN}":
            return refused(401, "Bad credentials")
        if request.method != "GET" and (self.repo.archived or self.repo.reads_only):
            told = "Repository was archived so is read-only."
            return refused(
                403, told if self.repo.archived else "Resource not accessible by personal access token"
            )
        if request.path != top and not request.path.startswith(f"{top}/"):
            return refused(404, "Not Found")
        return self.routed(request, request.path.removeprefix(top))

    def routed(self, request: Request, path: str) -> Response:
        if path.startswith("/contents/"):
            return self.contents(request, path.removeprefix("/contents/"))
        if path.startswith("/git/ref/heads/"):
            return self.ref(path.removeprefix("/git/ref/heads/"))
        routes = {
            "GET ": self.about,
            "GET /pulls": self.list_pulls,
            "POST /pulls": self.open_pull,
            "POST /git/refs": self.make_branch,
        }
        route = routes.get(f"{request.method} {path}")
        return route(request) if route else refused(404, "Not Found")

    def about(self, request: Request) -> Response:
        repo = self.repo
        return json_response(
            200, {"full_name": repo.slug, "default_branch": repo.default, "archived": repo.archived}
        )

    def ref(self, branch: str) -> Response:
        if not self.repo.branches:
            return refused(409, "Git Repository is empty.")
        if branch not in self.repo.branches:
            return refused(404, "Not Found")
        return json_response(
            200, {"ref": f"refs/heads/{branch}", "object": {"type": "commit", "sha": self.sha(branch)}}
        )

    def make_branch(self, request: Request) -> Response:
        asked = request.json()
        branch = asked["ref"].removeprefix("refs/heads/")
        if branch in self.repo.branches:
            return refused(422, "Reference already exists")
        source = next((name for name in self.repo.branches if self.sha(name) == asked["sha"]), None)
        if source is None:
            return refused(422, "Object does not exist")
        self.repo.branches[branch] = dict(self.repo.branches[source])
        return json_response(201, {"ref": asked["ref"], "object": {"sha": asked["sha"]}})

    def contents(self, request: Request, path: str) -> Response:
        if request.method == "PUT":
            return self.write(request.json(), path)
        branch = parse_qs(request.query).get("ref", [self.repo.default])[0]
        files = self.repo.branches.get(branch, {})
        if path in files:
            raw = files[path].encode()
            body = {"type": "file", "path": path, "sha": blob_id(raw), "encoding": "base64"}
            return json_response(200, {**body, "content": base64.encodebytes(raw).decode()})
        below = [each for each in files if each.startswith(f"{path}/")]
        if below:
            return json_response(200, [{"type": "file", "path": each} for each in below])
        return refused(404, "Not Found")

    def write(self, asked: dict[str, Any], path: str) -> Response:
        files = self.repo.branches.get(asked["branch"])
        if files is None:
            return refused(404, f"Branch {asked['branch']} not found")
        there = blob_id(files[path].encode()) if path in files else None
        if there is None and asked.get("sha"):
            return refused(409, f"{path} does not match {asked['sha']}")
        if there is not None and asked.get("sha") is None:
            return refused(422, 'Invalid request.\n\n"sha" wasn\'t supplied.')
        if there is not None and there != asked["sha"]:
            return refused(409, f"{path} does not match {asked['sha']}")
        files[path] = base64.b64decode(asked["content"], validate=True).decode()
        self.repo.commits.append((asked["branch"], asked["message"]))
        status = 200 if there else 201
        return json_response(status, {"content": {"path": path}, "commit": {"message": asked["message"]}})

    def list_pulls(self, request: Request) -> Response:
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        owner, _, branch = query.get("head", "").partition(":")
        assert owner == self.repo.slug.partition("/")[0], "GitHub ignores a head without its owner"
        state = query.get("state", "open")
        found = [
            each
            for each in self.repo.pulls
            if each["head"]["ref"] == branch and state in ("all", each["state"])
        ]
        return json_response(200, found[::-1])

    def open_pull(self, request: Request) -> Response:
        asked, repo = request.json(), self.repo
        head, base = asked["head"], asked["base"]
        if head not in repo.branches or base not in repo.branches:
            return refused(422, "Validation Failed", "invalid head or base")
        if any(each["head"]["ref"] == head and each["state"] == "open" for each in repo.pulls):
            owner = repo.slug.partition("/")[0]
            return refused(422, "Validation Failed", f"A pull request already exists for {owner}:{head}.")
        if repo.branches[head] == repo.branches[base]:
            return refused(422, "Validation Failed", f"No commits between {base} and {head}")
        number = len(repo.pulls) + 1
        pull = {
            "number": number,
            "state": "open",
            "title": asked["title"],
            "body": asked["body"],
            "head": {"ref": head},
            "base": {"ref": base},
            "html_url": f"{self.url}/{repo.slug}/pull/{number}",
        }
        repo.pulls.append(pull)
        return json_response(201, pull)

    def sha(self, branch: str) -> str:
        content = json.dumps(self.repo.branches[branch], sort_keys=True)
        return hashlib.sha1(content.encode()).hexdigest()


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def refused(status: int, message: str, *errors: str, headers: dict[str, str] | None = None) -> Response:
    told = [{"resource": "PullRequest", "code": "custom", "message": each} for each in errors]
    body = {"message": message, **({"errors": told} if told else {}), "documentation_url": "https://docs"}
    return json_response(status, body, headers)
