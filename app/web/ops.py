"""What the cluster may reach: liveness, readiness, and the alerts that wait and were lately."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence

from fastapi import FastAPI
from fastapi.responses import JSONResponse

from app.web.alerts import AlertReader, alert_routes
from app.web.refusing import answer_refusals

Check = Callable[[], Awaitable[bool]]


def ops_app(
    checks: Mapping[str, Check],
    *,
    draining: Callable[[], bool],
    notices: Callable[[], Sequence[str]] = tuple,
    alerts: AlertReader | None = None,
    token: str | None = None,
) -> FastAPI:
    """The app on `OPS_PORT`; `checks` are what readiness asks, by name, `notices` what it says besides.
    Without `alerts` there are no routes to them; `token` guards them."""
    app = FastAPI(title="SRE Agent operations")
    answer_refusals(app)

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

    if alerts is not None:
        app.include_router(alert_routes(alerts, token))
    return app
