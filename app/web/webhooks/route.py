"""`POST /webhooks/<source>`: proven, read, stored, answered — in this order."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse

from app import tracing
from app.investigations.alert import Alert
from app.investigations.intake import Accepted
from app.web.tracing import go_on_as
from app.web.webhooks.body import read_body
from app.web.webhooks.counting import counted
from app.web.webhooks.refusals import Draining, NotUnderstood
from app.web.webhooks.source import Door, Head, Ignored, Off, WebhookSource

log = structlog.get_logger(__name__)

Endpoint = Callable[[Request], Awaitable[JSONResponse]]


def add_routes(
    app: Starlette,
    sources: Iterable[WebhookSource | Off],
    door: Door,
    *,
    draining: Callable[[], bool],
    clock: Callable[[], datetime],
) -> None:
    """One route a source; one that is off has none and is logged."""
    for source in sources:
        path = f"/webhooks/{source.name}"
        if isinstance(source, Off):
            log.info("route_off", route=path, needs=source.needs)
        else:
            app.add_route(path, _endpoint(source, door, draining, clock), methods=["POST"])


def _endpoint(
    source: WebhookSource, door: Door, draining: Callable[[], bool], clock: Callable[[], datetime]
) -> Endpoint:
    async def endpoint(request: Request) -> JSONResponse:
        began = time.monotonic()
        with counted(source.name) as outcome:
            if draining():
                raise Draining("This replica is shutting down; another takes it.")
            body = await read_body(request)
            now = clock()
            source.prove(Head(request.headers, request.query_params), body, now)
            accepted = await _take(source, door, decoded(body), now)
            outcome.ignored = accepted.status == "ignored"
        _trace(source.name, accepted, began)
        return JSONResponse(_answer(accepted), 202)

    return endpoint


def _trace(source: str, accepted: Accepted, began: float) -> None:
    """The trace of an investigation has its id, and begins with what began it."""
    if accepted.investigation_id is None:
        return
    trace_id = accepted.investigation_id.hex
    go_on_as(trace_id)
    said = {"sre_agent.webhook.source": source, "sre_agent.webhook.outcome": accepted.status}
    tracing.entrance("sre_agent.webhook", trace_id, began, said, root=accepted.status == "queued")


async def _take(source: WebhookSource, door: Door, payload: Any, now: datetime) -> Accepted:
    """Everything a payload says is stored before it is answered."""
    try:
        parsed = source.parse(payload, now)
    except NotUnderstood as fault:
        await door.reject(source.name, fault.sentence, payload)
        raise
    if isinstance(parsed, Ignored):
        return Accepted("ignored", reason=parsed.reason)
    return await _store(door, parsed)


async def _store(door: Door, alerts: tuple[Alert, ...]) -> Accepted:
    """Store all alerts in their order; the answer is that of the first that matters most."""
    accepted = [await door.accept(alert) for alert in alerts]
    return min(accepted, key=lambda each: ("queued", "joined", "ignored").index(each.status))


def _answer(accepted: Accepted) -> dict[str, str]:
    answer = {"status": str(accepted.status)}
    if accepted.investigation_id is not None:
        answer["investigation_id"] = str(accepted.investigation_id)
    if accepted.reason:
        answer["reason"] = accepted.reason
    return answer


def decoded(body: bytes) -> Any:
    """The body's JSON (RFC 8259).

    Raises:
        NotUnderstood: it is none, or nested deeper than the interpreter goes.
    """
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise NotUnderstood("The body is not JSON.") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")
