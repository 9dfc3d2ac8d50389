"""What a model fake says: replies in order or by a function of the request, with delays and faults."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tests.fakes.wire import CutConnection

TICK_SECONDS = 0.05
"""Deltas of a paced stream are sent this often, several tokens at once, as the real services do."""


@dataclass(frozen=True)
class Call:
    """One tool call of a reply; the fake numbers calls without an id. One that is `cut` ends in mid-argument."""

    name: str
    input: dict[str, Any] = field(default_factory=dict)
    id: str | None = None
    cut: bool = False

    def written(self) -> str:
        """The arguments as a stream brings them."""
        whole = json.dumps(self.input)
        return whole[: len(whole) // 2] if self.cut else whole


@dataclass(frozen=True)
class Reply:
    """One answer of the model, or one way of failing.

    The model is silent for `first_token_seconds`, and until `waits_for` is set. `fault` strikes after
    `fault_after` pieces of text: `overloaded` is an error event inside the open stream, `cut` drops the
    connection, `hang` sends nothing more, `pings` nothing but signs of life. `message` is the words of an
    error.
    """

    text: str = ""
    calls: tuple[Call, ...] = ()
    first_token_seconds: float = 0
    tokens_per_second: float | None = None
    status: int = 200
    retry_after: float | None = None
    fault: Literal["overloaded", "cut", "hang", "pings"] | None = None
    fault_after: int = 2
    stop_reason: str | None = None
    message: str | None = None
    waits_for: asyncio.Event | None = None

    async def silence(self) -> None:
        await asyncio.sleep(self.first_token_seconds)
        if self.waits_for:
            await self.waits_for.wait()


def say(text: str = "", *calls: Call, **options: Any) -> Reply:
    return Reply(text, calls, **options)


def call(name: str, id: str | None = None, **arguments: Any) -> Call:
    return Call(name, arguments, id)


def conclude(confidence: float = 0.9, **arguments: Any) -> Call:
    return Call("conclude", {"confidence": confidence, **arguments})


def wrong_key() -> Reply:
    return Reply(status=401)


def rate_limited(retry_after: float | None = None) -> Reply:
    return Reply(status=429, retry_after=retry_after)


def overloaded() -> Reply:
    return Reply(status=529)


Respond = Callable[[dict[str, Any]], Reply]


class Script:
    """Answers requests with `replies` in order (`repeat`: the last one for ever) or by a function."""

    def __init__(self, replies: Iterable[Reply] | Respond, *, repeat: bool = False) -> None:
        self._respond = replies if callable(replies) else None
        self._replies = [] if callable(replies) else list(replies)
        self._repeat = repeat
        self._numbered = 0

    def add(self, *replies: Reply) -> None:
        self._replies += replies

    def next(self, body: dict[str, Any]) -> Reply:
        """The reply to one request.

        Raises:
            AssertionError: the script is used up: the program asked the model once more than it should.
        """
        if self._respond is not None:
            reply = self._respond(body)
        elif not self._replies:
            raise AssertionError("the model was asked once more than the script says")
        elif self._repeat and len(self._replies) == 1:
            reply = self._replies[0]
        else:
            reply = self._replies.pop(0)
        return replace(reply, calls=tuple(self._number(each) for each in reply.calls))

    def _number(self, each: Call) -> Call:
        if each.id is not None:
            return each
        self._numbered += 1
        return replace(each, id=f"call_{self._numbered:04d}")


def tokens(text: str) -> list[str]:
    """Pieces that stand for tokens: a word with the space before it, at most 8 characters."""
    return re.findall(r"\s?\S{1,8}|\s+", text)


async def paced(reply: Reply, event: Callable[[str], bytes], fault: bytes = b"") -> AsyncIterator[bytes]:
    """The text of a reply as encoded deltas, at its speed and with its fault."""
    pieces = tokens(reply.text)
    await reply.silence()
    step = 4 if reply.tokens_per_second is None else max(1, round(reply.tokens_per_second * TICK_SECONDS))
    if reply.fault:
        step = 1
    for start in range(0, len(pieces), step):
        if reply.fault and start >= reply.fault_after:
            break
        yield event("".join(pieces[start : start + step]))
        if reply.tokens_per_second is not None:
            await asyncio.sleep(step / reply.tokens_per_second)
    if reply.fault == "overloaded":
        yield fault
    elif reply.fault == "cut":
        # Let what was written reach the reader: an abort may discard it.
        await asyncio.sleep(0.02)
        raise CutConnection
    elif reply.fault == "hang":
        await asyncio.sleep(3600)
    while reply.fault == "pings":
        yield b": ping\n\n"
        await asyncio.sleep(TICK_SECONDS)
