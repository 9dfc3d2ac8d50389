"""What any system of traces is asked, and what its answers share."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from app.signals.models import Span

MOST_ATTRIBUTES = 40
LONGEST_VALUE = 500


@runtime_checkable
class Traces(Protocol):
    """Tempo or Jaeger."""

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
        """All spans of at most `limit` traces between two times, in the order of their beginning.

        Raises:
            SourceFailed: no usable answer; `QueryRejected` when it refuses the question itself.
        """

    def link(self, trace_id: str) -> str:
        """The address that shows one trace."""

    def clock_notice(self) -> str | None:
        """A sentence when the source's clock is off."""

    async def aclose(self) -> None: ...


def ordered(spans: list[Span]) -> tuple[Span, ...]:
    """By beginning; a span that came twice (a trace may be answered in overlapping parts) is kept once."""
    once = {(span.trace_id, span.span_id): span for span in spans}
    return tuple(sorted(once.values(), key=lambda span: (span.start, span.trace_id, span.span_id)))


def bounded(attributes: dict[str, str]) -> dict[str, str]:
    return {name: value[:LONGEST_VALUE] for name, value in list(attributes.items())[:MOST_ATTRIBUTES]}
