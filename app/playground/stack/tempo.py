"""The Tempo-shaped system: search by tags or a little TraceQL, traces as OTLP JSON, and a page of a trace.

Shapes follow https://grafana.com/docs/tempo/latest/api_docs/. As there, ids in OTLP JSON are base64.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any

from aiohttp import web

from app.playground.stack.pages import page, sentence, waterfall
from app.playground.stack.promql.lexer import UNITS
from app.playground.stack.serving import Declined, System
from app.playground.stack.traces import spans
from app.playground.stack.world import World, moment
from app.signals.models import Span

USUAL_LIMIT = 20
LONGEST = 6 * 3600.0
CONDITION = re.compile(
    r"""\s*(?P<what>[\w.]+)\s*(?P<operator>=~|!~|!=|>=|<=|=|>|<)\s*(?P<value>"[^"]*"|`[^`]*`|[\w.]+)\s*"""
)
KINDS = {"server": 2, "client": 3, "producer": 4, "consumer": 5}
Test = Callable[[Span], bool]


class Tempo:
    """Answers for `system` out of the world's kept requests."""

    def __init__(self, world: World, system: System) -> None:
        self._world = world
        system.get("/api/search", self._search)
        system.get(
            "/api/traces/{id}", lambda request: {"batches": _batches(self._trace(request))}, self._page
        )
        system.get("/api/v2/traces/{id}", self._second, self._page)
        system.page("/trace/{id}", self._page)
        system.page("/ready", lambda _: "ready\n")
        system.page("/api/echo", lambda _: "echo")
        system.page("/", lambda _: page("Tempo", sentence("Open /trace/<id>.")))

    # --- search ------------------------------------------------------------------------------------------

    def _search(self, request: web.Request) -> Any:
        now = self._world.now()
        end = min(_seconds(request, "end", now), now)
        start = max(_seconds(request, "start", end - 3600), end - LONGEST)
        tests = _conditions(request.query["q"]) if request.query.get("q") else _tags(request)
        shortest = _duration(request.query.get("minDuration", "0s"))
        limit = int(request.query.get("limit") or USUAL_LIMIT)
        found = islice(self._matching(start, end, tests, shortest), limit)
        return {"traces": [_summary(*each) for each in found], "metrics": {"inspectedTraces": limit}}

    def _matching(
        self, start: float, end: float, tests: Sequence[Test], shortest: float
    ) -> Iterator[tuple[tuple[Span, ...], list[Span]]]:
        """Newest first; a trace matches when one of its spans passes all tests."""
        for request in self._world.requests.backwards(start, end):
            if request.seconds < shortest:
                continue
            trace = spans(self._world.story, request)
            matched = [span for span in trace if all(test(span) for test in tests)]
            if matched:
                yield trace, matched

    # --- one trace ---------------------------------------------------------------------------------------

    def _trace(self, request: web.Request) -> tuple[Span, ...]:
        found = self._world.requests.find(request.match_info["id"].lower().zfill(32))
        if found is None or found.at > self._world.now():
            raise Declined(404, "trace not found")
        return spans(self._world.story, found)

    def _second(self, request: web.Request) -> Any:
        return {"trace": {"resourceSpans": _batches(self._trace(request))}}

    def _page(self, request: web.Request) -> str:
        trace = self._trace(request)
        root = trace[0]
        text = f"{root.service} {root.name}: {root.duration_ms:.0f} ms, {len(trace)} spans"
        return page(f"Trace {root.trace_id}", sentence(text), waterfall(trace))


def _seconds(request: web.Request, name: str, default: float) -> float:
    try:
        return moment(request.query[name]) if request.query.get(name) else default
    except ValueError:
        raise Declined(400, f"invalid {name}: must be seconds since the epoch") from None


def _tags(request: web.Request) -> list[Test]:
    """`service.name=checkout error=true`, as logfmt."""
    tests = []
    for name, quoted, bare in re.findall(r'([\w.]+)=(?:"([^"]*)"|(\S+))', request.query.get("tags", "")):
        value = quoted or bare
        if name == "error":
            value = "error" if value == "true" else "unset"
        tests.append(_test("status" if name == "error" else name, "=", value))
    return tests


def _conditions(query: str) -> list[Test]:
    """A TraceQL subset: `{ condition && condition … }` on one span."""
    text = query.strip()
    if not (text.startswith("{") and text.endswith("}")):
        raise Declined(400, f"invalid TraceQL query: only one {{ … }} is supported here, got {query[:80]!r}")
    tests = []
    for part in filter(str.strip, text[1:-1].split("&&")):
        match = CONDITION.fullmatch(part)
        if match is None:
            raise Declined(400, f"invalid TraceQL query: cannot read or do not support {part.strip()!r}")
        tests.append(_test(match["what"], match["operator"], match["value"].strip('"`')))
    return tests


