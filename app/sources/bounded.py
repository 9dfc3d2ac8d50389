"""Answers that end in a failure when they do not end. Importing this loads httpx2.

Bytes are counted as they come, so no answer may come compressed: 600 KB of it can be 600 MB.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2

from app.sources.failures import SourceFailed

EMPTY_LINE = re.compile(rb"\n\n|\r\r|\r\n\r\n")
"""https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream"""


async def ask_bounded(
    inner: httpx2.AsyncBaseTransport, request: httpx2.Request, source: str, most_bytes: int
) -> httpx2.Response:
    """The answer with a `Bounded` body.

    Raises:
        SourceFailed: it comes compressed, which was not asked for.
    """
    request.headers["Accept-Encoding"] = "identity"
    response = await inner.handle_async_request(request)
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        await response.aclose()
        raise SourceFailed(source, "answered compressed, though it was asked not to.")
    # What is streamed event by event goes on for as long as it is read; one event does not.
    streamed = response.headers.get("content-type", "").lower().startswith("text/event-stream")
    response.stream = Bounded(response.stream, source, most_bytes, by_event=streamed)
    return response


class Bounded(httpx2.AsyncByteStream):
    """A body of at most `most_bytes`, or a stream of events of at most so many each; `source` is the short
    name of the system that sends it."""

    def __init__(self, inner: Any, source: str, most_bytes: int, *, by_event: bool = False) -> None:
        self._inner = inner
        self._source = source
        self._most_bytes = most_bytes
        self._by_event = by_event

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size, end = 0, b""
        async for chunk in self._inner:
            if self._by_event:
                # An empty line ends an event; which of a chunk's bytes were before it matters little.
                size = 0 if EMPTY_LINE.search(end + chunk) else size
                end = chunk[-3:]
            size += len(chunk)
            if size > self._most_bytes:
                reason = f"answered more than {self._most_bytes >> 20} MiB; ask for less."
                raise SourceFailed(self._source, reason)
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Bounds every answer, see `ask_bounded`."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, source: str, most_bytes: int) -> None:
        self._inner = inner
        self._source = source
        self._most_bytes = most_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        return await ask_bounded(self._inner, request, self._source, self._most_bytes)

    async def aclose(self) -> None:
        await self._inner.aclose()
