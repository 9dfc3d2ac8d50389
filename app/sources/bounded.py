"""Answers that end in a failure when they do not end. Importing this loads httpx2."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx2

from app.sources.failures import SourceFailed


class Bounded(httpx2.AsyncByteStream):
    """A body of at most `most_bytes`; `source` is the short name of the system that sends it."""

    def __init__(self, inner: Any, source: str, most_bytes: int) -> None:
        self._inner = inner
        self._source = source
        self._most_bytes = most_bytes

    async def __aiter__(self) -> AsyncIterator[bytes]:
        size = 0
        async for chunk in self._inner:
            size += len(chunk)
            if size > self._most_bytes:
                reason = f"answered more than {self._most_bytes >> 20} MiB; ask for less."
                raise SourceFailed(self._source, reason)
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Bounds every answer but streams of events, which go on for as long as they are read."""

    def __init__(self, inner: httpx2.AsyncBaseTransport, source: str, most_bytes: int) -> None:
        self._inner = inner
        self._source = source
        self._most_bytes = most_bytes

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if not response.headers.get("content-type", "").startswith("text/event-stream"):
            response.stream = Bounded(response.stream, self._source, self._most_bytes)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()
