"""The tool that asks for logs in LogQL."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from app.context.models import Source
from app.errors import AgentError
from app.signals.models import LogLine
from app.sources.failures import SourceFailed
from app.sources.loki import Loki
from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope
from app.tools.masking import mask
from app.tools.shaping import fitted, plural, shortened
from app.tools.window import UNTIL, clock_time, told_window, window

if TYPE_CHECKING:
    from app.signals.templates import Template

MOST_LINES = 500
LONGEST_TEMPLATE = 240
LONGEST_EXAMPLE = 240
SEVERE = ("error", "fatal")
DESCRIPTION = (
    "Ask Loki for log lines in LogQL. Lines are grouped: each kind comes once with its count in the first "
    "and in the second half of the time looked at, marked NEW or RISING, with an example. Begin broad "
    '({service="x"} |= "error"), then narrow.'
)


class LogQL(BaseModel):
    query: str = Field(
        min_length=2, max_length=4000, description='LogQL for lines, e.g. {service="x"} |= "error"'
    )
    minutes: int = Field(15, ge=1, le=120, description="How far back")
    limit: int = Field(MOST_LINES, ge=1, le=MOST_LINES, description="At most so many lines, the newest")
    until: datetime | None = Field(None, description=UNTIL)


def tool(parts: object) -> Tool[LogQL] | None:
    loki = getattr(parts, "loki", None)
    if not isinstance(loki, Loki):
        return None

    async def run(asked: LogQL, scope: ToolScope) -> ToolResult:
        start, end = window(asked.minutes, asked.until, scope)
        try:
            seen = await look(loki, asked.query, start, end, asked.limit)
        except AgentError as error:
            raise ToolFailed(error.sentence) from error
        link = loki.link(asked.query, start, end, asked.limit)
        name = mask(f"Loki: {shortened(asked.query, 80)}")
        source = Source(kind="logs", title=name, path=asked.query, url=link)
        text = told(seen, scope.limit_bytes, loki.clock_notice())
        full = in_full([*seen.earlier, *seen.lines]) if seen.lines else None
        return ToolResult(text, (source,), f"Asked Loki: {plural(len(seen.lines), 'line')}", full=full)

    return Tool("logql", DESCRIPTION, LogQL, run, deadline_seconds=15)


@dataclass(frozen=True)
class Seen:
    """Lines between two times, oldest first. `cut`: there are more, and these are the newest.

    `earlier` are lines to compare with then: a busy service fills any limit with its last minute, in
    which nothing is new.
    """

    lines: tuple[LogLine, ...]
    start: float
    end: float
    cut: bool = False
    earlier: tuple[LogLine, ...] = ()


async def look(loki: Loki, query: str, start: float, end: float, limit: int) -> Seen:
    """The newest lines; where the limit cut others off, also as many of the first half of the time.

    Raises:
        SourceFailed: the newest lines cannot be had; without the earlier ones it goes on.
    """
    lines = await loki.query_range(query, start, end, limit)
    if len(lines) < limit:
        return Seen(lines, start, end)
    before = min((start + end) / 2, lines[0].at - 0.001)
    earlier: tuple[LogLine, ...] = ()
    with suppress(SourceFailed):
        earlier = await loki.query_range(query, start, before, limit)
    return Seen(lines, lines[0].at, end, True, earlier)


def told(seen: Seen, limit_bytes: int, notice: str | None = None) -> str:
    """What the model reads; it fits `limit_bytes`."""
    from app.signals.templates import templates  # noqa: PLC0415

    over = told_window(seen.start, seen.end)
    if not seen.lines:
        return "\n".join(filter(None, [notice, f"No line matches ({over})."]))
    split = seen.start if seen.earlier else (seen.start + seen.end) / 2
    found = templates([*seen.earlier, *seen.lines], split)
    if seen.earlier:
        # Between the two samples lies time that nobody saw, so there is no rate to compare.
        found = tuple(replace(kind, rising=False) for kind in found)
    kinds = sorted(found, key=_least_telling)
    head = [notice, f"{_counted(seen, over, split)}, {plural(len(kinds), 'kind')}:"]
    head += ["There are more lines: narrow the query or the time."] if seen.cut else []
    blocks = [block(kind) for kind in kinds]
    return fitted("\n".join(line for line in head if line), blocks, limit_bytes, "kinds of lines")[0]


def _counted(seen: Seen, over: str, split: float) -> str:
    lines = f"{plural(len(seen.lines), 'line')} of {over}"
    if not seen.earlier:
        return f"{lines} (counts before → after {clock_time(split)})"
    until = clock_time(seen.earlier[-1].at)
    return f"{lines}, beside {len(seen.earlier)} up to {until} (counts there → here)"


def _least_telling(kind: Template) -> tuple[bool, bool, bool, int]:
    return (
        not (kind.is_new and kind.level in SEVERE),
        not (kind.is_new or kind.rising),
        kind.level not in SEVERE,
        -kind.count,
    )


def block(kind: Template) -> str:
    """One kind of line: its mark, counts and first time, its text, and one example where that says more."""
    mark = "NEW " if kind.is_new else "RISING " if kind.rising else ""
    where = " ".join(word for word in (kind.level, kind.service) if word)
    times = f"{kind.before} → {kind.after}, first seen {clock_time(kind.first_at)}"
    line = f"- {mark}{kind.count}× ({times}) {where}: "
    line += shortened(kind.text, LONGEST_TEMPLATE)
    example = shortened(kind.example, LONGEST_EXAMPLE)
    return line if example == shortened(kind.text, LONGEST_TEMPLATE) else f"{line}\n  e.g. {example}"


def in_full(lines: Sequence[LogLine]) -> str:
    """Every line, oldest first: time, level, service, trace, text."""
    return "\n".join(
        " ".join(
            part
            for part in (
                f"{clock_time(line.at)}.{int(line.at % 1 * 1000):03}",
                line.level,
                line.service,
                f"trace={line.trace_id}" if line.trace_id else "",
                " ".join(line.text.split()),
            )
            if part
        )
        for line in lines
    )
