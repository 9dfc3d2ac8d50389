"""One simulated system as a server on loopback: it records what it is asked and can be made to misbehave."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from email.utils import formatdate
from typing import Any, Literal, TypeVar

from aiohttp import web

from app.errors import AgentError
from app.tracing import HEADER

HUGE_BYTES = 50 * 1024 * 1024
CHUNK = b'"' + b"a" * 65_534 + b"\n"
HTML = "<!doctype html><title>Sign in</title><h1>Sign in</h1><p>Your session has ended.</p>"

T = TypeVar("T")
Answer = Callable[[web.Request], Any]
"""Gives what is sent as JSON."""
Page = Callable[[web.Request], str]
"""Gives the HTML a person's browser gets at the same address."""


class Declined(AgentError):
    """A system's own refusal: `body` is sent as JSON, a text as it is."""

    code = "simulated_refusal"

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(body if isinstance(body, str) else json.dumps(body))
        self.status = status
        self.body = body


@dataclass(frozen=True)
class Asked:
    """A request somebody made of a system."""

    system: str
    method: str
    path: str
    query: str
    trace_id: str = ""
    """`X-Trace-Id`: what it was asked for."""


@dataclass(frozen=True)
class Fault:
    """How a system misbehaves with every request until told otherwise."""

    kind: Literal["delay", "status", "hang", "html", "huge", "nan", "empty", "skew"]
    seconds: float = 0
    status: int = 500

    @classmethod
    def slow(cls, seconds: float) -> Fault:
        """Answers as ever, `seconds` later."""
        return cls("delay", seconds=seconds)

    @classmethod
    def failing(cls, status: int = 500) -> Fault:
        return cls("status", status=status)

    @classmethod
    def hanging(cls) -> Fault:
        """Never answers."""
        return cls("hang")

    @classmethod
    def html(cls) -> Fault:
        """A page for people with status 200, as a proxy in front sends it."""
        return cls("html")

    @classmethod
    def huge(cls) -> Fault:
        """50 MiB, streamed."""
        return cls("huge")

    @classmethod
    def nan(cls) -> Fault:
        """Every number is not one."""
        return cls("nan")

    @classmethod
    def skewed(cls, seconds: float) -> Fault:
        """Answers as ever, and says in its Date that it is so many seconds later."""
        return cls("skew", seconds=seconds)

    @classmethod
    def empty(cls) -> Fault:
        """Every list of the answer is empty."""
        return cls("empty")


class Faults:
    """The fault of each system; none when it is well."""

    def __init__(self) -> None:
        self._of: dict[str, Fault] = {}

    def set(self, system: str, fault: Fault) -> None:
        self._of[system] = fault

    def clear(self, system: str | None = None) -> None:
        """Make one system well again, or all."""
        if system is None:
            self._of.clear()
        self._of.pop(system or "", None)

    def of(self, system: str) -> Fault | None:
        return self._of.get(system)


