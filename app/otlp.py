"""Traces, metrics and logs over OTLP/HTTP, where an address for them is set; nothing of it is imported else.

Everything is sent by threads of the SDK's, out of bounded queues: a collector that is away costs neither a
turn nor more than one line of the log an outage, and what does not fit is dropped.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any
from urllib.parse import unquote

import structlog
from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from app import telemetry, tracing
from app.instruments import EXPORT_FAILURES, INSTRUMENTS, Counter, Gauge, Histogram, Instrument
from app.settings import Signal, TelemetrySettings
from app.standing import STANDINGS
from app.tools.masking import mask

log = structlog.get_logger(__name__)

SCOPE = "sre_agent"
FLUSH_SECONDS = 3.0
"""What a shutdown waits for the last of it."""
KINDS = {"internal": SpanKind.INTERNAL, "client": SpanKind.CLIENT, "server": SpanKind.SERVER}
SEVERITIES = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}


class Otlp:
    """The three signals of this process, from `start` until `close`."""

    def __init__(self, settings: TelemetrySettings, *, version: str, instance: str) -> None:
        self._settings = settings
        self._resource = resource(settings, version=version, instance=instance)
        self._closing: list[Callable[[], object]] = []
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        # The SDK tells of every failed attempt; `_Watched` tells of an outage once.
        for name in ("opentelemetry", "urllib3"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        begins: dict[Signal, Callable[[str], None]] = {
            "traces": self._traces,
            "metrics": self._metrics,
            "logs": self._logs,
        }
        for signal, begin in begins.items():
            if (address := self._settings.address(signal)) is not None:
                begin(address)
        log.info("telemetry_exported", signals=len(self._closing))

    async def close(self) -> None:
        """Send what there is still, within `FLUSH_SECONDS`; what hangs is left to a thread that ends with the
        process."""
        for undo in self._undo:
            undo()
        threads = [threading.Thread(target=quietly, args=(close,), daemon=True) for close in self._closing]
        for thread in threads:
            thread.start()
        ends = time.monotonic() + FLUSH_SECONDS
        for thread in threads:
            await asyncio.to_thread(thread.join, max(0.0, ends - time.monotonic()))

    def _exporter(self, make: Callable[..., Any], address: str, signal: Signal) -> Any:
        return _Watched(make(endpoint=address, headers=headers(self._settings)), signal)

    def _traces(self, address: str) -> None:
        ids = _Ids()
        provider = TracerProvider(resource=self._resource, id_generator=ids, shutdown_on_exit=False)
        provider.add_span_processor(BatchSpanProcessor(self._exporter(OTLPSpanExporter, address, "traces")))
        tracing.install(_Spans(provider, ids))
        self._undo.append(lambda: tracing.install(None))
        self._closing.append(provider.shutdown)

    def _metrics(self, address: str) -> None:
        reader = PeriodicExportingMetricReader(self._exporter(OTLPMetricExporter, address, "metrics"))
        provider = MeterProvider([reader], resource=self._resource, shutdown_on_exit=False)
        meter = provider.get_meter(SCOPE)
        for each in INSTRUMENTS:
            self._undo.append(expose(meter, each))
        self._closing.append(provider.shutdown)

    def _logs(self, address: str) -> None:
        provider = LoggerProvider(resource=self._resource, shutdown_on_exit=False)
        provider.add_log_record_processor(
            BatchLogRecordProcessor(self._exporter(OTLPLogExporter, address, "logs"))
        )
        logger = provider.get_logger(SCOPE)

        def hear(event: Mapping[str, Any]) -> None:
            logger.emit(record(event))

        telemetry.listeners.append(hear)
        self._undo.append(lambda: telemetry.listeners.remove(hear))
        self._closing.append(provider.shutdown)


def quietly(close: Callable[[], object]) -> None:
    with suppress(Exception):
        close()


def resource(settings: TelemetrySettings, *, version: str, instance: str) -> Resource:
    named = pairs(settings.resource_attributes or "")
    own = {
        "service.name": settings.service_name,
        "service.version": version,
        "service.instance.id": instance,
    }
    return Resource.create({**named, **own})


def headers(settings: TelemetrySettings) -> dict[str, str] | None:
    return pairs(settings.headers.get_secret_value()) if settings.headers else None


def pairs(said: str) -> dict[str, str]:
    """`name=value,…`, URL-encoded: https://www.w3.org/TR/baggage/#header-content"""
    told = (each.partition("=") for each in said.split(",") if "=" in each)
    return {unquote(name.strip()): unquote(value.strip()) for name, _, value in told}


