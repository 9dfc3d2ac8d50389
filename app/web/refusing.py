"""How a refusal is answered, on either port: its code, and a sentence its reader can act on."""

from __future__ import annotations

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from app.errors import AgentError

log = structlog.get_logger(__name__)


class Refusal(BaseModel):
    error: str
    reason: str


class BadRequest(AgentError):
    """A path or a query that says something else than it should."""

    code = "bad_request"
    status = 422


def answer_refusals(app: FastAPI) -> None:
    @app.exception_handler(AgentError)
    async def refuse(request: Request, error: AgentError) -> JSONResponse:
        # One line, without body or query string: they may hold secrets.
        log.warning("request_refused", path=request.url.path, status=error.status, code=error.code)
        headers = {503: {"Retry-After": "5"}, 401: {"WWW-Authenticate": "Bearer"}}.get(error.status)
        said = Refusal(error=error.code, reason=error.sentence)
        return JSONResponse(said.model_dump(), error.status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"])
        return await refuse(request, BadRequest(f"{where}: {first['msg']}."))
