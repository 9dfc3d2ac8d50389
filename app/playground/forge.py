"""The example organisation's git host, in GitHub's shape: clones, pages of files, and the REST calls we read.

Everything is read from the working repos at the moment of asking, so a commit is seen at once. Nothing can
be written: of git's services only `upload-pack` is there.

    forge = Forge(organisation.folder)
    async with PlaygroundSlack(routes=forge.routes()) as slack:
        settings = Settings.load(**forge.environment(slack.url), **slack.environment)
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import zlib
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import escape
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

from markdown_it import MarkdownIt
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from app.context.addresses import parse
from app.context.bare import Bare, Entry, GitFailed, RefMissing, end_group, environment
from app.errors import AgentError
from app.playground.example import OWNER
from app.playground.slack.server import HOSTS

NAME = re.compile(r"\w[\w.-]*")
PROTOCOL = re.compile(r"version=[012]")
SERVICE = "git-upload-pack"
READ_ONLY = "These repos are read only; commit in their folders instead."
LARGEST_REQUEST = 1024 * 1024
LARGEST_SHOWN = 1024 * 1024
SECONDS = 60.0
TRANSFERS = 8
T = TypeVar("T")
Handle = Callable[[Request], Awaitable[Response]]


class NotHere(AgentError):
    """There is no such repo, revision or file."""

    code = "forge_not_found"
    status = 404


class Refused(AgentError):
    """Nobody may do this, or not so much of it."""

    code = "forge_refused"
    status = 403


@dataclass(frozen=True)
class File:
    """A file of a repo at a full revision."""

    repo: str
    revision: str
    entry: Entry
    content: bytes

    @property
    def text(self) -> str | None:
        """None for what is no text."""
        return None if b"\0" in self.content else self.content.decode("utf-8", "replace")


class Forge:
    """Serves the repos in `folder` as those of one owner; `seconds` bounds each command of git."""

    def __init__(self, folder: Path, *, owner: str = OWNER, seconds: float = SECONDS) -> None:
        self._folder = folder
        self._owner = owner
        self._seconds = seconds
        self._transfers = asyncio.Semaphore(TRANSFERS)
        # Threads of its own: those of the loop may all be waiting for an answer from here.
        self._threads = ThreadPoolExecutor(4, "forge")

    def environment(self, url: str) -> dict[str, str]:
        """The settings of an app whose repos are here, when the server with our routes is at `url`.

        The host is `localhost`, for GitHub's client takes no number for a name.
        """
        base = f"http://localhost:{urlsplit(url).port}"
        return {
            "KNOWLEDGE_REPO_URL": f"{base}/{self._owner}/knowledge.git",
            "BLUEPRINTS_REPO_URL": f"{base}/{self._owner}/blueprints.git",
            "GITHUB_API_URL": f"{base}/api/v3",
        }

    def routes(self) -> list[BaseRoute]:
        """For a Starlette application, before whatever takes all other paths."""
        repo, api = f"/{self._owner}/{{repo}}", f"/api/v3/repos/{self._owner}/{{repo}}"
        return [
            self._route(f"{repo}/info/refs", self._advertise),
            self._route(f"{repo}/{SERVICE}", self._fetch, "POST"),
            self._route(f"{repo}/git-receive-pack", self._refuse_push, "POST"),
            self._route(f"/{self._owner}", self._show_repos),
            self._route(repo, self._show_files),
            self._route(f"{repo}/blob/{{revision}}/{{path:path}}", self._show_file),
            self._route(f"{api}/readme", self._readme),
            self._route(f"{api}/contents", self._contents),
            self._route(f"{api}/contents/{{path:path}}", self._contents),
        ]

    def _route(self, path: str, handle: Handle, method: str = "GET") -> Route:
        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except RefMissing as error:
                return PlainTextResponse(error.sentence, 404)
            except GitFailed as error:
                return PlainTextResponse(error.sentence, 503)
            except (NotHere, Refused) as error:
                return PlainTextResponse(error.sentence, error.status)

        only_here = Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)
        return Route(path, answer, methods=[method], middleware=[only_here])

    # -- git over HTTP -----------------------------------------------------------------------------------

    async def _advertise(self, request: Request) -> Response:
        """The first request of whoever fetches: what can be asked for."""
        repo = self._repo(request)
        if request.query_params.get("service") != SERVICE:
            raise Refused(READ_ONLY)
        # Since version 2 of the protocol the service is not announced in the body any more.
        old = f"{len(SERVICE) + 15:04x}# service={SERVICE}\n0000".encode()
        begin = b"" if protocol(request) == "version=2" else old
        output = await self._upload_pack(repo, protocol(request), b"", "--advertise-refs")
        return pack(begin + output, "advertisement")

    async def _fetch(self, request: Request) -> Response:
        repo = self._repo(request)
        return pack(await self._upload_pack(repo, protocol(request), await posted(request)), "result")

    async def _refuse_push(self, _: Request) -> Response:
        raise Refused(READ_ONLY)

    async def _upload_pack(self, repo: Path, version: str, body: bytes, *options: str) -> bytes:
        """What upload-pack says to one request.

        It is called itself, not through `git http-backend`: that one can also receive, and some
        distributions ship it apart from git.
        """
        async with self._transfers, asyncio.timeout(self._seconds):
            process = await asyncio.create_subprocess_exec(
                *("git", "upload-pack", "--stateless-rpc", *options, "--", str(repo / ".git")),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,
                env=environment(parse(repo.as_uri())) | {"GIT_PROTOCOL": version},
                start_new_session=True,
            )
            try:
                return (await process.communicate(body))[0]
            finally:
                if process.returncode is None:
                    end_group(process.pid)
                    await process.wait()

    # -- pages -------------------------------------------------------------------------------------------

    async def _show_repos(self, _: Request) -> Response:
        names = sorted(
            each.parent.name for each in self._folder.glob("*/.git") if NAME.match(each.parent.name)
        )
        links = ((f"/{self._owner}/{name}", name) for name in names)
        return page(self._owner, escape(self._owner), listing(links))

    async def _show_files(self, request: Request) -> Response:
        bare = self._bare(request)

        def look() -> tuple[str, list[Entry]]:
            revision = bare.remote_revision("HEAD")[0]
            return revision, list(bare.entries(revision))

        revision, entries = await self._read(look)
        name = self._repo(request).name
        links = (("/" + self._blob(name, revision, each.path), each.path) for each in entries)
        return page(f"{self._owner}/{name}", self._crumbs(name, revision), listing(links))

    async def _show_file(self, request: Request) -> Response:
        bare, path = self._bare(request), request.path_params["path"]
        file = await self._read(lambda: find_file(bare, request.path_params["revision"], path))
        crumbs = f"{self._crumbs(file.repo, file.revision)} / {escape(path)}"
        return page(f"{path} · {self._owner}/{file.repo}", crumbs, lines(file))

    def _blob(self, repo: str, revision: str, path: str) -> str:
        return f"{self._owner}/{repo}/blob/{revision[:12]}/{quote(path)}"

    def _crumbs(self, repo: str, revision: str) -> str:
        owner = escape(self._owner)
        links = f'<a href="/{owner}">{owner}</a> / <a href="/{owner}/{escape(repo)}">{escape(repo)}</a>'
        return f"{links} <small>{revision[:12]}</small>"

    # -- the REST API ------------------------------------------------------------------------------------

    async def _readme(self, request: Request) -> Response:
        bare = self._bare(request)

        def look() -> File:
            revision = bare.remote_revision("HEAD")[0]
            readmes = [e.path for e in bare.entries(revision) if re.fullmatch(r"(?i)readme(\.\w+)?", e.path)]
            # GitHub prefers markdown too.
            return find_file(
                bare, revision, min(readmes, key=lambda path: (not path.endswith(".md"), path), default="")
            )

        file = await self._read(look)
        return conditional(request, file.entry.object_id, self._as_json(request, file))

    async def _contents(self, request: Request) -> Response:
        bare, path = self._bare(request), request.path_params.get("path", "")

        def look() -> File | list[Entry]:
            revision = bare.remote_revision("HEAD")[0]
            inside = [e for e in bare.entries(revision) if not path or e.path.startswith(path + "/")]
            return inside or find_file(bare, revision, path)

        found = await self._read(look)
        if isinstance(found, File):
            return conditional(request, found.entry.object_id, self._as_json(request, found))
        listed = in_folder(found, path)
        seal = hashlib.sha256("".join(entry.object_id for entry in found).encode()).hexdigest()
        return conditional(request, seal, listed)

    def _as_json(self, request: Request, file: File) -> dict[str, Any]:
        """A file as GitHub describes it, with all that our reader of GitHub looks at."""
        path = file.entry.path
        return {
            "type": "file",
            "encoding": "base64",
            "size": len(file.content),
            "name": PurePosixPath(path).name,
            "path": path,
            "sha": file.entry.object_id,
            "content": base64.encodebytes(file.content).decode(),
            "html_url": str(request.base_url) + self._blob(file.repo, file.revision, path),
        }

    # -- the repos on disk -------------------------------------------------------------------------------

    def _repo(self, request: Request) -> Path:
        name: str = request.path_params["repo"].removesuffix(".git")
        repo: Path = self._folder / name
        if not NAME.fullmatch(name) or not (repo / ".git").is_dir():
            raise NotHere(f"{self._owner} has no repo of that name.")
        return repo

    def _bare(self, request: Request) -> Bare:
        repo = self._repo(request)
        return Bare(repo / ".git", parse(repo.as_uri()), self._seconds)

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


# -- reading ---------------------------------------------------------------------------------------------


def find_file(bare: Bare, revision: str, path: str) -> File:
    """A file at a revision or at the tip of a branch.

    Raises:
        NotHere: there is none of that name.
        RefMissing: there is no such revision.
    """
    full = bare.revision(revision)
    if full is None and NAME.fullmatch(revision):
        full = bare.remote_revision(revision)[0]
    entry = next((each for each in bare.entries(full) if each.path == path), None) if full else None
    if full is None or entry is None or not entry.is_plain:
        raise NotHere(f"{bare.address.name} has no such file at that revision.")
    if entry.size > LARGEST_SHOWN:
        raise NotHere(f"That file has {entry.size:,} bytes, too many to show.")
    return File(bare.folder.parent.name, full, entry, next(iter(bare.blobs([entry.object_id]))))


def in_folder(entries: Iterable[Entry], folder: str) -> list[dict[str, str]]:
    """What is directly in a folder, of all files below it."""
    depth = len(PurePosixPath(folder).parts)
    found = {}
    for entry in entries:
        parts = PurePosixPath(entry.path).parts
        path = "/".join(parts[: depth + 1])
        found[path] = {
            "type": "file" if len(parts) == depth + 1 else "dir",
            "path": path,
            "name": parts[depth],
        }
    return list(found.values())


# -- HTTP ------------------------------------------------------------------------------------------------


def protocol(request: Request) -> str:
    """The version of git's protocol that is asked for, "" for the oldest."""
    asked = PROTOCOL.search(request.headers.get("git-protocol", ""))
    return asked[0] if asked else ""


