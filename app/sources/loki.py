"""Logs: questions in LogQL to Loki.

Source of the shapes: grafana.com/docs/loki/latest/reference/loki-http-api/.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from app.settings import Endpoint
from app.signals.models import LogLine
from app.sources.failures import SHAPE_ERRORS, UNFAMILIAR, QueryRejected, SourceFailed
from app.sources.http import ReadOnlyHttp
from app.sources.log_lines import understood

ALLOWED = ("/loki/api/v1/query_range",)
SERVICE_LABELS = ("service", "service_name", "app", "job", "container")
MOST_LINES = 5000
"""Loki's own default limit (`max_entries_limit_per_query`)."""


class Loki:
    """Reads one Loki."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeout_seconds: float = 15,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.http = ReadOnlyHttp(
            endpoint, ALLOWED, source="loki", timeout_seconds=timeout_seconds, clock=clock
        )

    async def aclose(self) -> None:
        await self.http.aclose()

    def clock_notice(self) -> str | None:
        """A sentence when the source's clock is off."""
        return self.http.clock_notice()

    async def query_range(
        self, logql: str, start: float, end: float, limit: int = 500
    ) -> tuple[LogLine, ...]:
        """The newest `limit` lines (at most 5000) between two times, oldest first.

        Raises:
            SourceFailed: as `ReadOnlyHttp.json`; `QueryRejected` carries Loki's own words, and is raised as
                well for a query that counts instead of finding lines.
        """
        answer = await self.http.json("/loki/api/v1/query_range", _question(logql, start, end, limit))
        try:
            if answer["data"]["resultType"] != "streams":
                raise QueryRejected("loki", "found numbers, not lines: ask for the lines without counting.")
            lines = [line for stream in answer["data"]["result"] for line in _lines(stream)]
        except SHAPE_ERRORS:
            raise SourceFailed("loki", UNFAMILIAR) from None
        return tuple(sorted(lines, key=lambda line: line.at))

    def link(self, logql: str, start: float, end: float, limit: int = 500) -> str:
        """The address that answers exactly this question; Loki has no page of its own for people."""
        return self.http.page("/loki/api/v1/query_range", _question(logql, start, end, limit))


def _question(logql: str, start: float, end: float, limit: int) -> dict[str, str | int]:
    """Times go as whole nanoseconds: Loki reads a fraction as something else in some versions."""
    return {
        "query": logql,
        "start": round(start * 1e9),
        "end": round(end * 1e9),
        "limit": min(limit, MOST_LINES),
        "direction": "backward",
    }


def _lines(stream: Mapping[str, Any]) -> Iterator[LogLine]:
    labels = {str(name): str(value) for name, value in stream["stream"].items()}
    service = next((labels[name] for name in SERVICE_LABELS if labels.get(name)), None)
    for at, line, *metadata in stream["values"]:
        told = {**labels, **_metadata(metadata)}
        text, level, trace_id = understood(str(line), told)
        yield LogLine(int(at) / 1e9, text, service, level, trace_id, labels)


def _metadata(extra: list[Any]) -> dict[str, str]:
    """Structured metadata is a third member of an entry, plain or (with categorized labels) by category."""
    found: dict[str, str] = {}
    for each in extra:
        nested = [each, *(value for value in each.values() if isinstance(value, dict))]
        found |= {name: value for level in nested for name, value in level.items() if isinstance(value, str)}
    return found
