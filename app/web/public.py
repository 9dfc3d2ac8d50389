"""What the internet may reach: Slack's events, GitHub's pushes, and the webhooks that tell of alerts.

Nothing is answered 2xx before it is stored.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Protocol

import structlog
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.settings import AlertSettings
from app.web.floods import FailedProofs
from app.web.refusing import answer_refusals
from app.web.tracing import Traced
from app.web.webhooks.body import read_body
from app.web.webhooks.counting import counted
from app.web.webhooks.refusals import Draining, NotProven, NotUnderstood
from app.web.webhooks.route import add_routes
from app.web.webhooks.source import Door, discover

log = structlog.get_logger(__name__)


class EventsAnswer(Protocol):
    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> dict[str, str]: ...

    @property
    def body(self) -> str: ...


class SlackEvents(Protocol):
    """Slack's door: verifies a raw request and lets the listeners store what it brings."""

    async def answer(self, headers: dict[str, str], body: bytes) -> EventsAnswer: ...


class _Repository(BaseModel):
    model_config = ConfigDict(extra="ignore")
    full_name: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,100}/[A-Za-z0-9_.-]{1,100}$")


class Push(BaseModel):
    """The part of GitHub's `push` event we use.

    https://docs.github.com/en/webhooks/webhook-events-and-payloads#push
    """

    model_config = ConfigDict(extra="ignore")
    ref: str
    repository: _Repository


def public_app(
    *,
    slack: SlackEvents | None,
    github_secret: str | None,
    on_push: Callable[[Push], Awaitable[None]],
    draining: Callable[[], bool],
    alerts: Door | None = None,
    alert_settings: AlertSettings | None = None,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    failed: FailedProofs | None = None,
) -> Starlette:
    """The app on `PORT`. A route whose secret is not set is absent (404).

    It reads bodies by itself and describes itself to nobody, so it goes without the layers that would: they
    cost a good part of the time an alert takes. `alerts` is where the webhooks' alerts go; without it, or its
    settings, they have no routes.
    """
    app = Starlette()
    app.add_middleware(Traced)
    answer_refusals(app, failed)

    if slack is not None:

        async def slack_events(request: Request) -> Response:
            if draining():
                raise Draining("This replica is shutting down; another takes it.")
            answer = await slack.answer(dict(request.headers), await read_body(request))
            return Response(answer.body, answer.status, answer.headers)

        app.add_route("/slack/events", slack_events, methods=["POST"])

    if github_secret is None:
        log.info("route_off", route="/webhooks/github", needs="GITHUB_WEBHOOK_SECRET")
    else:

        async def github(request: Request) -> Response:
            with counted("github") as outcome:
                body = await read_body(request)
                check_github_signature(request.headers.get("X-Hub-Signature-256", ""), body, github_secret)
                outcome.ignored = (event := request.headers.get("X-GitHub-Event")) != "push"
                if outcome.ignored:
                    why = f"{event} events change nothing here"
                    return JSONResponse({"status": "ignored", "reason": why}, 202)
                await on_push(pushed(body))
            return JSONResponse({"status": "queued"}, 202)

        app.add_route("/webhooks/github", github, methods=["POST"])

    if alerts is not None and alert_settings is not None:
        add_routes(app, discover(alert_settings), alerts, draining=draining, clock=clock)
    return app


def pushed(body: bytes) -> Push:
    try:
        return Push.model_validate_json(body)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise NotUnderstood(f"The push event lacks a usable {where or 'body'}.") from error


def check_github_signature(header: str, body: bytes, secret: str) -> None:
    """https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries"""
    wanted = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(header.encode(), wanted.encode()):
        raise NotProven("The signature does not fit; is GITHUB_WEBHOOK_SECRET the webhook's secret?")
