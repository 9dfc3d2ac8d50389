"""An OpenTelemetry collector of our own: takes OTLP over HTTP and keeps what it decodes."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.fakes.wire import Request, Response, WireServer


def plain(attributes: Any) -> dict[str, Any]:
    return {each.key: value(each.value) for each in attributes}


def value(told: Any) -> Any:
    kind = told.WhichOneof("value")
    if kind == "array_value":
        return [value(each) for each in told.array_value.values]
    return getattr(told, kind) if kind else None


@dataclass(frozen=True)
class Span:
    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, Any]
    failed: bool
    kind: int
    seconds: float
    said: str
    """Everything else that it carries in words: status and events."""


@dataclass(frozen=True)
class Line:
    body: str
    trace_id: str
    span_id: str
    severity: str
    attributes: dict[str, Any]


@dataclass
class Collector:
    """`status` is what it answers; with `hangs` it answers nothing."""

    status: int = 200
    hangs: bool = False
    requests: list[Request] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    spans: list[Span] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    metrics: dict[str, Any] = field(default_factory=dict)
    """The newest state of each, by name."""
    resource: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._server = WireServer(self._take)

    @property
    def url(self) -> str:
        return self._server.url

    async def __aenter__(self) -> Self:
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop()
        # What an exporter still has to say of this collector it says here, and not within a later test.
        async with asyncio.timeout(60):
            while any(
                "quietly" in each.name or each.name.startswith("Otel") for each in threading.enumerate()
            ):
                await asyncio.sleep(0.02)

    def named(self, name: str) -> list[Span]:
        return [each for each in self.spans if each.name == name]

    async def wait_for(self, holds: Callable[[], bool], seconds: float = 60) -> None:
        async with asyncio.timeout(seconds):
            while not holds():
                await asyncio.sleep(0.02)

    async def _take(self, request: Request) -> Response:
        self.requests.append(request)
        if self.hangs:
            await asyncio.sleep(600)
        if self.status != 200:
            return Response(self.status)
        packed = request.headers.get("content-encoding") == "gzip"
        body = gzip.decompress(request.body) if packed else request.body
        self.raw += body
        {"/v1/traces": self._traces, "/v1/metrics": self._metrics, "/v1/logs": self._logs}[request.path](body)
        return Response(200, b"", {"Content-Type": "application/x-protobuf"})

    def _traces(self, body: bytes) -> None:
        for told in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resource = plain(told.resource.attributes)
            for scope in told.scope_spans:
                self.spans += [
                    Span(
                        each.name,
                        each.trace_id.hex(),
                        each.span_id.hex(),
                        each.parent_span_id.hex(),
                        plain(each.attributes),
                        each.status.code == 2,
                        each.kind,
                        (each.end_time_unix_nano - each.start_time_unix_nano) / 1e9,
                        each.status.message + "".join(str(event) for event in each.events),
                    )
                    for each in scope.spans
                ]

    def _metrics(self, body: bytes) -> None:
        for told in ExportMetricsServiceRequest.FromString(body).resource_metrics:
            for scope in told.scope_metrics:
                self.metrics |= {each.name: each for each in scope.metrics}

    def _logs(self, body: bytes) -> None:
        for told in ExportLogsServiceRequest.FromString(body).resource_logs:
            for scope in told.scope_logs:
                self.lines += [
                    Line(
                        value(each.body),
                        each.trace_id.hex(),
                        each.span_id.hex(),
                        each.severity_text,
                        plain(each.attributes),
                    )
                    for each in scope.log_records
                ]
