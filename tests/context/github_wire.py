"""A GitHub of our own on the wire: READMEs, files and folders with ETags, limits, and outages."""

from __future__ import annotations

import base64
import hashlib
import posixpath
from types import TracebackType
from typing import Any, Self

from tests.fakes.wire import CutConnection, Request, Response, WireServer, json_response


class GitHubWire:
    """Serves `files`, by repo (`owner/name`) and path. `fails_with` is a status for every request, or "cut".

    `links` are symbolic links: path to target, relative to the link's folder. One to a file is answered as
    GitHub does: a file of the link's own path and blob id, with the content of the target.
    """

    def __init__(self, files: dict[str, dict[str, str | bytes]]) -> None:
        self.files = files
        self.links: dict[str, str] = {}
        self.fails_with: int | str | None = None
        self.failing_headers: dict[str, str] = {}
        self.requests: list[Request] = []
        self._server = WireServer(self.handle)

    @property
    def url(self) -> str:
        return self._server.url.replace("127.0.0.1", "localhost")

    @property
    def statuses(self) -> list[int]:
        return self._statuses

    async def __aenter__(self) -> Self:
        self._statuses: list[int] = []
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop()

    async def handle(self, request: Request) -> Response:
        self.requests.append(request)
        if self.fails_with == "cut":
            raise CutConnection
        if isinstance(self.fails_with, int):
            return self.answer(self.fails_with, {"message": "Away"}, self.failing_headers)
        _, _, owner, name, kind, *rest = request.path.split("/")
        files = self.files.get(f"{owner}/{name}")
        if files is None:
            return self.answer(404, {"message": "Not Found"})
        path = "/".join(rest)
        if kind == "readme":
            names = [*files, *self.links]
            path = next((each for each in names if each.lower().startswith("readme")), "none")
        found = self.look(f"{owner}/{name}", files, path)
        if found is None:
            return self.answer(404, {"message": "Not Found"})
        etag = '"' + hashlib.sha256(repr(found).encode()).hexdigest()[:16] + '"'
        if request.headers.get("if-none-match") == etag:
            return self.answer(304, None, {"etag": etag})
        return self.answer(200, found, {"etag": etag})

    def look(self, slug: str, files: dict[str, str | bytes], path: str) -> Any:
        target = self.links.get(path)
        if target is not None:
            aims_at = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
            if aims_at not in files:
                return {"type": "symlink", "path": path, "sha": blob_id(target.encode()), "target": target}
            files = files | {path: files[aims_at]}
        if path in files:
            content = files[path]
            raw = content.encode() if isinstance(content, str) else content
            return {
                "type": "file",
                "path": path,
                "sha": blob_id(raw if target is None else target.encode()),
                "encoding": "base64" if len(raw) < 1_000_000 else "none",
                "content": base64.encodebytes(raw).decode() if len(raw) < 1_000_000 else "",
                "html_url": f"{self.url}/{slug}/blob/main/{path}",
            }
        below = f"{path}/" if path else ""
        inside = [each.removeprefix(below) for each in files if each.startswith(below)]
        names = dict.fromkeys((each.partition("/")[0], "/" in each) for each in inside)
        listed = [{"path": below + name, "type": "dir" if deep else "file"} for name, deep in names]
        listed += [
            {"path": link, "type": "symlink", "target": target}
            for link, target in self.links.items()
            if posixpath.dirname(link) == path
        ]
        return listed or None

    def answer(self, status: int, body: Any, headers: dict[str, str] | None = None) -> Response:
        self._statuses.append(status)
        if body is None:
            return Response(status, b"", headers or {})
        return json_response(status, body, headers)


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
