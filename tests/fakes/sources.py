"""Monitored systems on the wire: a recording server that can misbehave, and Loki, Tempo and Jaeger on it.

Shaped after grafana.com/docs/loki/latest/reference/loki-http-api/, grafana.com/docs/tempo/latest/api_docs/ and
jaegertracing.io/docs/latest/architecture/apis/ (the JSON the Jaeger UI reads).
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from app.settings import Endpoint

HTML = "<!DOCTYPE html><html><body><h1>Sign in</h1></body></html>"
FIFTY_MEBIBYTES = 50 * 1024 * 1024


@dataclass(frozen=True)
class Asked:
    """A request as it came over the wire; `raw_path` is not decoded and has no query."""

    method: str
    raw_path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Answer:
    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Respond = Callable[[Asked], Answer]


class SourceServer:
    """Answers by `routes` (path → answer); writes every request down.

    `fault` is one of "500", "html", "huge", "hang", "cut", "empty", "redirect", "not-json", or None.
    """

    def __init__(
        self, routes: Mapping[str, Answer | Respond] | None = None, *, tls: ssl.SSLContext | None = None
    ) -> None:
        self.routes = dict(routes or {})
        self._tls = tls
        self.asked: list[Asked] = []
        self.fault: str | None = None
        self.sent_bytes = 0
        self._stop = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self._port}"

    @property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.url)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_route("*", "/{anything:.*}", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls)
        await site.start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        await self._runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        asked = Asked(
            request.method,
            request.raw_path.partition("?")[0],
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
        )
        self.asked.append(asked)
        if self.fault is not None:
            return await self._misbehave(request)
        route = self.routes.get(asked.raw_path) or self.found(asked)
        if route is None:
            return web.Response(status=404, text="404 page not found")
        answer = route(asked) if callable(route) else route
        if isinstance(answer.body, bytes):
            return web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        text = answer.body if isinstance(answer.body, str) else json.dumps(answer.body)
        kind = "text/plain" if isinstance(answer.body, str) else "application/json"
        return web.Response(
            status=answer.status, text=text, headers={"content-type": kind, **dict(answer.headers)}
        )

    def found(self, asked: Asked) -> Answer | None:
        """What to answer on a path that is not in `routes`."""
        return None

    async def _misbehave(self, request: web.Request) -> web.StreamResponse:
        match self.fault:
            case "hang":
                await self._stop.wait()
            case "cut":
                assert request.transport is not None
                request.transport.abort()
            case "huge":
                return await self._flood(request)
            case "redirect":
                return web.Response(
                    status=302, headers={"location": "http://169.254.169.254/latest/meta-data/"}
                )
            case "html":
                return web.Response(text=HTML, content_type="text/html")
            case "not-json":
                return web.Response(text="{'a': 1", content_type="application/json")
            case "500":
                return web.json_response({"status": "error", "error": "out of disk"}, status=500)
        return web.Response(text="")

    async def _flood(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        chunk = b"[" * 65536
        try:
            while self.sent_bytes < FIFTY_MEBIBYTES:
                await response.write(chunk)
                self.sent_bytes += len(chunk)
        except ConnectionError:
            pass
        return response


class FakeLoki(SourceServer):
    """`streams` are (labels, [(seconds, line)]); the selector is taken as given, only time and limit count."""

    def __init__(self, streams: list[tuple[dict[str, str], list[tuple[float, str]]]] | None = None) -> None:
        super().__init__({"/loki/api/v1/query_range": self._range})
        self.streams = streams or []

    def _range(self, asked: Asked) -> Answer:
        query = asked.params["query"]
        if not query.startswith("{"):
            return Answer("parse error at line 1, col 1: syntax error: unexpected IDENTIFIER", status=400)
        start, end = int(asked.params["start"]), int(asked.params["end"])
        lines = [
            (round(at * 1e9), line, labels)
            for labels, entries in self.streams
            for at, line in entries
            if start <= round(at * 1e9) <= end
        ]
        newest = sorted(lines, key=lambda each: -each[0])[: int(asked.params["limit"])]
        result = [
            {"stream": labels, "values": [[str(at), line] for at, line, of in newest if of is labels]}
            for labels, _ in self.streams
        ]
        return Answer({"status": "success", "data": {"resultType": "streams", "result": result, "stats": {}}})


def otlp_span(trace: str, span: str, name: str, start: float, seconds: float, **more: Any) -> dict[str, Any]:
    """A span in OTLP's JSON; `parent`, `error` (a message) and `attributes` are optional."""
    status = {"code": "STATUS_CODE_ERROR", "message": more["error"]} if "error" in more else {}
    attributes = [
        {"key": key, "value": {"stringValue": value}} for key, value in more.get("attributes", {}).items()
    ]
    return {
        "traceId": trace,
        "spanId": span,
        "parentSpanId": more.get("parent", ""),
        "name": name,
        "startTimeUnixNano": str(round(start * 1e9)),
        "endTimeUnixNano": str(round((start + seconds) * 1e9)),
        "attributes": attributes,
        "status": status,
    }


def otlp_resource(service: str, spans: list[dict[str, Any]], scopes: str = "scopeSpans") -> dict[str, Any]:
    """One service's spans; `scopes` is the name of the inner array, which older versions call otherwise."""
    attribute = {"key": "service.name", "value": {"stringValue": service}}
    return {"resource": {"attributes": [attribute]}, scopes: [{"scope": {"name": "x"}, "spans": spans}]}


class FakeTempo(SourceServer):
    """`traces` by hexadecimal id are the answers of /api/traces/{id}; a search finds all of them."""

    def __init__(self, traces: dict[str, Any] | None = None) -> None:
        super().__init__({"/api/search": self._search})
        self.traces = traces or {}

    def _search(self, asked: Asked) -> Answer:
        query = asked.params["q"]
        if query.count("{") != query.count("}"):
            return Answer("invalid TraceQL query: parse error at line 1, col 9: syntax error", status=400)
        found = [{"traceID": each, "rootServiceName": "web", "durationMs": 5} for each in self.traces]
        return Answer({"traces": found[: int(asked.params["limit"])], "metrics": {"inspectedTraces": 9}})

    def found(self, asked: Asked) -> Answer | None:
        trace = self.traces.get(asked.raw_path.removeprefix("/api/traces/"))
        return None if trace is None else Answer(trace)


class FakeJaeger(SourceServer):
    """`traces` are the members of `data`, as /api/traces answers them."""

    def __init__(self, traces: list[Any] | None = None) -> None:
        super().__init__({"/api/traces": self._search})
        self.traces = traces or []

    def _search(self, asked: Asked) -> Answer:
        if "service" not in asked.params:
            error = {"code": 400, "msg": "parameter 'service' is required"}
            return Answer({"data": None, "errors": [error]}, status=400)
        return Answer({"data": self.traces[: int(asked.params["limit"])], "total": 0, "errors": None})
