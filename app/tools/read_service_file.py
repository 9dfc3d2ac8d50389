"""The tool that reads one file of a service's repository."""

from __future__ import annotations

from typing import Protocol

from pydantic import BaseModel, Field

from app.context.library import Library
from app.context.models import Service, Source
from app.context.repos import Page, Repos
from app.errors import AgentError
from app.tools.catalogue import Tool, ToolFailed, ToolResult, ToolScope

MOST_LINES = 400
DESCRIPTION = (
    "Read a text file of a service's source repository, or list a folder (an empty path is the top). "
    "Only repositories of the service catalog can be read; files that look like secrets are refused. "
    "Use it to check how something is really configured or coded before stating it."
)


class ReadServiceFile(BaseModel):
    path: str = Field(
        "", max_length=400, description="Path relative to the top of the repo, e.g. src/main.py"
    )
    service: str | None = Field(
        None, max_length=100, description="Name in the catalog; default: the service talked about"
    )
    from_line: int = Field(1, ge=1, description="First line to return, for long files")
    lines: int = Field(150, ge=1, le=MOST_LINES, description="How many lines to return")


class Parts(Protocol):
    library: Library
    repos: Repos


def tool(parts: Parts) -> Tool[ReadServiceFile] | None:
    library, repos = getattr(parts, "library", None), getattr(parts, "repos", None)
    if not isinstance(library, Library) or not isinstance(repos, Repos):
        return None

    async def run(asked: ReadServiceFile, scope: ToolScope) -> ToolResult:
        service = service_of(asked.service, scope, library)
        try:
            page = await repos.page(service, asked.path)
        except AgentError as error:
            raise ToolFailed(error.sentence) from error
        shown = page.text if page.is_folder else excerpt(page.text, asked.from_line, asked.lines)
        text = "\n".join(part for part in (page.notice, f"{page.source.title}:", shown) if part)
        return ToolResult(text, (opened_at(page, asked.from_line),), f"Read {page.source.title}")

    return Tool("read_service_file", DESCRIPTION, ReadServiceFile, run, deadline_seconds=20)


def service_of(name: str | None, scope: ToolScope, library: Library) -> Service:
    """The service a tool is asked about: the one named, else the one of the conversation.

    Raises:
        ToolFailed: nobody named one, or the catalog has none of that name.
    """
    wanted = name or scope.service
    if wanted is None:
        raise ToolFailed("Name a service of the catalog: this conversation is not about one yet.")
    service = library.catalog.get(wanted)
    if service is None:
        known = ", ".join(each.name for each in library.catalog) or "none"
        raise ToolFailed(f"The catalog has no service {wanted!r}. It has: {known[:600]}.")
    return service


def opened_at(page: Page, line: int) -> Source:
    """The source of an excerpt: its address opens the file at the first line that was read."""
    if page.is_folder or page.source.url is None or line == 1:
        return page.source
    return page.source.model_copy(update={"url": f"{page.source.url}#L{line}"})


def excerpt(text: str, first: int, count: int) -> str:
    """Some lines of a file with their numbers, and a word on what is left out.

    Raises:
        ToolFailed: the file ends before the first line asked for.
    """
    lines = text.splitlines()
    shown = lines[first - 1 : first - 1 + count]
    if not shown and lines:
        raise ToolFailed(f"The file has only {len(lines)} lines.")
    numbered = [f"{number:>5}  {line}" for number, line in enumerate(shown, start=first)]
    left = len(lines) - (first - 1 + len(shown))
    return "\n".join([*numbered, *([f"({left} more lines)"] if left > 0 else [])])