class System:
    """A server with its own port. Add what it answers, then start it."""

    def __init__(
        self, name: str, faults: Faults, asked: list[Asked], thread: Executor, now: Callable[[], float]
    ) -> None:
        """`thread` computes the answers; a single one, for figures are counted as they are read.

        `now` is the time answers are dated with, in seconds since the epoch.
        """
        self.name = name
        self._now = now
        self._thread = thread
        self.url = ""
        self._faults = faults
        self._asked = asked
        self._leaving = asyncio.Event()
        self._application = web.Application(middlewares=[self._through_faults])
        self._application.on_response_prepare.append(self._date)
        self._runner: web.AppRunner | None = None

    def get(self, path: str, answer: Answer, page: Page | None = None) -> None:
        """Answer at `path`; with `page`, browsers get that."""

        async def handle(request: web.Request) -> web.StreamResponse:
            if page and "text/html" in request.headers.get("Accept", ""):
                return await self._shown(page, request)
            return self._json(await self._computed(answer, request))

        self._application.router.add_get(path, handle)

    def page(self, path: str, page: Page) -> None:
        """A page for people and nothing else."""

        async def handle(request: web.Request) -> web.Response:
            return await self._shown(page, request)

        self._application.router.add_get(path, handle)

    def take(self, method: str, path: str, answer: Callable[[web.Request, Any], Any], status: int) -> None:
        """Accept a JSON body at `path`."""

        async def handle(request: web.Request) -> web.Response:
            try:
                body = await request.json()
            except ValueError:
                raise Declined(400, {"error": {"message": "Invalid JSON"}}) from None
            return _as_json(answer(request, body), status)

        self._application.router.add_route(method, path, handle)

    async def start(self, port: int = 0) -> None:
        self._leaving.clear()
        self._runner = web.AppRunner(self._application, access_log=None, shutdown_timeout=0.5)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._leaving.set()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    # --- what every request goes through -----------------------------------------------------------------

    @web.middleware
    async def _through_faults(self, request: web.Request, handler: Any) -> web.StreamResponse:
        trace_id = request.headers.get(HEADER, "")
        self._asked.append(Asked(self.name, request.method, request.path, request.query_string, trace_id))
        fault = self._faults.of(self.name)
        if fault and (instead := await self._instead(fault, request)):
            return instead
        try:
            response: web.StreamResponse = await handler(request)
        except Declined as refusal:
            if isinstance(refusal.body, str):
                return web.Response(text=refusal.body, status=refusal.status)
            return _as_json(refusal.body, refusal.status)
        return response

    async def _date(self, _: web.Request, response: web.StreamResponse) -> None:
        """The time of the story, not of this machine: clients compare it with their own."""
        fault = self._faults.of(self.name)
        skew = fault.seconds if fault and fault.kind == "skew" else 0
        response.headers["Date"] = formatdate(self._now() + skew, usegmt=True)

    async def _instead(self, fault: Fault, request: web.Request) -> web.StreamResponse | None:
        """The answer of a fault that does not ask the system at all."""
        match fault.kind:
            case "delay" | "hang":
                await self._wait(fault.seconds if fault.kind == "delay" else None)
            case "status":
                return web.Response(text="the simulated system fails on purpose", status=fault.status)
            case "html":
                return web.Response(text=HTML, content_type="text/html")
            case "huge":
                return await _stream(request)
        return web.Response(status=503) if fault.kind == "hang" else None

    async def _wait(self, seconds: float | None) -> None:
        """Until the time is over or the server leaves."""
        try:
            await asyncio.wait_for(self._leaving.wait(), seconds)
        except TimeoutError:
            return

    async def _computed(self, compute: Callable[[web.Request], T], request: web.Request) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, compute, request)

    async def _shown(self, page: Page, request: web.Request) -> web.Response:
        return web.Response(text=await self._computed(page, request), content_type="text/html")

    def _json(self, body: Any) -> web.Response:
        fault = self._faults.of(self.name)
        if fault and fault.kind in ("nan", "empty"):
            body = _emptied(body) if fault.kind == "empty" else _without_numbers(body)
        return _as_json(body)


def _as_json(body: Any, status: int = 200) -> web.Response:
    """Without a charset, as the API server sends it: clients compare the whole header."""
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/json")


async def _stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for _ in range(HUGE_BYTES // len(CHUNK) + 1):
        await response.write(CHUNK)
    return response


def _emptied(body: Any) -> Any:
    if isinstance(body, Mapping):
        return {key: _emptied(value) for key, value in body.items()}
    return [] if isinstance(body, list) else body


def _without_numbers(body: Any) -> Any:
    """Every number, or text that is one, becomes NaN; the times of samples stay."""
    if isinstance(body, Mapping):
        return {key: _without_numbers(value) for key, value in body.items()}
    if isinstance(body, list):
        sample = len(body) == 2 and isinstance(body[0], int | float) and isinstance(body[1], str)
        return [body[0], "NaN"] if sample else [_without_numbers(item) for item in body]
    return float("nan") if isinstance(body, float) else body
