"""The public port of the running program, spoken to in raw bytes, and everything the process says meanwhile."""

from __future__ import annotations

import asyncio
import io
import logging
import time
from collections.abc import Iterable, Iterator

import pytest

from app.slack.guard import signature
from app.telemetry import set_up_logging
from tests.acceptance.conftest import Stack

CANARY = "canary-body-7Qx2"
SECRET = "github-webhook-secret"
Headers = Iterable[tuple[str, str]]


class Door:
    """The public port, spoken to in raw bytes; `log` is everything the process said."""

    def __init__(self, stack: Stack, port: int, log: io.StringIO) -> None:
        self.stack, self.port, self.log = stack, port, log
        self.secret = stack.environment["SLACK_SIGNING_SECRET"]

    async def send(self, head: str, body: bytes = b"") -> int:
        """The status of the answer, 0 when the connection was closed without one."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(head.replace("\n", "\r\n").encode("latin-1") + b"\r\n" + body)
            await writer.drain()
            line = await asyncio.wait_for(reader.readline(), 60)
            return int(line.split()[1]) if line else 0
        except (ConnectionResetError, BrokenPipeError):
            return 0
        finally:
            writer.close()

    async def post(self, path: str, headers: Headers, body: bytes) -> int:
        named = [*headers, ("Host", "x"), ("Content-Length", str(len(body)))]
        head = f"POST {path}?q={CANARY} HTTP/1.1\n" + "".join(f"{key}: {value}\n" for key, value in named)
        return await self.send(head, body)

    def signed(self, body: bytes, *, age: float = 0, kind: str = "application/json") -> list[tuple[str, str]]:
        stamp = str(int(time.time() - age))
        return [
            ("X-Slack-Request-Timestamp", stamp),
            ("X-Slack-Signature", signature(self.secret, stamp, body)),
            ("Content-Type", kind),
        ]


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    written = io.StringIO()
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    set_up_logging("DEBUG", stream=written)
    yield written
    root.handlers[:], root.level = handlers, level


@pytest.fixture
async def door(stack: Stack, log: io.StringIO) -> Door:
    runtime = await stack.serve(SLACK_APP_TOKEN="", GITHUB_WEBHOOK_SECRET=SECRET)
    return Door(stack, runtime.ports["PORT"], log)


async def turns(stack: Stack) -> int:
    [(count,)] = await stack.rows("SELECT count(*) FROM turns")
    return int(count)
