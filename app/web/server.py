"""uvicorn inside our event loop: a socket bound beforehand, and our own signal handling."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from app.errors import AgentError


class PortTaken(AgentError):
    """Something else listens there."""

    code = "port_taken"


def bind(port: int, variable: str, host: str = "0.0.0.0") -> socket.socket:
    """A listening socket; port 0 takes a free one.

    Raises:
        PortTaken: naming the variable to change.
    """
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it, an answer written in
    # two pieces waits 40 ms for the peer's delayed ack.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortTaken(f"{variable}: port {port} cannot be used ({error.strerror}); set another.") from error
    listener.listen(512)
    return listener


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.serving.set()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The runtime decides the order of shutting down; uvicorn must not react on its own."""
        yield


class WebServer:
    """One ASGI app on one socket."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        self._server = _Server(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                timeout_graceful_shutdown=5,
                # The peer is who holds the line: a header that names another one is trusted by nobody here.
                proxy_headers=False,
            )
        )
        self._listener = listener
        self._task: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    async def start(self) -> None:
        self._task = asyncio.create_task(self._server.serve(sockets=[self._listener]), name="web server")
        await self._server.serving.wait()

    async def stop(self) -> None:
        self._server.should_exit = True
        if self._task:
            await self._task
        self._listener.close()
