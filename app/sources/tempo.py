"""Traces: questions in TraceQL to Grafana Tempo.

Source of the shapes: grafana.com/docs/tempo/latest/api_docs/ and …/tempo/latest/traceql/.
"""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime

from app.settings import Endpoint
from app.signals.models import Span
from app.sources.failures import SHAPE_ERRORS, UNFAMILIAR, SourceFailed
from app.sources.http import ReadOnlyHttp
from app.sources.otlp import spans_of
from app.sources.traces import ordered

ALLOWED = ("/api/search", "/api/traces/*")
MOST_TRACES = 50
AT_ONCE = 4


class Tempo:
    """Reads one Tempo: a search names traces, then each of them is fetched whole."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        timeout_seconds: float = 15,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.http = ReadOnlyHttp(
            endpoint, ALLOWED, source="tempo", timeout_seconds=timeout_seconds, clock=clock
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
        """See `Traces.search`; a trace that cannot be fetched is left out as long as another one can."""
        question: dict[str, str | int] = {
            "q": combined(service, traceql, error_only),
            "start": math.floor(start),
            "end": math.ceil(end),
            "limit": min(limit, MOST_TRACES),
        }
        answer = await self.http.json("/api/search", question)
        try:
            ids = [_hexadecimal(trace["traceID"]) for trace in answer.get("traces") or ()]
        except SHAPE_ERRORS:
            raise SourceFailed("tempo", UNFAMILIAR) from None
        return await self._whole(ids[:MOST_TRACES])

    def link(self, trace_id: str) -> str:
        """The address that answers the trace; Tempo has no page of its own for people."""
        return self.http.page(f"/api/traces/{trace_id}")

    async def _whole(self, ids: list[str]) -> tuple[Span, ...]:
        places = asyncio.Semaphore(AT_ONCE)

        async def one(trace_id: str) -> list[Span]:
            async with places:
                return await self._trace(trace_id)

        found = await asyncio.gather(*map(one, ids), return_exceptions=True)
        failures = [each for each in found if isinstance(each, BaseException)]
        for failure in failures:
            if not isinstance(failure, SourceFailed) or len(failures) == len(found):
                raise failure
        return ordered([span for each in found if not isinstance(each, BaseException) for span in each])

    async def _trace(self, trace_id: str) -> list[Span]:
        answer = await self.http.json(f"/api/traces/{trace_id}")
        try:
            return list(spans_of(answer))
        except SHAPE_ERRORS:
            raise SourceFailed("tempo", UNFAMILIAR) from None


def combined(service: str | None, traceql: str | None, error_only: bool) -> str:
    """One TraceQL query that holds all three wishes; `{}` finds every trace.

    Both sides stand in parentheses, so that either may be a pipeline (`{ … } | count() > 2`).
    """
    conditions = [f"resource.service.name={json.dumps(service, ensure_ascii=False)}"] if service else []
    conditions += ["status=error"] if error_only else []
    ours = "{" + " && ".join(conditions) + "}"
    if not traceql or not conditions:
        return traceql or ours
    return f"({traceql}) && ({ours})"


def _hexadecimal(trace_id: str) -> str:
    """The id as it is: a search may drop its leading zeros, and a lookup takes it either way."""
    if not re.fullmatch(r"[0-9a-fA-F]{1,32}", trace_id):
        raise ValueError(trace_id)
    return trace_id
