"""MCP servers: connected when first needed, one task for each, and whatever is away becomes a gap.

A server's answers, and its words about its own tools, are data from outside. The SDK
(modelcontextprotocol.io) is imported on the first connection: it costs start time and memory.
"""

from __future__ import annotations

import asyncio
import contextvars
import math
import os
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from app import tracing
from app.sources.failures import NotThere, QueryRejected, SourceFailed
from app.sources.mcp_config import McpServer, McpSettings

if TYPE_CHECKING:
    import httpx2
    from mcp import Client

log = structlog.get_logger(__name__)

CONNECT_SECONDS = 20.0
"""A server that is fetched when it starts takes its time."""
AGAIN_AFTER_SECONDS = 30.0
"""A server that is away is asked again so much later."""
CLOSE_SECONDS = 8.0
MOST_PAGES = 20
LONGEST_RESULT = 1024 * 1024
MOST_HTTP_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class McpTool:
    """A tool that may be used; `description` and `schema` are the server's own words."""

    server: str
    name: str
    description: str
    schema: Mapping[str, Any]

    @property
    def full_name(self) -> str:
        return f"{self.server}.{self.name}"


class McpServers:
    """The configured servers. `gaps()` says which cannot be used and why."""

    def __init__(
        self,
        settings: McpSettings,
        *,
        connect_seconds: float = CONNECT_SECONDS,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ticket_search = settings.tickets
        self._connect_seconds = connect_seconds
        self._lines = {
            server.name: _Line(server, settings, connect_seconds, seconds) for server in settings.servers
        }

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._lines)

    @property
    def longest_seconds(self) -> float:
        """How long a call may take: the longest deadline, and the time to connect."""
        return self._connect_seconds + max(
            (line.server.deadline_seconds for line in self._lines.values()), default=0
        )

    async def aclose(self) -> None:
        await asyncio.gather(*(line.aclose() for line in self._lines.values()))

    async def tools(self) -> tuple[McpTool, ...]:
        """The tools that may be used now, of all servers that answer."""
        found = await asyncio.gather(*(line.tools() for line in self._lines.values()))
        return tuple(tool for tools in found for tool in tools)

    async def call(self, full_name: str, arguments: Mapping[str, Any]) -> str:
        """What a tool answers, as text.

        Raises:
            NotThere: no such tool may be used.
            QueryRejected: the tool says that it cannot do this.
            SourceFailed: its server is away, or does not answer within its deadline.
        """
        server, _, name = full_name.partition(".")
        line = self._lines.get(server)
        if line is None or name not in line.server.tools:
            raise NotThere(
                "mcp", f"has no tool {full_name[:150]!r} that may be used; find_tools tells which."
            )
        return await line.call(name, arguments)

    def gaps(self) -> tuple[tuple[str, str], ...]:
        """(server, reason) for each that was asked and cannot be used."""
        return tuple((name, reason) for name, line in self._lines.items() for reason in line.gaps())


