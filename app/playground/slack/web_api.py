"""The `/api/…` routes: who may call, how often, and how Slack words the answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.playground.slack.arguments import Arguments
from app.playground.slack.desk import Desk
from app.playground.slack.faults import CallFault
from app.playground.slack.journal import ApiCall, Journal
from app.playground.slack.methods import METHODS, Call, Method
from app.playground.slack.records import Json
from app.playground.slack.refusal import RateLimited, SlackRefusal

Sleep = Callable[[float], Awaitable[None]]


class WebApi:
    """Answers Web API calls and writes each into the journal."""

    def __init__(self, desk: Desk, journal: Journal, sleep: Sleep = asyncio.sleep) -> None:
        self._desk = desk
        self._journal = journal
        self._sleep = sleep

    async def respond(self, request: Request) -> Response:
        method = request.path_params["method"]
        workspace = self._desk.workspace
        arguments, malformed = await _read(request)
        logged = ApiCall(method, {k: v for k, v in arguments.items() if k != "token"}, workspace.clock())
        self._journal.calls.append(logged)
        workspace.changed("call", item=logged)
        fault = self._desk.faults.calls.take(method)
        if fault and (early := self._spoil(fault)):
            return self._answered(logged, early)
        if fault and fault.kind == "drop" and not fault.applied:
            return await _cut(request)
        body, status, headers = self._answer(request, method, arguments, malformed)
        if fault and fault.kind == "drop":
            return await _cut(request)
        if fault and fault.kind == "status":
            return self._answered(logged, Response("upstream trouble", fault.status))
        if fault and fault.kind == "delay":
            await self._sleep(fault.seconds)
        return self._answered(logged, JSONResponse(body, status, headers), body)

    def _answered(self, logged: ApiCall, response: Response, body: Json | None = None) -> Response:
        logged.status, logged.answer = response.status_code, body
        logged.answered_at = self._desk.workspace.clock()
        self._desk.workspace.changed("call", item=logged)
        return response

    def _spoil(self, fault: CallFault) -> Response | None:
        """The answer of a call that is not applied at all."""
        if fault.kind == "limited":
            headers = {"Retry-After": str(fault.retry_after)}
            return JSONResponse({"ok": False, "error": "ratelimited"}, 429, headers)
        if fault.kind == "status" and not fault.applied:
            return Response("upstream trouble", fault.status)
        if fault.kind == "error":
            return JSONResponse({"ok": False, "error": fault.error})
        return None

    def _answer(
        self, request: Request, name: str, arguments: Json, malformed: str | None
    ) -> tuple[Json, int, dict[str, str]]:
        scopes = {"X-OAuth-Scopes": ",".join(sorted(self._desk.workspace.scopes))}
        try:
            if malformed:
                raise SlackRefusal(malformed)
            return {"ok": True} | self._perform(request, name, arguments), 200, scopes
        except RateLimited as limited:
            return {"ok": False, "error": "ratelimited"}, 429, {"Retry-After": str(limited.retry_after)}
        except SlackRefusal as refusal:
            body: Json = {"ok": False, "error": refusal.error} | refusal.fields
            if refusal.details:
                body["response_metadata"] = {"messages": list(refusal.details)}
            return body, 200, scopes

    def _perform(self, request: Request, name: str, arguments: Json) -> Json:
        workspace = self._desk.workspace
        method = METHODS.get(name)
        if method is None:
            raise SlackRefusal("unknown_method")
        self._authenticate(request, method, arguments)
        if method.scopes and not workspace.scopes & set(method.scopes):
            workspace.demand_scope(method.scopes[0])
        workspace.limiter.take(name, method.rate, str(arguments.get("channel") or ""))
        given = Arguments({key: value for key, value in arguments.items() if key != "token"})
        if name != "api.test":
            given.check_names(method.arguments)
        return method.handle(Call(self._desk, given))

    def _authenticate(self, request: Request, method: Method, arguments: Json) -> None:
        if method.token == "none":
            return
        workspace = self._desk.workspace
        header = request.headers.get("authorization", "")
        token = header.removeprefix("Bearer ").strip() if header else arguments.get("token")
        if not token:
            raise SlackRefusal("not_authed")
        known = {workspace.bot_token: "bot", workspace.app_token: "app"}
        if token not in known:
            raise SlackRefusal("invalid_auth")
        if known[token] != method.token:
            raise SlackRefusal("not_allowed_token_type")


async def _read(request: Request) -> tuple[Json, str | None]:
    """The call's arguments, and the error when its body cannot be read."""
    arguments: Json = dict(request.query_params)
    kind = request.headers.get("content-type", "").split(";")[0].strip()
    if kind == "application/json":
        try:
            body: Any = json.loads(await request.body() or b"{}")
        except ValueError:
            return arguments, "invalid_json"
        if not isinstance(body, dict):
            return arguments, "json_not_object"
        arguments |= body
    elif kind in ("application/x-www-form-urlencoded", "multipart/form-data"):
        form = await request.form()
        arguments |= {key: value for key, value in form.items() if isinstance(value, str)}
    elif kind and await request.body():
        return arguments, "invalid_post_type"
    return arguments, None


async def _cut(request: Request) -> Response:
    """Close the connection instead of answering."""
    abort = request.scope.get("playground.abort")
    if abort is not None:
        abort()
    # The transport tells the protocol of its end in the next turn of the loop; an answer sent before that
    # would be reported as an error of the server.
    await asyncio.sleep(0)
    return Response(status_code=502)
