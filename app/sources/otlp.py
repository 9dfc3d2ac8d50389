"""Spans of a trace in OTLP's JSON, as Tempo answers it in its several generations.

Source of the shapes: opentelemetry.io/docs/specs/otlp/ (JSON Protobuf encoding: identifiers in hexadecimal,
64-bit numbers as strings); Tempo's own JSON is plain protobuf JSON instead, with identifiers in base64.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from typing import Any

from app.signals.models import Span
from app.sources.traces import bounded

HEXADECIMAL = re.compile(r"(?:[0-9a-fA-F]{16}){1,2}")
FAILED = ("STATUS_CODE_ERROR", 2, "2")
HTTP_STATUS = ("http.response.status_code", "http.status_code")


def spans_of(answer: Mapping[str, Any]) -> Iterator[Span]:
    """The spans of `{"batches": …}`, `{"resourceSpans": …}` or either of them under `trace`.

    Raises:
        one of `failures.SHAPE_ERRORS`: it is none of these.
    """
    trace = answer.get("trace", answer)
    for batch in trace["batches"] if "batches" in trace else trace["resourceSpans"]:
        resource = _attributes((batch.get("resource") or {}).get("attributes"))
        service = resource.get("service.name", "unknown")
        for scope in batch.get("scopeSpans") or batch.get("instrumentationLibrarySpans") or ():
            for span in scope.get("spans") or ():
                yield _span(span, service)


def _span(raw: Mapping[str, Any], service: str) -> Span:
    attributes = _attributes(raw.get("attributes"))
    status = raw.get("status") or {}
    start, end = int(raw["startTimeUnixNano"]), int(raw["endTimeUnixNano"])
    failed = status.get("code") in FAILED
    return Span(
        trace_id=identifier(raw["traceId"]),
        span_id=identifier(raw["spanId"]),
        service=service,
        name=str(raw.get("name", "")),
        start=start / 1e9,
        duration_ms=max(end - start, 0) / 1e6,
        parent_id=identifier(raw.get("parentSpanId") or "") or None,
        failed=failed,
        error=_error(raw, status, attributes) if failed else None,
        attributes=bounded(attributes),
    )


def identifier(text: str) -> str:
    """A trace's or span's id in hexadecimal, whichever of the two ways it is written in; all zeros is none.

    16 and 32 hexadecimal digits could in theory be base64 of 12 and 24 bytes, which no id is.
    """
    if not HEXADECIMAL.fullmatch(text):
        try:
            text = base64.b64decode(text, validate=True).hex()
        except (binascii.Error, ValueError):
            return text
    return text.lower() if text.strip("0") else ""


def _attributes(listed: Any) -> dict[str, str]:
    return {str(each["key"]): _value(each.get("value") or {}) for each in listed or ()}


def _value(value: Mapping[str, Any]) -> str:
    """Of an AnyValue: `{"stringValue": "x"}`, `{"intValue": "5"}`, `{"arrayValue": {"values": […]}}` …"""
    if "arrayValue" in value:
        return ", ".join(_value(each) for each in value["arrayValue"].get("values") or ())
    inner = next(iter(value.values()), "")
    return str(inner).lower() if isinstance(inner, bool) else str(inner)


def _error(raw: Mapping[str, Any], status: Mapping[str, Any], attributes: Mapping[str, str]) -> str:
    """What went wrong in a failed span: its status, else the exception it recorded, else its HTTP status."""
    if message := status.get("message"):
        return str(message)[:500]
    for event in raw.get("events") or ():
        told = _attributes(event.get("attributes"))
        if said := ": ".join(told[k] for k in ("exception.type", "exception.message") if k in told):
            return said[:500]
    code = next((attributes[key] for key in HTTP_STATUS if key in attributes), None)
    return f"HTTP {code}" if code else "failed"