def _test(what: str, operator: str, value: str) -> Test:
    if what in ("duration", "traceDuration", "span:duration"):
        limit = _duration(value) * 1000
        return lambda span: _compared(span.duration_ms, operator, limit)
    return lambda span: _same(_read(span, what), operator, value)


def _read(span: Span, what: str) -> str:
    if what in ("resource.service.name", ".service.name", "service.name", "rootServiceName"):
        return span.service
    if what in ("status", "span:status"):
        return "error" if span.failed else "unset"
    if what in ("name", "span:name"):
        return span.name
    if what in ("kind", "span:kind"):
        return span.attributes.get("span.kind", "")
    for prefix in ("span.", "resource.", "."):
        if what.startswith(prefix) and (found := span.attributes.get(what.removeprefix(prefix))):
            return found
    return span.attributes.get(what, "")


def _same(found: str, operator: str, wanted: str) -> bool:
    if "~" in operator:
        return bool(re.fullmatch(wanted, found)) == (operator == "=~")
    if operator in ("=", "!="):
        return (found == wanted) == (operator == "=")
    try:
        return _compared(float(found), operator, float(wanted))
    except ValueError:
        return False


def _compared(found: float, operator: str, wanted: float) -> bool:
    return {
        ">": found > wanted,
        ">=": found >= wanted,
        "<": found < wanted,
        "<=": found <= wanted,
        "=": found == wanted,
    }.get(operator, found != wanted)


def _duration(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(ms|us|ns|[smh])", text)
    if match is None:
        raise Declined(400, f"invalid duration {text!r}")
    return float(match[1]) * {**UNITS, "us": 1e-6, "ns": 1e-9}[match[2]]


# --- shapes ------------------------------------------------------------------------------------------------


def _nano(seconds: float) -> str:
    return str(round(seconds * 1e6) * 1000)


def _summary(trace: Sequence[Span], matched: Sequence[Span]) -> dict[str, Any]:
    root = trace[0]
    spans_ = [
        {
            "spanID": span.span_id,
            "startTimeUnixNano": _nano(span.start),
            "durationNanos": str(round(span.duration_ms * 1e6)),
            "attributes": _attributes({"service.name": span.service}),
        }
        for span in matched[:3]
    ]
    spanset = {"spans": spans_, "matched": len(matched)}
    return {
        "traceID": root.trace_id,
        "rootServiceName": root.service,
        "rootTraceName": root.name,
        "startTimeUnixNano": _nano(root.start),
        "durationMs": round(root.duration_ms),
        "spanSet": spanset,
        "spanSets": [spanset],
    }


def _batches(trace: Sequence[Span]) -> list[dict[str, Any]]:
    """One batch a service."""
    ordered = sorted(trace, key=lambda span: span.service)
    return [
        {
            "resource": {"attributes": _attributes({"service.name": service})},
            "scopeSpans": [{"scope": {"name": "shop"}, "spans": [_otlp(span) for span in group]}],
        }
        for service, group in groupby(ordered, key=lambda span: span.service)
    ]


def _otlp(span: Span) -> dict[str, Any]:
    kind = KINDS.get(span.attributes.get("span.kind", ""), 1)
    body: dict[str, Any] = {
        "traceId": _base64(span.trace_id),
        "spanId": _base64(span.span_id),
        "name": span.name,
        "kind": ("INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")[kind - 1],
        "startTimeUnixNano": _nano(span.start),
        "endTimeUnixNano": _nano(span.start + span.duration_ms / 1000),
        "attributes": _attributes({k: v for k, v in span.attributes.items() if k != "span.kind"}),
        "status": {"code": "STATUS_CODE_ERROR", "message": span.error or ""} if span.failed else {},
    }
    body["kind"] = f"SPAN_KIND_{body['kind']}"
    if span.parent_id:
        body["parentSpanId"] = _base64(span.parent_id)
    if span.failed:
        described = _attributes({"exception.message": span.error or ""})
        body["events"] = [{"name": "exception", "timeUnixNano": _nano(span.start), "attributes": described}]
    return body


def _base64(identity: str) -> str:
    return base64.b64encode(bytes.fromhex(identity)).decode()


def _attributes(values: Mapping[str, str]) -> list[dict[str, Any]]:
    """Status codes are numbers in OTLP."""
    return [
        {"key": key, "value": {"intValue": value} if key.endswith("status_code") else {"stringValue": value}}
        for key, value in values.items()
    ]
