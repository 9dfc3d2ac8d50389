"""A model streams word by word; here a few words become one event before anybody has to look at them.

An event costs the SDK and the model layer half a millisecond of CPU, and a hundred answers at once bring six
thousand of them a second. Nobody sees the difference: Slack is told of the text once a second.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import httpx2

GATHER_SECONDS = 0.1
"""How long text may lie in the socket behind other text."""
LONGEST_SECONDS = 0.6
PATIENCE = 8
"""By how many times of what the event loop is late the pauses grow: the busier, the larger the pieces."""

Sleep = Callable[[float], Awaitable[Any]]


def gathering(client: type[httpx2.AsyncClient]) -> type[httpx2.AsyncClient]:
    """The same client, whose event streams arrive gathered."""

    class Gathering(client):  # type: ignore[misc,valid-type]
        async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
            response: httpx2.Response = await super().send(request, **options)
            plain = "content-encoding" not in response.headers
            if plain and response.headers.get("content-type", "").startswith("text/event-stream"):
                response.stream = GatheredStream(response.stream)
            return response

    return Gathering


class GatheredStream(httpx2.AsyncByteStream):
    """A response's bytes: the first text at once, then what has come in every `seconds`, merged.

    What is no text, a call of a tool or the end, is waited for by those who act on it: it comes at once.
    """

    def __init__(
        self,
        inner: Any,
        *,
        seconds: float = GATHER_SECONDS,
        sleep: Sleep = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._inner = inner
        self._seconds = seconds
        self._sleep = sleep
        self._clock = clock

    async def __aiter__(self) -> AsyncIterator[bytes]:
        rest, pause = b"", self._seconds
        async for chunk in self._inner:
            whole, rest = _whole_events(rest + chunk)
            if not whole:
                continue
            yield b"".join(merged(whole))
            if _text_of(whole[-1]):
                # What comes meanwhile waits in the socket and is read at once.
                late = await self._pause(pause)
                pause = min(self._seconds + PATIENCE * late, LONGEST_SECONDS)
        if rest:
            yield rest

    async def _pause(self, seconds: float) -> float:
        """By how much longer it took."""
        began = self._clock()
        await self._sleep(seconds)
        return max(self._clock() - began - seconds, 0)

    async def aclose(self) -> None:
        await self._inner.aclose()


def merged(events: list[bytes]) -> Iterator[bytes]:
    """The events, runs of text of one block joined; every other event as it is, byte for byte."""
    run: list[bytes] = []
    words: list[str] = []
    place: object = None
    for event in events:
        found = _text_of(event)
        if found is None or found[0] != place:
            yield from _joined(run, words)
            run, words, place = [], [], found and found[0]
        if found is None:
            yield event
        else:
            run.append(event)
            words.append(found[1])
    yield from _joined(run, words)


def _joined(run: list[bytes], words: list[str]) -> Iterator[bytes]:
    if len(run) < 2:
        yield from run
        return
    head, body = _data_of(run[0])
    _set_text(body, "".join(words))
    yield head + b"data: " + json.dumps(body).encode() + b"\n\n"


def _whole_events(data: bytes) -> tuple[list[bytes], bytes]:
    """Events end with an empty line; the last piece may not have come in full."""
    *whole, rest = data.replace(b"\r\n", b"\n").split(b"\n\n")
    return [event + b"\n\n" for event in whole], rest


def _data_of(event: bytes) -> tuple[bytes, Any]:
    """What stands before the data, and the data."""
    head, _, data = event.partition(b"data:")
    return head, json.loads(data)


def _text_of(event: bytes) -> tuple[object, str] | None:
    """Which block's text an event adds to, and the text; None for every other kind of event.

    https://docs.claude.com/en/docs/build-with-claude/streaming (`content_block_delta` with `text_delta`) and
    https://platform.openai.com/docs/api-reference/chat-streaming (`delta` with `content` alone)
    """
    if b"text_delta" not in event and b'"content"' not in event:
        return None
    try:
        _, body = _data_of(event)
        if body.get("type") == "content_block_delta":
            delta = body["delta"]
            plain = delta.keys() == {"type", "text"} and isinstance(delta["text"], str)
            return (body["index"], delta["text"]) if plain else None
        [choice] = body["choices"]
        words = choice["delta"]["content"]
        alone = choice["delta"].keys() <= {"content", "role"} and not choice.get("finish_reason")
        # Some servers send a list of parts: that is left as it is.
        plain = alone and words and isinstance(words, str) and not body.get("usage")
        return ((body["id"], choice["index"]), words) if plain else None
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _set_text(body: Any, text: str) -> None:
    if body.get("type") == "content_block_delta":
        body["delta"]["text"] = text
    else:
        body["choices"][0]["delta"]["content"] = text
