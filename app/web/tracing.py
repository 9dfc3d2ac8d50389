"""Every request has a trace id: its log lines carry it, and its answer says it in `X-Trace-Id`."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, bound_contextvars

from app.tracing import HEADER, current_trace_id

NAME = HEADER.lower().encode()


class Traced:
    """Around an app. An id that the sender made up is not taken over: anybody may send one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": _with_id(message.get("headers", []))}
            await send(message)

        with bound_contextvars(trace_id=uuid4().hex):
            await self._app(scope, receive, told)


def go_on_as(trace_id: str) -> None:
    """The request turned out to belong to this trace: from here on its log lines and its answer say so."""
    bind_contextvars(trace_id=trace_id)


def _with_id(headers: Any) -> list[tuple[bytes, bytes]]:
    if any(name.lower() == NAME for name, _ in headers):
        return list(headers)
    return [*headers, (NAME, (current_trace_id() or "").encode())]
