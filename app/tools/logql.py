"""The tool that asks for logs in LogQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from app.context.models import Source
from app.errors import AgentError
from app.signals.models import LogLine
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
            lines = await loki.query_range(asked.query, start, end, asked.limit)
        except AgentError as error:
            raise ToolFailed(error.sentence) from error
        link = loki.link(asked.query, start, end, asked.limit)
        source = Source(
            kind="logs", title=mask(f"Loki: {shortened(asked.query, 80)}"), path=asked.query, url=link
        )
        complete = len(lines) < asked.limit
        text = told(lines, start, end, scope.limit_bytes, complete=complete, notice=loki.clock_notice())
        title = f"Asked Loki: {plural(len(lines), 'line')}"
        return ToolResult(text, (source,), title, full=in_full(lines) if lines else None)

    return Tool("logql", DESCRIPTION, LogQL, run, deadline_seconds=15)


def told(
    lines: Sequence[LogLine],
    start: float,
    end: float,
    limit_bytes: int,
    *,
    complete: bool = True,
    notice: str | None = None,
) -> str:
    """What the model reads; it fits `limit_bytes`. `complete`: there were no more lines than these."""
    from app.signals.templates import templates  # noqa: PLC0415

    if not lines:
        return "\n".join(filter(None, [notice, f"No line matches ({told_window(start, end)})."]))
    # Where the limit cut older lines off, the time before the oldest one was not seen: nothing is new there.
    seen_from = start if complete else lines[0].at
    middle = (seen_from + end) / 2
    kinds = sorted(templates(lines, middle), key=_least_telling)
    head = [
        notice,
        f"{plural(len(lines), 'line')} of {told_window(seen_from, end)}, {plural(len(kinds), 'kind')} "
        f"(counts before → after {clock_time(middle)}):",
        None
        if complete
        else f"There are more: these are the newest {len(lines)}; narrow the query or the time.",
    ]
    blocks = [block(kind) for kind in kinds]
    return fitted("\n".join(line for line in head if line), blocks, limit_bytes, "kinds of lines")[0]


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
    line = (
        f"- {mark}{kind.count}× ({kind.before} → {kind.after}, first {clock_time(kind.first_at)}) {where}: "
    )
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