class _Watched:
    """An exporter whose first failure is told, and that it works again."""

    def __init__(self, exporter: Any, signal: Signal) -> None:
        self._exporter = exporter
        self._signal = signal
        self._is_away = False

    def export(self, batch: Any, *rest: Any, **more: Any) -> Any:
        began = time.monotonic()
        result = self._exporter.export(batch, *rest, **more)
        if result.name == "SUCCESS":
            STANDINGS.answered("otlp", time.monotonic() - began)
            if self._is_away:
                log.info("telemetry_exported_again", signal=self._signal)
            self._is_away = False
        else:
            EXPORT_FAILURES.add(signal=self._signal)
            STANDINGS.failed("otlp", f"The collector takes no {self._signal}.")
            if not self._is_away:
                log.warning("telemetry_not_exported", signal=self._signal)
            self._is_away = True
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exporter, name)


# -- traces --------------------------------------------------------------------------------------------------


class _Ids(RandomIdGenerator):
    """Random ids, but for the root of a trace whose id is that of a row in the database."""

    def __init__(self) -> None:
        self.root: ContextVar[int | None] = ContextVar("root", default=None)

    def generate_trace_id(self) -> int:
        return self.root.get() or super().generate_trace_id()

    def generate_span_id(self) -> int:
        root = self.root.get()
        return root_span_id(root) if root else super().generate_span_id()


def root_span_id(trace_id: int) -> int:
    """Worked out, so that a job knows the parent of its spans from its trace's id alone."""
    digest = hashlib.sha256(trace_id.to_bytes(16, "big")).digest()
    return int.from_bytes(digest[:8], "big") or 1


def number_of(trace_id: str) -> int | None:
    """A trace id as OpenTelemetry has it; None for what is none (a trace without a database row)."""
    try:
        number = int(trace_id, 16)
    except ValueError:
        return None
    return number if 0 < number < 1 << 128 else None


class _Spans:
    """`tracing.Exporter` on a provider of the SDK's."""

    def __init__(self, provider: TracerProvider, ids: _Ids) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer(SCOPE)
        self._ids = ids

    @contextmanager
    def span(self, name: str, attributes: tracing.Attributes, kind: tracing.Kind) -> Iterator[_Span]:
        # Messages of exceptions may repeat what they are about: of them only the kind is told.
        with self._tracer.start_as_current_span(
            name,
            kind=KINDS[kind],
            attributes=known(attributes),
            record_exception=False,
            set_status_on_exception=False,
        ) as made:
            span = _Span(made)
            try:
                yield span
            except BaseException as error:
                span.fail(getattr(error, "code", None) or type(error).__name__)
                raise

    @contextmanager
    def below(self, trace_id: str) -> Iterator[None]:
        number = number_of(trace_id)
        if number is None:
            yield
            return
        parent = NonRecordingSpan(self._root(number))
        token = otel_context.attach(trace.set_span_in_context(parent, Context()))
        try:
            yield
        finally:
            otel_context.detach(token)

    def entrance(
        self, name: str, trace_id: str, seconds: float, attributes: tracing.Attributes, *, root: bool
    ) -> None:
        number = number_of(trace_id)
        if number is None:
            return
        ended = time.time_ns()
        parent = (
            Context() if root else trace.set_span_in_context(NonRecordingSpan(self._root(number)), Context())
        )
        token = self._ids.root.set(number if root else None)
        try:
            span = self._tracer.start_span(
                name,
                context=parent,
                kind=SpanKind.SERVER,
                attributes=known(attributes),
                start_time=ended - round(seconds * 1e9),
            )
        finally:
            self._ids.root.reset(token)
        span.end(ended)

    def _root(self, number: int) -> SpanContext:
        # As the sampler decided, or would, when the root was made: it goes by the trace's id.
        decision = self._provider.sampler.should_sample(None, number, "").decision
        sampled = decision is Decision.RECORD_AND_SAMPLE
        flags = TraceFlags(TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT)
        return SpanContext(number, root_span_id(number), is_remote=True, trace_flags=flags)


