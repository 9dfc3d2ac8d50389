"""A wire-level fake of Anthropic's Messages API and its prompt cache; also `python -m tests.fakes.anthropic`.

The cache is the documented one (https://platform.claude.com/docs/en/build-with-claude/prompt-caching): the
prompt is tools, system, messages in this order; a prefix is stored at each `cache_control` breakpoint (at
the top of the request it stands for the last block) and found again up to 20 blocks before a breakpoint.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import count, pairwise
from typing import Any

from tests.fakes.script import Reply, Respond, Script, paced, tokens
from tests.fakes.wire import Request, Response, WireServer, json_response

LOOKBACK_BLOCKS = 20
BYTES_PER_TOKEN = 4
ERRORS = {
    400: ("invalid_request_error", "the request is not valid"),
    401: ("authentication_error", "invalid x-api-key"),
    404: ("not_found_error", "no such model"),
    429: ("rate_limit_error", "slow down"),
    500: ("api_error", "internal server error"),
    529: ("overloaded_error", "Overloaded"),
}


class PromptCache:
    """Prefixes by running digest; what was read and written follows from requests that really share bytes."""

    def __init__(self) -> None:
        self._stored: set[bytes] = set()

    def usage(self, body: dict[str, Any]) -> dict[str, int]:
        digests, sizes, breakpoints = [], [], []
        seal, total = hashlib.blake2b(digest_size=16), 0
        for index, (block, marked) in enumerate(blocks(body)):
            seal.update(block)
            total += len(block)
            digests.append(seal.digest())
            sizes.append(total // BYTES_PER_TOKEN)
            if marked:
                breakpoints.append(index)
        if body.get("cache_control") and digests:
            breakpoints.append(len(digests) - 1)
        read = written = 0
        for index in breakpoints:
            hits = [
                i for i in range(max(0, index - LOOKBACK_BLOCKS), index + 1) if digests[i] in self._stored
            ]
            read = max(read, sizes[hits[-1]] if hits else 0)
            written = sizes[index]
        self._stored.update(digests[index] for index in breakpoints)
        return {
            "input_tokens": (sizes[-1] if sizes else 0) - max(written, read),
            "cache_read_input_tokens": read,
            "cache_creation_input_tokens": max(0, written - read),
        }


def blocks(body: dict[str, Any]) -> Iterator[tuple[bytes, bool]]:
    """Every block of the prompt in cache order, without its `cache_control`, and whether it carried one."""
    for tool in body.get("tools", ()):
        yield _block("tool", tool)
    system = body.get("system", ())
    for part in [{"type": "text", "text": system}] if isinstance(system, str) else system:
        yield _block("system", part)
    for message in body.get("messages", ()):
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            yield _block(message["role"], part)


def _block(role: str, part: dict[str, Any]) -> tuple[bytes, bool]:
    bare = {name: value for name, value in part.items() if name != "cache_control"}
    return f"{role}\0{json.dumps(bare)}\0".encode(), "cache_control" in part


def assert_extends(*bodies: dict[str, Any]) -> None:
    """Every request's prompt begins with the whole prompt of the one before, byte for byte."""
    for before, after in pairwise(bodies):
        known, now = ([block for block, _ in blocks(body)] for body in (before, after))
        assert now[: len(known)] == known, f"the prefix changed:\n{known}\n{now}"
        assert len(now) > len(known)


def tool_results(body: dict[str, Any]) -> list[str]:
    """The tool results in the last message of a request, as the model reads them."""
    return [
        "".join(text["text"] for text in part["content"])
        for part in body["messages"][-1]["content"]
        if part["type"] == "tool_result"
    ]