async def posted(request: Request) -> bytes:
    """The body of a request, unpacked.

    Raises:
        Refused: it is larger than any fetch of ours asks for.
    """
    body = bytearray()
    try:
        async for part in request.stream():
            body += part
            if len(body) > LARGEST_REQUEST:
                raise Refused("That is too long a request.")
    except ClientDisconnect:
        raise Refused("The request was cut.") from None
    if request.headers.get("content-encoding") != "gzip":
        return bytes(body)
    unpack = zlib.decompressobj(wbits=31)
    try:
        plain = unpack.decompress(bytes(body), LARGEST_REQUEST)
    except zlib.error:
        raise Refused("That is no gzip.") from None
    if unpack.unconsumed_tail:
        raise Refused("That is too long a request.")
    return plain


def pack(content: bytes, kind: str) -> Response:
    media_type = f"application/x-{SERVICE}-{kind}"
    return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})


def conditional(request: Request, tag: str, body: Any) -> Response:
    """The body, or that it has not changed since it was asked for with this tag."""
    etag = f'"{tag}"'
    if request.headers.get("if-none-match") == etag:
        return Response(status_code=304, headers={"ETag": etag})
    return JSONResponse(body, headers={"ETag": etag})


# -- HTML ------------------------------------------------------------------------------------------------

