"""The model of the benchmarks: a fake on the wire in a process of its own, which notes when it said what.

    python -m benchmarks.model          prints its address

`POST /pace` sets how it answers from then on, `GET /journal` hands over the notes since the last time. Which
thread and turn a request belongs to stands in its newest question as `t0017r0003`. What it says in a
diagnosis is in `benchmarks.diagnosing`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import diagnosing
from tests.fakes.anthropic import FakeAnthropic, blocks
from tests.fakes.script import Reply, call, conclude
from tests.fakes.wire import Request, Response, json_response

MARK = re.compile(rb"t(\d{4})r(\d{4})")
ANSWER_TOKENS = 120
TOOL_CALL_EVERY = 3
FIRST_TOKEN_SECONDS = 0.3
TOKENS_PER_SECOND = 60.0
READ = ("read_service_file", {"service": "checkout", "path": "internal/payments/client.go"})
WORDS = "Checkout waits two seconds for a charge and then it asks again once which its contract allows "


@dataclass(frozen=True)
class Pace:
    """How it answers; without a speed the whole answer comes at once."""

    first_token_seconds: float = FIRST_TOKEN_SECONDS
    tokens_per_second: float | None = TOKENS_PER_SECOND


INSTANT = Pace(0, None)


@dataclass
class Note:
    """One request, in seconds since the epoch. `extends`: its prompt begins with the whole prompt of the
    request before it in the same thread, byte for byte; None for a thread's first request."""

    thread: int
    turn: int
    received: float
    first_text: float | None = None
    ended: float = 0.0
    extends: bool | None = None
    usage: dict[str, int] = field(default_factory=dict)


class ScriptedModel(FakeAnthropic):
    def __init__(self, pace: Pace = INSTANT) -> None:
        super().__init__(self._reply, keep=0)
        self._pace = pace
        self._notes: list[Note] = []
        self._prompts: dict[int, list[bytes]] = {}

    def _reply(self, body: dict[str, Any]) -> Reply:
        pace = (self._pace.first_token_seconds, self._pace.tokens_per_second)
        if diagnosing.is_diagnosis(body):
            return diagnosing.reply(body, *pace)
        if not body.get("tools"):
            return Reply("What was said so far, in short.", (), *pace)
        # After a tool call the newest message holds its result and no question.
        asked = _mark(json.dumps(body["messages"][-1]).encode())[1]
        if asked and asked % TOOL_CALL_EVERY == 0:
            return Reply("", (call(READ[0], **READ[1]),), *pace)
        return Reply(ANSWER, (conclude(0.9),), *pace)

    async def _answer(self, request: Request) -> Response:
        if request.path == "/journal":
            notes, self._notes = self._notes, []
            return json_response(200, [asdict(note) for note in notes])
        if request.path == "/pace":
            self._pace = Pace(**request.json())
            return json_response(200, {})
        note = Note(*_mark(request.body), received=time.time())
        self._notes.append(note)
        note.extends = self._extends(note.thread, request.json())
        response = await super()._answer(request)
        if isinstance(response.body, bytes):
            note.ended = time.time()
            return response
        body = response.body
        if self._pace.tokens_per_second and diagnosing.is_diagnosis(request.json()):
            body = diagnosing.drawn_out(body, self._pace.tokens_per_second)
        return Response(response.status, _noted(body, note), response.headers)

    def _extends(self, thread: int, body: dict[str, Any]) -> bool | None:
        before = self._prompts.get(thread)
        now = [hashlib.blake2b(block, digest_size=16).digest() for block, _ in blocks(body)]
        self._prompts[thread] = now
        return None if before is None else now[: len(before)] == before


async def _noted(body: AsyncIterator[bytes], note: Note) -> AsyncIterator[bytes]:
    async for chunk in body:
        if b"text_delta" in chunk and note.first_text is None:
            note.first_text = time.time()
        elif b"message_start" in chunk:
            data = chunk.partition(b"data: ")[2]
            note.usage = json.loads(data)["message"]["usage"]
        note.ended = time.time()
        yield chunk


def _mark(text: bytes) -> tuple[int, int]:
    """The thread and turn that is named last; zeros when none is."""
    found = MARK.findall(text)
    return (int(found[-1][0]), int(found[-1][1])) if found else (0, 0)


ANSWER = " ".join((WORDS * ANSWER_TOKENS).split()[:ANSWER_TOKENS])


async def _serve() -> None:
    async with ScriptedModel() as model:
        print(model.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve())
