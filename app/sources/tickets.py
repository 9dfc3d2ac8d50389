"""Open tickets of a service: one search by a tool of an MCP server, as `tickets:` in MCP_SERVERS says."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.sources.failures import QueryRejected
from app.sources.mcp import McpServers
from app.sources.mcp_config import TicketSearch

MOST_TICKETS = 5
LONGEST_TITLE = 200
LONGEST_WORD = 100
DEEPEST = 6
KEYS = ("key", "identifier", "number", "id")
TITLES = ("summary", "title", "subject", "name")
KEY = re.compile(r"(?<![\w-])[A-Z][A-Z0-9_]{1,19}-\d{1,9}(?![\w-])|(?<![\w/#])#\d{1,9}\b")


@dataclass(frozen=True)
class Tickets:
    servers: McpServers
    search: TicketSearch
    _calls: set[asyncio.Task[str]] = field(default_factory=set, init=False)

    async def about(self, service: str | None, alert: str | None) -> tuple[str, ...]:
        """The first few tickets the search finds, each with its key and title.

        Raises:
            SourceFailed: the server gives no usable answer; `QueryRejected` where no service is named.
        """
        if service is None:
            raise QueryRejected("tickets", "are searched by their service, and the alert names none.")
        arguments = filled(self.search.arguments, service=service, alert=alert or "")
        call = asyncio.ensure_future(self.servers.call(f"{self.search.server}.{self.search.tool}", arguments))
        self._calls.add(call)
        call.add_done_callback(self._ended)
        # A look that does not wait so long lets a server go on starting: the next one finds it there.
        return tickets_of(await asyncio.shield(call))

    def _ended(self, call: asyncio.Task[str]) -> None:
        self._calls.discard(call)
        # Taken out, or it would be reported as lost where nobody waits any more.
        _ = call.cancelled() or call.exception()


def filled(arguments: Mapping[str, Any], **blanks: str) -> dict[str, Any]:
    """The arguments with `$service` and `$alert` filled in, of which only words are left: no value ends the
    quotes it stands in."""
    words = {
        name: " ".join(re.sub(r"[^\w.-]+", " ", text).split())[:LONGEST_WORD] for name, text in blanks.items()
    }

    def one(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return re.sub(r"\$(service|alert)\b", lambda found: words[found[1]], value)

    return {name: one(value) for name, value in arguments.items()}


def tickets_of(answer: str) -> tuple[str, ...]:
    """Keys and titles, of JSON with a key and a title to each, else of the lines that name a key."""
    try:
        found = _in_json(json.loads(answer), 0)
    except (ValueError, RecursionError):
        found = (line for line in answer.splitlines() if KEY.search(line))
    told = dict.fromkeys(" ".join(each.split())[:LONGEST_TITLE] for each in found)
    return tuple(told)[:MOST_TICKETS]


def _in_json(found: Any, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        return
    if isinstance(found, Mapping):
        inner = found.get("fields")
        telling = {**inner, **found} if isinstance(inner, Mapping) else found
        key = next((str(telling[name]) for name in KEYS if isinstance(telling.get(name), str | int)), "")
        title = next((telling[name] for name in TITLES if isinstance(telling.get(name), str)), "")
        if key and title:
            yield f"{f'#{key}' if key.isdigit() else key}: {title}"
            return
    within = found.values() if isinstance(found, Mapping) else found if isinstance(found, list) else ()
    for each in within:
        yield from _in_json(each, depth + 1)
