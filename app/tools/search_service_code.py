"""The tool that searches the code of a service's repository."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, Field

from app.context.library import Library
from app.context.repos import Hits, Repos
from app.errors import AgentError
from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope
from app.tools.read_service_file import service_of

LONGEST_LINE = 200
DESCRIPTION = (
    "Search the source code of a service's repository for a text, without regard to case; several words also "
    "find files that hold all of them. Returns file:line and the line. Not a regular expression. "
    "Read around a hit with read_service_file."
)


class SearchServiceCode(BaseModel):
    text: str = Field(
        min_length=2, max_length=200, description="Text or words to find, e.g. an error message"
    )
    service: str | None = Field(
        None, max_length=100, description="Name in the catalog; default: the service talked about"
    )


class Parts(Protocol):
    library: Library
    repos: Repos


def tool(parts: Parts) -> Tool[SearchServiceCode] | None:
    library, repos = getattr(parts, "library", None), getattr(parts, "repos", None)
    if not isinstance(library, Library) or not isinstance(repos, Repos):
        return None

    async def run(asked: SearchServiceCode, scope: ToolScope) -> ToolResult:
        service = service_of(asked.service, scope, library)
        if not asked.text.strip():
            raise ToolFailed("Give a text to search for.")
        try:
            hits = await repos.search(service, asked.text)
        except AgentError as error:
            raise ToolFailed(error.sentence) from error
        first_of_file = {source.path: source for _, source in reversed(hits.lines)}
        sources = tuple(dict.fromkeys(first_of_file[line.path] for line, _ in hits.lines))
        count = len(hits.lines)
        title = f"Searched {service.name} for “{asked.text[:40]}”: {count or 'no'} hit{'s' * (count != 1)}"
        return ToolResult(told(hits, service.name, asked.text), sources, title)

    return Tool("search_service_code", DESCRIPTION, SearchServiceCode, run, deadline_seconds=60)


def told(hits: Hits, service: str, text: str) -> str:
    """The hits as the model reads them."""
    lines = [f"{line.path}:{line.number}: {line.text.strip()[:LONGEST_LINE]}" for line, _ in hits.lines]
    if not lines and not hits.paths:
        lines = [f"Nothing in the code of {service} holds {text!r} (revision {hits.revision})."]
    named = [f"Files of that name: {', '.join(hits.paths)}"] if hits.paths else []
    return "\n".join([*([hits.notice] if hits.notice else []), *lines, *named])