class _Span:
    def __init__(self, span: trace.Span) -> None:
        self._span = span
        self._has_failed = False

    def set(self, attributes: tracing.Attributes) -> None:
        self._span.set_attributes(known(attributes))

    def fail(self, kind: str) -> None:
        """What is told first is told by who knew best: the exception passes later."""
        if not self._has_failed:
            self._span.set_attribute("error.type", kind)
            self._span.set_status(Status(StatusCode.ERROR))
        self._has_failed = True


def known(attributes: tracing.Attributes) -> dict[str, Any]:
    return {
        name: mask(value) if isinstance(value, str) else value
        for name, value in attributes.items()
        if value is not None
    }


# -- metrics -------------------------------------------------------------------------------------------------


def expose(meter: Any, each: Instrument) -> Callable[[], None]:
    """Let a meter hear of an instrument; how to end that."""
    match each:
        case Counter():
            counter = meter.create_counter(each.name, each.unit, each.description)
            hear = _hearing(counter.add)
        case Histogram():
            histogram = meter.create_histogram(
                each.name, each.unit, each.description, explicit_bucket_boundaries_advisory=list(each.bounds)
            )
            hear = _hearing(histogram.record)
        case Gauge():
            gauge: Gauge = each

            def observe(_: CallbackOptions) -> Iterable[Observation]:
                return [
                    Observation(value, dict(zip(gauge.attributes, values, strict=True)))
                    for values, value in list(gauge.values.items())
                ]

            meter.create_observable_gauge(each.name, [observe], each.unit, each.description)
            return lambda: None
        case _:
            raise TypeError(f"{each.name} is of no kind that OpenTelemetry knows")
    each.listeners.append(hear)
    return lambda: each.listeners.remove(hear)


def _hearing(tell: Callable[..., None]) -> Callable[[float, Mapping[str, str]], None]:
    def hear(value: float, attributes: Mapping[str, str]) -> None:
        tell(value, {name: each for name, each in attributes.items() if each})

    return hear


# -- logs ----------------------------------------------------------------------------------------------------


def record(event: Mapping[str, Any]) -> LogRecord:
    """An event of ours, masked already, as a log record of its trace."""
    level = str(event.get("level", "info"))
    return LogRecord(
        timestamp=time.time_ns(),
        context=_context_of(event.get("trace_id")),
        severity_text=level.upper(),
        severity_number=SEVERITIES.get(level, SeverityNumber.INFO),
        body=str(event.get("event", "")),
        attributes={
            key: value if isinstance(value, bool | int | float | str) else str(value)
            for key, value in event.items()
            if value is not None
            and key not in ("event", "level", "timestamp", "trace_id")
            and not key.startswith("_")
        },
    )


def _context_of(trace_id: Any) -> Context | None:
    """The span at hand when it is of this trace, else the trace's root."""
    number = number_of(trace_id) if isinstance(trace_id, str) else None
    if number is None or trace.get_current_span().get_span_context().trace_id == number:
        return None
    root = SpanContext(
        number, root_span_id(number), is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED)
    )
    return trace.set_span_in_context(NonRecordingSpan(root), Context())