STYLE = """
:root { color-scheme: light dark; --line: light-dark(#d0d7de, #343941); --quiet: light-dark(#636c76, #9198a1);
  --mark: light-dark(#fff4c8, #4a3d10); --link: light-dark(#0550ae, #79b8ff); }
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; background: light-dark(#fff, #15181c);
  color: light-dark(#1f2328, #e6e8eb); }
header { padding: .8rem 1.2rem; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
header small { color: var(--quiet); font-family: ui-monospace, monospace; }
a { color: var(--link); text-decoration: none; } a:hover { text-decoration: underline; }
ul { list-style: none; margin: 0; padding: .6rem 1.2rem; line-height: 1.9; }
main p { padding: 0 1.2rem; }
.lines { padding: .6rem 0; font: 13px/1.6 ui-monospace, monospace; }
.lines div { display: flex; scroll-margin-top: 30vh; }
.lines div:target { background: var(--mark); }
.lines a { flex: 0 0 4rem; text-align: right; color: var(--quiet); user-select: none; padding-right: 1rem; }
.lines span { flex: 1; white-space: pre-wrap; overflow-wrap: anywhere; max-width: 110ch; }
.lines .heading { font-weight: 700; }
"""
SEAL = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
SAFE = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{SEAL}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def page(title: str, crumbs: str, main: str) -> Response:
    """A page; `crumbs` and `main` are HTML."""
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
    head += f"<title>{escape(title)}</title><style>{STYLE}</style>"
    return HTMLResponse(
        f'<!doctype html><html lang="en"><head>{head}</head>'
        f"<body><header>{crumbs}</header><main>{main}</main></body></html>",
        headers=SAFE,
    )


def listing(links: Iterable[tuple[str, str]]) -> str:
    items = (f'<li><a href="{escape(href)}">{escape(text)}</a></li>' for href, text in links)
    return f"<ul>{''.join(items)}</ul>"


def lines(file: File) -> str:
    """A file as it is written, a line at a time, so that #L12 leads to what an answer quotes."""
    text = file.text
    if text is None:
        return f"<p>{len(file.content):,} bytes that are no text.</p>"
    headings = headings_of(text) if file.entry.path.endswith(".md") else frozenset()
    shown = (
        f'<div id="L{number}"><a href="#L{number}">{number}</a>'
        f"<span{' class=heading' if number in headings else ''}>{escape(line)}</span></div>"
        for number, line in enumerate(text.splitlines(), 1)
    )
    return f'<div class="lines">{"".join(shown)}</div>'


def headings_of(markdown: str) -> frozenset[int]:
    """The lines (1-based) of a document's `#` headings."""
    tokens = MarkdownIt("commonmark").parse(markdown)
    return frozenset(
        t.map[0] + 1 for t in tokens if t.type == "heading_open" and t.map and t.markup[0] == "#"
    )
