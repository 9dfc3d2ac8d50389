"""Traces: questions to Jaeger's query service, over the JSON that its own page reads.

Source of the shapes: jaegertracing.io/docs/latest/architecture/apis/ and Jaeger's `model/json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from app.settings import Endpoint
from app.signals.models import Span
from app.sources.failures import SHAPE_ERRORS, UNFAMILIAR, QueryRejected, SourceFailed
from app.sources.http import ReadOnlyHttp
from app.sources.traces import bounded, ordered

ALLOWED = ("/api/traces",)
MOST_TRACES = 50
SAID_IN_LOGS = ("message", "error.object", "event")


class Jaeger:
    """Reads one Jaeger. It searches by service only, and knows no TraceQL."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeout_seconds: float = 15,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.http = ReadOnlyHttp(
            endpoint, ALLOWED, source="jaeger", timeout_seconds=timeout_seconds, clock=clock
        )

    async def aclose(self) -> None:
        await self.http.aclose()

    def clock_notice(self) -> str | None:
        return self.http.clock_notice()

    async def search(
        self,
        *,
        start: float,
        end: float,
        service: str | None = None,
        traceql: str | None = None,
        error_only: bool = False,
        limit: int = 10,
    ) -> tuple[Span, ...]:
        """See `Traces.search`."""
        if traceql:
            raise QueryRejected("jaeger", "does not know TraceQL: name a service instead.")
        if not service:
            raise QueryRejected("jaeger", "finds traces by service only: name one.")
        question: dict[str, str | int] = {
            "service": service,
            "start": round(start * 1e6),
            "end": round(end * 1e6),
            "limit": min(limit, MOST_TRACES),
        }
        if error_only:
            question["tags"] = json.dumps({"error": "true"})
        answer = await self.http.json("/api/traces", question)
        try:
            return ordered([span for trace in answer.get("data") or () for span in _spans(trace)])
        except SHAPE_ERRORS:
            raise SourceFailed("jaeger", UNFAMILIAR) from None

    def link(self, trace_id: str) -> str:
        """Jaeger's page of the trace."""
        return self.http.page(f"/trace/{trace_id}")


def _spans(trace: Mapping[str, Any]) -> Iterator[Span]:
    services = {key: str(process["serviceName"]) for key, process in trace["processes"].items()}
    for raw in trace["spans"]:
        tags = {str(tag["key"]): tag.get("value") for tag in raw.get("tags") or ()}
        failed = str(tags.get("error")).lower() == "true" or tags.get("otel.status_code") == "ERROR"
        yield Span(
            trace_id=str(raw["traceID"]),
            span_id=str(raw["spanID"]),
            service=services.get(raw["processID"], "unknown"),
            name=str(raw["operationName"]),
            start=int(raw["startTime"]) / 1e6,
            duration_ms=int(raw["duration"]) / 1e3,
            parent_id=_parent(raw),
            failed=failed,
            error=_error(raw, tags) if failed else None,
            attributes=bounded({name: str(value) for name, value in tags.items()}),
        )


def _parent(raw: Mapping[str, Any]) -> str | None:
    """The span it is a child of; a reference into another trace is a link, not a parent."""
    return next(
        (
            str(reference["spanID"])
            for kind in ("CHILD_OF", "FOLLOWS_FROM")
            for reference in raw.get("references") or ()
            if reference.get("refType") == kind and reference.get("traceID") == raw["traceID"]
        ),
        None,
    )


def _error(raw: Mapping[str, Any], tags: Mapping[str, Any]) -> str:
    if said := tags.get("otel.status_description") or tags.get("error.message"):
        return str(said)[:500]
    for entry in raw.get("logs") or ():
        fields = {str(each["key"]): each.get("value") for each in entry.get("fields") or ()}
        if said := next((fields[key] for key in SAID_IN_LOGS if fields.get(key)), None):
            return str(said)[:500]
    code = tags.get("http.status_code") or tags.get("http.response.status_code")
    return f"HTTP {code}" if code else "failed"
