"""What the cluster may reach: probes, figures, the alerts that wait and were lately, and the pages of `/ops`.

OPS_AUTH_TOKEN guards what says more than a probe needs, once it is set. Without it the pages that only read
are open on a port of their own, and absent where the internet shares it; what changes something is absent.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from fastapi import APIRouter, Depends, FastAPI
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.operations.operations import Operations
from app.web.alerts import AlertReader, alert_routes
from app.web.floods import FailedProofs
from app.web.operations import control_routes, metrics_route, operation_routes
from app.web.refusing import Refusal, answer_refusals
from app.web.tracing import Traced
from app.web.webhooks.refusals import NotProven

log = structlog.get_logger(__name__)

Check = Callable[[], Awaitable[bool]]
CONTROLS = ("/ops/loglevel", "/ops/drain")
READS = ("/alerts", "/ops", "/metrics")


def ops_app(
    checks: Mapping[str, Check],
    *,
    draining: Callable[[], bool],
    notices: Callable[[], Sequence[str]] = tuple,
    alerts: AlertReader | None = None,
    operations: Operations | None = None,
    token: str | None = None,
    own_port: bool = True,
    failed: FailedProofs | None = None,
) -> FastAPI:
    """The app on `OPS_PORT`; `checks` are what readiness asks, by name, `notices` what it says besides.
    Without `alerts` or `operations` there are no routes to them."""
    app = FastAPI(title="SRE Agent operations")
    app.add_middleware(Traced)
    answer_refusals(app, failed)

    @app.get("/healthz")
    @app.get("/health", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        """The process runs and its event loop turns."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        """200 when every part has answered and knowledge is loaded; else 503 with what lacks. What is wrong
        and stops nothing, such as a refused knowledge revision, is in `notices`."""
        answers = {name: await check() for name, check in checks.items()}
        answers["not draining"] = not draining()
        ready = all(answers.values())
        body = {"ready": ready, "checks": answers, "notices": list(notices())}
        return JSONResponse(body, 200 if ready else 503)

    guarded = _guarded(token)
    if token is None:
        for route in CONTROLS:
            log.info("route_off", route=route, needs="OPS_AUTH_TOKEN")
    if token is None and not own_port:
        for route in READS:
            log.info("route_off", route=route, needs="OPS_AUTH_TOKEN, or an OPS_PORT of its own")
    else:
        if alerts is not None:
            guarded.include_router(alert_routes(alerts))
        if operations is not None:
            guarded.include_router(operation_routes(operations))
            # Scrapers of the cluster carry no token; where the internet shares the port they must.
            (app if own_port else guarded).include_router(metrics_route(operations))
    if token is not None and operations is not None:
        guarded.include_router(control_routes(operations.controls))
    app.include_router(guarded)
    return app


def _guarded(token: str | None) -> APIRouter:
    """Routes that demand `token` when there is one."""
    if token is None:
        return APIRouter()
    refusals: dict[int | str, dict[str, Any]] = {status: {"model": Refusal} for status in (401, 429)}
    return APIRouter(dependencies=[Depends(_guard(token))], responses=refusals)


def _guard(token: str) -> Callable[[HTTPAuthorizationCredentials | None], Awaitable[None]]:
    scheme = HTTPBearer(auto_error=False, description="OPS_AUTH_TOKEN")

    async def prove(given: HTTPAuthorizationCredentials | None = Depends(scheme)) -> None:
        if given is None or not hmac.compare_digest(given.credentials.encode(), token.encode()):
            raise NotProven("Send OPS_AUTH_TOKEN as “Authorization: Bearer …”.")

    return prove