class FakeAnthropic(WireServer):
    """The API on 127.0.0.1: answers `script`, keeps every request body in `requests`.

    `key` is the only key accepted when given; `keep` bounds the journal for long benchmarks.
    """

    def __init__(
        self,
        script: Script | Iterable[Reply] | Respond = (),
        *,
        key: str | None = None,
        keep: int | None = None,
        port: int = 0,
    ) -> None:
        super().__init__(self._answer, port)
        self.script = script if isinstance(script, Script) else Script(script)
        self.requests: list[dict[str, Any]] = []
        self.usages: list[dict[str, int]] = []
        self._key = key
        self._keep = keep
        self._cache = PromptCache()
        self._ids = count(1)

    async def _answer(self, request: Request) -> Response:
        if request.path != "/v1/messages":
            return _error(404)
        given = request.headers.get("x-api-key") or request.headers.get("authorization", "").removeprefix(
            "Bearer "
        )
        if self._key is not None and given != self._key:
            return _error(401)
        body = request.json()
        if self._keep is None or len(self.requests) < self._keep:
            self.requests.append(body)
        try:
            reply = self.script.next(body)
        except AssertionError as error:
            return _error(400, message=str(error))
        if reply.status != 200:
            return _error(reply.status, reply.retry_after, reply.message)
        usage = self._cache.usage(body)
        if self._keep is None or len(self.usages) < self._keep:
            self.usages.append(usage)
        message = {
            "id": f"msg_{next(self._ids):06d}",
            "type": "message",
            "role": "assistant",
            "model": body["model"],
            "stop_sequence": None,
        }
        output = len(tokens(reply.text)) + sum(len(json.dumps(each.input)) // 4 + 8 for each in reply.calls)
        if body.get("stream"):
            stream = _events(reply, message, usage, output)
            return Response(200, stream, {"content-type": "text/event-stream; charset=utf-8"})
        await reply.silence()
        whole = {
            **message,
            "content": _content(reply),
            "stop_reason": _stop_reason(reply),
            "usage": {**usage, "output_tokens": output},
        }
        return json_response(200, whole)


def _error(status: int, retry_after: float | None = None, message: str | None = None) -> Response:
    kind, usual = ERRORS.get(status, ("api_error", "error"))
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return json_response(
        status, {"type": "error", "error": {"type": kind, "message": message or usual}}, headers
    )


def _content(reply: Reply) -> list[dict[str, Any]]:
    text = [{"type": "text", "text": reply.text}] if reply.text else []
    return text + [
        {"type": "tool_use", "id": each.id, "name": each.name, "input": each.input} for each in reply.calls
    ]


def _stop_reason(reply: Reply) -> str:
    return reply.stop_reason or ("tool_use" if reply.calls else "end_turn")


def _sse(kind: str, **data: Any) -> bytes:
    return f"event: {kind}\ndata: {json.dumps({'type': kind, **data})}\n\n".encode()


async def _events(
    reply: Reply, message: dict[str, Any], usage: dict[str, int], output: int
) -> AsyncIterator[bytes]:
    start = {**message, "content": [], "stop_reason": None, "usage": {**usage, "output_tokens": 1}}
    index = 0
    yield _sse("message_start", message=start)
    if reply.text or reply.fault:
        yield _sse("content_block_start", index=0, content_block={"type": "text", "text": ""})
        error = _sse("error", error={"type": "overloaded_error", "message": "Overloaded"})
        async for chunk in paced(reply, _text_delta, error):
            yield chunk
        if reply.fault:
            return
        yield _sse("content_block_stop", index=0)
        index = 1
    else:
        await reply.silence()
    for offset, each in enumerate(reply.calls, index):
        opened = {"type": "tool_use", "id": each.id, "name": each.name, "input": {}}
        yield (
            _sse("content_block_start", index=offset, content_block=opened)
            + _sse(
                "content_block_delta",
                index=offset,
                delta={"type": "input_json_delta", "partial_json": each.written()},
            )
            + _sse("content_block_stop", index=offset)
        )
    yield _sse(
        "message_delta",
        delta={"stop_reason": _stop_reason(reply), "stop_sequence": None},
        usage={"output_tokens": output},
    ) + _sse("message_stop")


def _text_delta(text: str) -> bytes:
    return _sse("content_block_delta", index=0, delta={"type": "text_delta", "text": text})


async def _serve(options: argparse.Namespace) -> None:
    answer = " ".join(["word"] * options.tokens) + "."
    reply = Reply(answer, (), options.first_token, options.speed or None)
    async with FakeAnthropic(lambda body: reply, port=options.port, keep=0) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--first-token", type=float, default=0.3, help="seconds")
    parser.add_argument("--speed", type=float, default=60, help="tokens a second; 0 for at once")
    parser.add_argument("--tokens", type=int, default=120, help="length of every answer")
    asyncio.run(_serve(parser.parse_args()))
