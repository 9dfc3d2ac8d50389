"""The tool that asks for traces, whether Tempo or Jaeger holds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from app.context.models import Source
from app.errors import AgentError
from app.signals.models import Span
from app.sources.traces import Traces
from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope
from app.tools.shaping import fitted, milliseconds, plural, shortened
from app.tools.window import UNTIL, clock_time, told_window, window

MOST_PATHS = 3
MOST_STEPS = 8
FIRST_SERVICES = 6
DESCRIPTION = (
    "Look into distributed traces: which services' spans fail and with what error, where the time is spent "
    "(self-time), and the path of up to three failing traces from the entry to where the error began."
)


class AskedTraces(BaseModel):
    service: str | None = Field(
        None,
        max_length=200,
        description="Traces this service takes part in; default: the service talked about",
    )
    error_only: bool = Field(
        True, description="Only traces with an error; false: any, to see where time goes"
    )
    traceql: str | None = Field(
        None, max_length=2000, description="TraceQL instead of service and error_only; Tempo only"
    )
    minutes: int = Field(30, ge=1, le=180, description="How far back")
    limit: int = Field(10, ge=1, le=20, description="At most so many traces")
    until: datetime | None = Field(None, description=UNTIL)


def tool(parts: object) -> Tool[AskedTraces] | None:
    traces = getattr(parts, "traces", None)
    if not isinstance(traces, Traces):
        return None

    async def run(asked: AskedTraces, scope: ToolScope) -> ToolResult:
        start, end = window(asked.minutes, asked.until, scope)
        service = asked.service or (None if asked.traceql else scope.service)
        try:
            spans = await traces.search(
                start=start, end=end, service=service, traceql=asked.traceql,
                error_only=asked.error_only and not asked.traceql, limit=asked.limit,
            )  # fmt: skip
        except AgentError as error:
            raise ToolFailed(error.sentence) from error
        over = told_window(start, end)
        chosen = telling(spans)
        text = told(spans, chosen, over, scope.limit_bytes, traces.clock_notice())
        title = f"Looked into {plural(len({span.trace_id for span in spans}), 'trace')}"
        return ToolResult(text, _sources(chosen, traces), title, full=in_full(spans) if spans else None)

    return Tool("traces", DESCRIPTION, AskedTraces, run, deadline_seconds=15)


def _sources(paths: Sequence[Sequence[Span]], traces: Traces) -> tuple[Source, ...]:
    return tuple(
        Source(
            kind="trace",
            title=f"Trace {path[0].trace_id}",
            path=path[0].trace_id,
            url=traces.link(path[0].trace_id),
        )
        for path in paths
    )


def told(
    spans: Sequence[Span],
    paths: Sequence[Sequence[Span]],
    over: str,
    limit_bytes: int,
    notice: str | None = None,
) -> str:
    """What the model reads; it fits `limit_bytes`."""
    if not spans:
        return "\n".join(filter(None, [notice, f"No trace matches ({over})."]))
    count = len({span.trace_id for span in spans})
    failed = sum(span.failed for span in spans)
    head = f"{plural(count, 'trace')}, {plural(len(spans), 'span')}, {failed} failed ({over}). By service:"
    services = by_service(spans)
    ways = [path_told(path) for path in paths]
    blocks = [*services[:FIRST_SERVICES], *ways, *services[FIRST_SERVICES:]]
    return fitted("\n".join(filter(None, [notice, head])), blocks, limit_bytes, "services")[0]


def by_service(spans: Sequence[Span]) -> list[str]:
    """A line for each service: failures and what they say, self-time and its share; most failures first."""
    from app.signals.spans import error_spans_by_service, self_times  # noqa: PLC0415

    failed, spent = error_spans_by_service(spans), self_times(spans)
    whole = sum(spent.values()) or 1.0
    order = sorted(spent, key=lambda each: (-len(failed.get(each, ())), -spent[each], each))
    return [
        f"- {shortened(each, 60)}: self-time {milliseconds(spent[each])} ({spent[each] / whole:.0%})"
        + _errors(failed.get(each, ()))
        for each in order
    ]


def _errors(failed: Sequence[Span]) -> str:
    if not failed:
        return ", none failed"
    said = Counter(f"{span.name}: {span.error or 'failed'}" for span in failed).most_common(2)
    return f", {len(failed)} failed: " + "; ".join(f"{n}× {shortened(words, 120)}" for words, n in said)


def telling(spans: Sequence[Span]) -> list[list[Span]]:
    """Up to three ways from the entry of a trace to where it failed, of different kinds if there are any.

    Without a failure: the ways to the spans that took longest below the entries.
    """
    from app.signals.spans import deepest_failing  # noqa: PLC0415

    ends = deepest_failing(spans) or _longest(spans)
    chosen: list[Span] = []
    for differs in (_another_kind, _another_trace):
        for span in ends:
            if len(chosen) < MOST_PATHS and all(differs(span, each) for each in chosen):
                chosen.append(span)
    by_key = {(span.trace_id, span.span_id): span for span in spans}
    return [way_to(span, by_key) for span in chosen]


def _another_kind(one: Span, two: Span) -> bool:
    kinds = [(span.service, span.name, span.error) for span in (one, two)]
    return _another_trace(one, two) and kinds[0] != kinds[1]


def _another_trace(one: Span, two: Span) -> bool:
    return one.trace_id != two.trace_id


def _longest(spans: Sequence[Span]) -> list[Span]:
    inner = [span for span in spans if span.parent_id is not None] or list(spans)
    return sorted(inner, key=lambda span: -span.duration_ms)


def way_to(span: Span, by_key: Mapping[tuple[str, str], Span]) -> list[Span]:
    """From the entry of its trace (or the first span known of it) down to `span`."""
    way = [span]
    while (parent := by_key.get((span.trace_id, way[-1].parent_id or ""))) is not None and parent not in way:
        way.append(parent)
    return way[::-1]


def path_told(way: Sequence[Span]) -> str:
    shown = way if len(way) <= MOST_STEPS else [*way[:3], *way[-(MOST_STEPS - 3) :]]
    steps = [
        f"{shortened(s.service, 40)} “{shortened(s.name, 50)}” {milliseconds(s.duration_ms)}"
        + " failed" * s.failed
        for s in shown
    ]
    error = f": {shortened(way[-1].error, 200)}" if way[-1].error else ""
    return f"- Trace {way[0].trace_id} at {clock_time(way[0].start)}: {' → '.join(steps)}{error}"


def in_full(spans: Sequence[Span]) -> str:
    """Every span: trace, span, parent, time, duration, service, name, error, attributes."""
    return "\n".join(
        f"{span.trace_id} {span.span_id} parent={span.parent_id or '-'} {clock_time(span.start)} "
        f"{milliseconds(span.duration_ms)} {span.service} {shortened(span.name, 200)}"
        + (f" FAILED: {shortened(span.error or '', 300)}" if span.failed else "")
        + "".join(f" {key}={shortened(value, 200)}" for key, value in sorted(span.attributes.items()))
        for span in spans
    )
