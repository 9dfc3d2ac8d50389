"""How a refusal is answered, on either port: its code, and a sentence its reader can act on.

Whoever fails to prove who they are again and again is answered 429; whoever proves it is never affected.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import structlog
from fastapi import Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.applications import Starlette
from starlette.exceptions import HTTPException

from app.errors import AgentError
from app.web.floods import FailedProofs, TooManyFailures

log = structlog.get_logger(__name__)


class Refusal(BaseModel):
    error: str
    reason: str


class BadRequest(AgentError):
    """A path or a query that says something else than it should."""

    code = "bad_request"
    status = 422


UNPROVEN = (401, 413)
"""Refused before anybody knows who asks: no proof, a wrong one, or a body too large to look for one."""


def answer_refusals(app: Starlette, failed: FailedProofs | None = None) -> None:
    failed = FailedProofs() if failed is None else failed  # an empty one is false

    async def refuse(request: Request, error: AgentError) -> JSONResponse:
        headers = {503: {"Retry-After": "5"}, 401: {"WWW-Authenticate": "Bearer"}}.get(error.status, {})
        who = (request.client.host if request.client else "", _route(request))
        if error.status in UNPROVEN and (wait := failed.count(*who)):
            error = TooManyFailures(wait)
            # The connection too: a new one costs them more than us.
            headers = {"Retry-After": str(wait), "Connection": "close"}
            if failed.is_told(*who):
                return _said(error, headers)
        # One line, without body or query string: they may hold secrets.
        log.warning("request_refused", path=request.url.path, status=error.status, code=error.code)
        return _said(error, headers)

    async def unreadable(request: Request, error: HTTPException) -> Response:
        if error.status_code == HTTPStatus.BAD_REQUEST:
            # What the framework says of a body that is not even text.
            return await refuse(request, BadRequest("The body cannot be read."))
        return await http_exception_handler(request, error)

    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"])
        return await refuse(request, BadRequest(f"{where}: {first['msg']}."))

    # Each takes the errors it is there for, which the framework's types cannot say.
    answers: dict[type[Exception], Any] = {
        AgentError: refuse,
        HTTPException: unreadable,
        RequestValidationError: invalid,
    }
    for kind, answer in answers.items():
        app.add_exception_handler(kind, answer)


def _route(request: Request) -> str:
    """The route as it is written, not one of the many paths it may stand for."""
    return str(getattr(request.scope.get("route"), "path", request.url.path))


def _said(error: AgentError, headers: dict[str, str]) -> JSONResponse:
    refusal = Refusal(error=error.code, reason=error.sentence)
    return JSONResponse(refusal.model_dump(), error.status, headers)
