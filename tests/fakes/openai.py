"""A wire-level fake of OpenAI-compatible chat completions: the same scripts as the Anthropic fake."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable
from itertools import count
from typing import Any

from tests.fakes.script import Reply, Respond, Script, paced, tokens
from tests.fakes.wire import Request, Response, WireServer, json_response

PATH = "/v1/chat/completions"
ERRORS = {
    401: ("invalid_api_key", "Incorrect API key provided"),
    404: ("model_not_found", "no such model"),
    429: ("rate_limit_exceeded", "slow down"),
    503: ("server_overloaded", "overloaded"),
}


class FakeOpenAI(WireServer):
    """The API on 127.0.0.1 (base URL: `url + "/v1"`); keeps every request body in `requests`."""

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
        self._key = key
        self._keep = keep
        self._ids = count(1)

    async def _answer(self, request: Request) -> Response:
        if request.path != PATH:
            return _error(404)
        if self._key is not None and request.headers.get("authorization") != f"Bearer {self._key}":
            return _error(401)
        body = request.json()
        if self._keep is None or len(self.requests) < self._keep:
            self.requests.append(body)
        try:
            reply = self.script.next(body)
        except AssertionError as error:
            return _error(400, message=str(error))
        if reply.status != 200:
            # The Anthropic status for "overloaded" has another number here.
            return _error(503 if reply.status == 529 else reply.status, reply.retry_after, reply.message)
        head = {"id": f"chatcmpl-{next(self._ids)}", "created": 1_700_000_000, "model": body["model"]}
        usage = _usage(body, reply)
        if body.get("stream"):
            return Response(200, _chunks(reply, head, usage), {"content-type": "text/event-stream"})
        await reply.silence()
        message = {"role": "assistant", "content": reply.text or None, "tool_calls": _calls(reply) or None}
        choice = {"index": 0, "message": message, "finish_reason": _finish(reply)}
        return json_response(200, {**head, "object": "chat.completion", "choices": [choice], "usage": usage})


def _error(status: int, retry_after: float | None = None, message: str | None = None) -> Response:
    code, usual = ERRORS.get(status, ("error", "error"))
    headers = {} if retry_after is None else {"retry-after": f"{retry_after:g}"}
    return json_response(
        status, {"error": {"message": message or usual, "type": code, "code": code, "param": None}}, headers
    )


def _usage(body: dict[str, Any], reply: Reply) -> dict[str, int]:
    read = len(json.dumps(body["messages"])) // 4
    written = len(tokens(reply.text)) + 10 * len(reply.calls)
    return {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}


def _finish(reply: Reply) -> str:
    return reply.stop_reason or ("tool_calls" if reply.calls else "stop")


def _calls(reply: Reply) -> list[dict[str, Any]]:
    return [
        {
            "id": each.id,
            "type": "function",
            "function": {"name": each.name, "arguments": each.written()},
        }
        for each in reply.calls
    ]


async def _chunks(reply: Reply, head: dict[str, Any], usage: dict[str, int]) -> AsyncIterator[bytes]:
    def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return _data({**head, "object": "chat.completion.chunk", "choices": [choice]})

    yield chunk({"role": "assistant", "content": ""})
    fault = _data({"error": {"message": "overloaded", "type": "server_error", "code": 503}})
    async for piece in paced(reply, lambda text: chunk({"content": text}), fault):
        yield piece
    if reply.fault:
        return
    for index, each in enumerate(_calls(reply)):
        yield chunk({"tool_calls": [{"index": index, **each}]})
    yield chunk({}, _finish(reply))
    yield _data({**head, "object": "chat.completion.chunk", "choices": [], "usage": usage})
    yield b"data: [DONE]\n\n"


def _data(body: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(body)}\n\n".encode()
