"""Socket Mode: WebSocket connections, envelopes and their acks.

See https://docs.slack.dev/apis/events-api/using-socket-mode. With several connections each envelope goes
to one of them, in turn.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from app.playground.slack.delivery import Undelivered
from app.playground.slack.records import Json
from app.playground.slack.workspace import Workspace


class Connection:
    """One WebSocket of the app."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.waiting: dict[str, asyncio.Future[Json | None]] = {}
        self._sending = asyncio.Lock()

    async def send(self, body: Json) -> None:
        async with self._sending:
            await self.socket.send_text(json.dumps(body))

    def acked(self, body: Json) -> None:
        future = self.waiting.get(str(body.get("envelope_id")))
        if future and not future.done():
            future.set_result(body.get("payload"))

    def lost(self) -> None:
        for future in self.waiting.values():
            if not future.done():
                future.set_exception(Undelivered("disconnected"))


class SocketMode:
    """All Socket Mode connections of the app; a carrier of deliveries."""

    name = "socket"

    def __init__(self, workspace: Workspace, *, ack_seconds: float = 3.0) -> None:
        self._workspace = workspace
        self.ack_seconds = ack_seconds
        self._tickets: set[str] = set()
        self._connections: list[Connection] = []
        self._turn = itertools.count()
        self._connected = asyncio.Event()
        self.on_connect: Callable[[], None] = lambda: None

    @property
    def connections(self) -> int:
        return len(self._connections)

    def open(self) -> str:
        """The address of one new connection, as `apps.connections.open` answers it."""
        ticket = self._workspace.ids("")
        self._tickets.add(ticket)
        base = self._workspace.url.replace("http", "ws", 1)
        return f"{base}/link/?ticket={ticket}&app_id={self._workspace.app_id}"

    async def serve(self, socket: WebSocket) -> None:
        """Hold one connection until it closes."""
        ticket = socket.query_params.get("ticket", "")
        if ticket not in self._tickets:
            await socket.close(4404)
            return
        self._tickets.discard(ticket)
        await socket.accept()
        connection = Connection(socket)
        try:
            await connection.send(self._hello())
            self._connections.append(connection)
            self._connected.set()
            self._workspace.changed("connected")
            await self._listen(connection)
        finally:
            self._forget(connection)

    async def _listen(self, connection: Connection) -> None:
        try:
            while True:
                raw = await connection.socket.receive_text()
                body = json.loads(raw) if raw.startswith("{") else {}
                connection.acked(body)
        except (WebSocketDisconnect, RuntimeError):
            # A socket that is closed from this side while it is being read raises RuntimeError.
            return

    def _forget(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
        if not self._connections:
            self._connected.clear()
        connection.lost()
        self._workspace.changed("disconnected")

    def _hello(self) -> Json:
        return {
            "type": "hello",
            "num_connections": len(self._connections) + 1,
            "debug_info": {"host": "playground", "approximate_connection_time": 18060},
            "connection_info": {"app_id": self._workspace.app_id},
        }

    async def ready(self) -> None:
        await self._connected.wait()

    async def send(self, kind: str, body: Json, attempt: int, reason: str | None) -> Json | None:
        if not self._connections:
            raise Undelivered("disconnected")
        connection = self._connections[next(self._turn) % len(self._connections)]
        envelope: dict[str, Any] = {
            "type": kind,
            "envelope_id": self._workspace.ids("env-"),
            "payload": body,
            "accepts_response_payload": kind == "interactive",
        }
        if kind == "events_api":
            envelope |= {"retry_attempt": attempt, "retry_reason": reason or ""}
        acked: asyncio.Future[Json | None] = asyncio.get_running_loop().create_future()
        connection.waiting[envelope["envelope_id"]] = acked
        try:
            await connection.send(envelope)
            return await asyncio.wait_for(acked, self.ack_seconds)
        except TimeoutError:
            raise Undelivered("timeout") from None
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise Undelivered("disconnected") from None
        finally:
            del connection.waiting[envelope["envelope_id"]]

    async def ask_to_reconnect(self, reason: str = "refresh_requested") -> None:
        """Send the `disconnect` message to every connection, as Slack does before it closes one."""
        for connection in list(self._connections):
            await connection.send(
                {"type": "disconnect", "reason": reason, "debug_info": {"host": "playground"}}
            )

    async def cut(self) -> None:
        """Close every connection without a word."""
        for connection in list(self._connections):
            self._forget(connection)
            await connection.socket.close(1001)
