"""The tool that finds runbooks: by the alert's exact name first, then by what it says."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from pydantic import BaseModel, Field

from app.context.models import Source
from app.context.runbooks import FoundRunbook, Runbooks
from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope
from app.tools.execute import clip
from app.tools.shaping import plural, shortened

MOST_FOUND = 3
HEAD_SHARE = 0.6
"""Of what the model reads: the best runbook, so that it is whole more often than three halves are."""
DESCRIPTION = (
    "Find runbooks: give the alert's exact name when you know it, and what is wrong in words. Returns the "
    "best three with the text of the first; a runbook says what usually helps, not what is the case now."
)


class RunbookSearch(BaseModel):
    alert: str | None = Field(None, max_length=200, description="Name of the alert rule, e.g. HighErrorRate")
    text: str = Field("", max_length=2000, description="What is wrong, in the words of the alert")


@runtime_checkable
class RunbookIndex(Protocol):
    """Where the runbooks in force are."""

    async def current(self) -> Runbooks: ...


def tool(parts: object) -> Tool[RunbookSearch] | None:
    runbooks = getattr(parts, "runbooks", None)
    if not isinstance(runbooks, RunbookIndex):
        return None

    async def run(asked: RunbookSearch, scope: ToolScope) -> ToolResult:
        if not (asked.alert or asked.text.strip()):
            raise ToolFailed("Give the name of an alert, or say what is wrong.")
        index = await runbooks.current()
        found = index.find(asked.alert, asked.text, service=scope.service, limit=MOST_FOUND)
        about = shortened(asked.alert or asked.text, 60)
        if not found:
            return ToolResult(f"None of {plural(len(index), 'runbook')} has to do with “{about}”.")
        text = told(found, scope.limit_bytes)
        title = f"Runbooks for “{about}”: {', '.join(each.runbook.title for each in found)}"
        return ToolResult(text, tuple(map(source_of, found)), shortened(title, 150), full=in_full(found))

    return Tool("runbook_search", DESCRIPTION, RunbookSearch, run)


def source_of(found: FoundRunbook) -> Source:
    runbook = found.runbook
    return Source(
        kind="runbook",
        title=runbook.title,
        path=runbook.path or runbook.url or runbook.name,
        url=runbook.url,
        revision=runbook.revision,
    )


def told(found: tuple[FoundRunbook, ...], limit_bytes: int) -> str:
    """The best one's text, as much as fits beside the first lines of the others."""
    best, *others = found
    rest = [f"{heading(each)}\n{clip(each.runbook.text, _room(limit_bytes, others))}" for each in others]
    first = f"{heading(best)}\n{clip(best.runbook.text, int(limit_bytes * (HEAD_SHARE if others else 0.9)))}"
    return "\n\n".join([first, *rest])


def _room(limit_bytes: int, others: list[FoundRunbook]) -> int:
    return int(limit_bytes * (0.9 - HEAD_SHARE) / len(others)) - 100


def heading(found: FoundRunbook) -> str:
    runbook = found.runbook
    how = "named like the alert" if found.exact else f"its title fits by {found.fit:.0%}"
    where = runbook.url if not runbook.text else runbook.path
    return f"## Runbook “{runbook.title}” ({how}; {where})"


def in_full(found: tuple[FoundRunbook, ...]) -> str:
    return "\n\n".join(f"{heading(each)}\n{each.runbook.text}" for each in found)
