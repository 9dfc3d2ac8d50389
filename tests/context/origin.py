"""A git repository to mirror, and a smart HTTP server for it that checks who asks and can be away."""

from __future__ import annotations

import base64
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

ALONE = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
}


class Origin:
    """A repository with a work tree at `path`, on the branch `main`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")

    @property
    def url(self) -> str:
        return f"file://{self.path}"

    def git(self, *command: str) -> str:
        done = subprocess.run(
            ["git", *command], cwd=self.path, env=ALONE, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    def commit(self, files: dict[str, str | bytes]) -> str:
        """Write files and commit them; the full revision."""
        for name, content in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content.encode() if isinstance(content, str) else content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "-m", "A change")
        return self.git("rev-parse", "HEAD")


class SmartHttp(ThreadingHTTPServer):
    """`git http-backend` for the repositories below `root`; `away` answers 503, `expects` is a password,
    `moved_to` the address of another server that all requests are sent on to.

    It is no GitHub: its REST API answers `api_status`.
    """

    daemon_threads = True

    def __init__(self, root: Path) -> None:
        super().__init__(("127.0.0.1", 0), Backend)
        self.root = root
        self.away = False
        self.api_status = 404
        self.expects: str | None = None
        self.moved_to: str | None = None
        self.requests: list[str] = []
        self.authorizations: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_address[1]}"

    def admits(self, authorization: str) -> bool:
        _, _, encoded = authorization.partition(" ")
        return self.expects is None or base64.b64decode(encoded).decode().endswith(f":{self.expects}")


class Backend(BaseHTTPRequestHandler):
    server: SmartHttp

    def do_GET(self) -> None:
        self.answer(b"")

    def do_POST(self) -> None:
        self.answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def answer(self, body: bytes) -> None:
        server = self.server
        authorization = self.headers.get("Authorization", "")
        server.requests.append(self.path)
        server.authorizations.add(authorization)
        if server.away:
            self.send_error(503)
        elif server.moved_to:
            self.send_response(301)
            self.send_header("Location", server.moved_to + self.path)
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path.startswith("/repos/"):
            self.send_error(server.api_status)
        elif not server.admits(authorization):
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            self.ask_git(body)

    def ask_git(self, body: bytes) -> None:
        parts = urlsplit(self.path)
        environment = {
            **ALONE,
            "GIT_PROJECT_ROOT": str(self.server.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": parts.path,
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
        }
        done = subprocess.run(
            ["git", "-c", "safe.directory=*", "http-backend"],
            input=body,
            env=environment,
            capture_output=True,
            check=True,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(headers.pop("Status", "200 OK").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def smart_http(root: Path) -> Iterator[SmartHttp]:
    server = SmartHttp(root)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