class _Line:
    """The connection to one server. The SDK wants it opened and closed by one task, which is kept here."""

    def __init__(
        self,
        server: McpServer,
        settings: McpSettings,
        connect_seconds: float,
        seconds: Callable[[], float],
    ) -> None:
        self.server = server
        self._connect_seconds = connect_seconds
        self._settings = settings
        self._seconds = seconds
        self._task: asyncio.Task[None] | None = None
        self._client: Client | None = None
        self._tools: tuple[McpTool, ...] = ()
        self._hang_up = asyncio.Event()
        self._connecting = asyncio.Lock()
        self._away: str | None = None
        self._away_since = 0.0

    async def tools(self) -> tuple[McpTool, ...]:
        try:
            await self._connected()
        except SourceFailed:
            return ()
        return self._tools

    async def call(self, name: str, arguments: Mapping[str, Any]) -> str:
        client = await self._connected()
        from mcp import MCPError  # noqa: PLC0415

        if name not in {tool.name for tool in self._tools}:
            raise NotThere(self.server.name, f"does not offer {name!r} now, though it may be used.")
        try:
            async with asyncio.timeout(self.server.deadline_seconds):
                result = await client.call_tool(name, dict(arguments))
        except TimeoutError:
            reason = f"did not answer within {self.server.deadline_seconds:g} seconds."
            raise SourceFailed(self.server.name, reason) from None
        except MCPError as error:
            if self._task is not None and not await self._still_there(client):
                await self._lost("ended")
                raise SourceFailed(self.server.name, "ended while it was asked.") from error
            raise QueryRejected(self.server.name, f"rejects the call: {str(error)[:300]}") from error
        except Exception as error:
            await self._lost(f"broke off ({type(error).__name__})")
            raise SourceFailed(self.server.name, f"broke off ({type(error).__name__}).") from error
        text = text_of(result)
        if result.is_error:
            raise QueryRejected(self.server.name, f"cannot do this: {text[:1000]}")
        return text

    def gaps(self) -> list[str]:
        if self._away is not None:
            return [self._away]
        missing = sorted(set(self.server.tools) - {tool.name for tool in self._tools})
        return [f"does not offer {', '.join(missing)}"] if missing and self._client is not None else []

    async def aclose(self) -> None:
        self._client = None
        if self._task is not None:
            self._hang_up.set()
            # The SDK ends a process that does not go by itself within some seconds.
            await asyncio.wait({self._task}, timeout=CLOSE_SECONDS)
            self._task.cancel()
            self._task = None

    async def _connected(self) -> Client:
        """The client, connecting first when there is none.

        Raises:
            SourceFailed: the server is away; it is tried again after a while.
        """
        async with self._connecting:
            if self._client is not None and self._task is not None and not self._task.done():
                return self._client
            if self._away is not None and self._seconds() - self._away_since < AGAIN_AFTER_SECONDS:
                raise SourceFailed(self.server.name, self._away)
            await self.aclose()
            self._hang_up = asyncio.Event()
            ready: asyncio.Future[Client] = asyncio.get_running_loop().create_future()
            self._task = asyncio.create_task(
                self._hold(ready, self._hang_up),
                name=f"mcp-{self.server.name}",
                context=contextvars.Context(),  # it outlives the trace that needs it first
            )
            try:
                async with asyncio.timeout(self._connect_seconds):
                    self._client = await asyncio.shield(ready)
            except TimeoutError:
                self._task.cancel()
                raise self._gone(f"did not start within {self._connect_seconds:g} seconds.") from None
            except SourceFailed as error:
                raise self._gone(error.reason) from error
            except Exception as error:
                raise self._gone(f"cannot be used ({type(error).__name__}).") from error
            self._away = None
            return self._client

    async def _hold(self, ready: asyncio.Future[Client], hang_up: asyncio.Event) -> None:
        """Open the connection, keep it until told to hang up, close it."""
        try:
            await asyncio.to_thread(_load_sdk)
            async with AsyncExitStack() as stack:
                client = await _open(self.server, self._settings, stack)
                self._tools = await self._offered(client)
                self._check_version(client)
                if not ready.done():
                    ready.set_result(client)
                await hang_up.wait()
        except Exception as error:
            if ready.done():
                log.info("mcp_server_closed_badly", server=self.server.name, error=type(error).__name__)
            else:
                ready.set_exception(_innermost(error))

    async def _offered(self, client: Client) -> tuple[McpTool, ...]:
        """The allowed ones among the server's tools, but for those it says itself are no readers."""
        found, cursor = [], None
        for _ in range(MOST_PAGES):
            page = await client.list_tools(cursor=cursor)
            found += page.tools
            if (cursor := page.next_cursor) is None:
                break
        return tuple(
            McpTool(self.server.name, each.name, each.description or "", each.input_schema)
            for each in found
            if each.name in self.server.tools
            and not (each.annotations is not None and each.annotations.read_only_hint is False)
        )

    def _check_version(self, client: Client) -> None:
        says = client.server_info.version if client.server_info else "nothing"
        if self.server.version is not None and says != self.server.version:
            reason = f"says it is version {says[:60]}, and MCP_SERVERS wants {self.server.version}."
            raise SourceFailed(self.server.name, reason)

    async def _still_there(self, client: Client) -> bool:
        try:
            async with asyncio.timeout(2):
                await client.list_tools(cache_mode="bypass")
        except Exception:
            return False
        return True

    async def _lost(self, reason: str) -> None:
        """Give the connection up; the next question tries anew."""
        log.warning("mcp_server_lost", server=self.server.name, reason=reason)
        async with self._connecting:
            await self.aclose()
            self._away, self._away_since = f"{reason}; it is connected anew at the next question.", -math.inf

    def _gone(self, reason: str) -> SourceFailed:
        log.warning("mcp_server_away", server=self.server.name, reason=reason)
        self._client, self._away, self._away_since = None, reason, self._seconds()
        return SourceFailed(self.server.name, reason)


def _load_sdk() -> None:
    """Half a second and 36 MB: off the event loop, and only where a server is used."""
    import mcp.client.stdio  # noqa: PLC0415
    import mcp.client.streamable_http  # noqa: F401, PLC0415


async def _open(server: McpServer, settings: McpSettings, stack: AsyncExitStack) -> Client:
    """A client that is connected; it offers the server neither our model nor our files nor our user."""
    import httpx2  # noqa: PLC0415
    from mcp import Client, StdioServerParameters  # noqa: PLC0415
    from mcp.client.stdio import stdio_client  # noqa: PLC0415
    from mcp.client.streamable_http import streamable_http_client  # noqa: PLC0415

    from app.sources.bounded import BoundedTransport  # noqa: PLC0415

    if server.command is not None:
        env = {**server.settings, **{name: settings.value(each) for name, each in server.env.items()}}
        # What a server writes on its error output may hold its secrets.
        silent = stack.enter_context(Path(os.devnull).open("w", encoding="utf-8"))  # noqa: ASYNC230, SIM115
        started = StdioServerParameters(command=server.command, args=list(server.args), env=env)
        return await stack.enter_async_context(Client(stdio_client(started, errlog=silent)))
    assert server.url is not None
    headers = {name: settings.value(each) for name, each in server.headers.items()}
    timeout = httpx2.Timeout(server.deadline_seconds)
    bounded = BoundedTransport(httpx2.AsyncHTTPTransport(), server.name, MOST_HTTP_BYTES)
    hooks = {"request": [_name_trace]}
    http = await stack.enter_async_context(
        httpx2.AsyncClient(headers=headers, timeout=timeout, transport=bounded, event_hooks=hooks)
    )
    return await stack.enter_async_context(Client(streamable_http_client(server.url, http_client=http)))


async def _name_trace(request: httpx2.Request) -> None:
    """The SDK sends each call's request in the context of whoever calls."""
    if trace_id := tracing.current_trace_id():
        request.headers[tracing.HEADER] = trace_id


def text_of(result: Any) -> str:
    """The text of a result; what is no text is named, and what is too long is cut."""
    pieces = []
    for block in result.content:
        text = getattr(block, "text", None) or getattr(getattr(block, "resource", None), "text", None)
        pieces.append(text if isinstance(text, str) else f"[{getattr(block, 'type', 'something')} left out]")
    whole = "\n".join(pieces)
    return whole if len(whole) <= LONGEST_RESULT else whole[:LONGEST_RESULT] + "\n[the rest is left out]"


def _innermost(error: Exception) -> Exception:
    """The error inside groups of errors: the SDK's tasks wrap whatever ends one of them."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
