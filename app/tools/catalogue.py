"""The catalogue: every tool the model may be offered, in one fixed order, found by looking into `app/tools`.

A tool is one module in this folder with a function `tool(parts) -> Tool | None`. It takes what it needs
from `parts` (the runtime's parts: mirrors, clients) and answers None when that is not configured: a tool
whose source is absent is not offered at all.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

import app.tools
from app.context.models import Source
from app.errors import AgentError

I = TypeVar("I", bound=BaseModel)  # noqa: E741 - the input of a tool


class ToolFailed(AgentError):
    """A tool could not do what it was asked; the sentence is what the model reads."""

    code = "tool_failed"


@dataclass(frozen=True)
class ToolResult:
    """What a tool found: the text, where it came from, and a short title for the progress line.

    Where `text` is a digest, `full` is all of it, kept beside for a narrower question.
    """

    text: str
    sources: tuple[Source, ...] = ()
    title: str | None = None
    full: str | None = None


@dataclass(frozen=True)
class ToolScope:
    """What a call may know of the turn it serves: the resolved service, the time, and what it may say.

    `limit_bytes` is what the model will read of a result (`execute` sets it); `call_id` and `session_id`
    are what a stored result is found by.
    """

    service: str | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    limit_bytes: int = 4096
    call_id: str | None = None
    session_id: int | None = None


@dataclass(frozen=True)
class Tool(Generic[I]):
    """One read-only ability: the model chooses it by name and description and fills in `input`.

    `run` raises `ToolFailed` with a sentence the model can act on; any other exception is a fault of
    ours and reaches the model as one neutral sentence.
    """

    name: str
    description: str
    input: type[I]
    run: Callable[[I, ToolScope], Awaitable[ToolResult]]
    deadline_seconds: float = 15


class Catalogue:
    """The tools on offer, sorted by name: the order is part of the prompt prefix and must not vary."""

    def __init__(self, tools: Iterable[Tool[Any]] = ()) -> None:
        self._tools: dict[str, Tool[Any]] = {}
        for tool in sorted(tools, key=lambda each: each.name):
            if tool.name in self._tools:
                raise ValueError(f"two tools are named {tool.name}")
            self._tools[tool.name] = tool

    def offer(self) -> tuple[Tool[Any], ...]:
        return tuple(self._tools.values())

    def get(self, name: str) -> Tool[Any]:
        """The tool of that name.

        Raises:
            ToolFailed: naming the tools there are, for a name the model made up.
        """
        if name not in self._tools:
            offered = ", ".join(self._tools) or "none"
            raise ToolFailed(f"There is no tool named {name!r}. Tools on offer: {offered}.")
        return self._tools[name]

    def __iter__(self) -> Iterator[Tool[Any]]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)


def discover(parts: object) -> Catalogue:
    """Ask every module of this folder for its tool; modules without a `tool` function are not tools."""
    found: list[Tool[Any]] = []
    for module in sorted(pkgutil.iter_modules(app.tools.__path__), key=lambda each: each.name):
        make = getattr(importlib.import_module(f"app.tools.{module.name}"), "tool", None)
        if make is not None and (tool := make(parts)) is not None:
            found.append(tool)
    return Catalogue(found)
