"""The playground as one server: Web API, Socket Mode, uploads, response URLs, the page.

async with PlaygroundSlack(Workspace.example()) as slack:
    ts = await slack.say("U0MAYA", "C0CHECKOUT", "<@U0AGENT> what do I need before launch?")
    await slack.wait_for(lambda: slack.thread("C0CHECKOUT", ts)[1:])
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from app.errors import AgentError
from app.playground.slack.delivery import SLACK_RETRY_DELAYS, Dispatcher
from app.playground.slack.desk import Desk
from app.playground.slack.events_http import EventsHttp
from app.playground.slack.faults import Faults
from app.playground.slack.journal import ApiCall, Delivery, Journal
from app.playground.slack.page_api import PageApi
from app.playground.slack.persons import Persons
from app.playground.slack.records import Json, Message
from app.playground.slack.refusal import SlackRefusal
from app.playground.slack.socket_mode import SocketMode
from app.playground.slack.web_api import WebApi
from app.playground.slack.workspace import Change, Workspace

PAGE = Path(__file__).parent.parent / "page"
HOSTS = ["localhost", "127.0.0.1"]
"""Under any other name a page in the person's browser is asking, which has lent its name to our address."""
T = TypeVar("T")


class NotSeen(AgentError):
    """What was waited for did not happen in time."""

    code = "playground_not_seen"


def loopback_socket(port: int = 0) -> socket.socket:
    """A listening socket on 127.0.0.1, on a free port for 0."""
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it, an answer written in
    # two pieces waits 40 ms for the peer's delayed ack.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    bound.listen(2048)
    return bound


class PlaygroundSlack:
    """A Slack of our own. Without `events_url` it delivers over Socket Mode, with it over signed HTTP.

    `routes` are served beside it, by what else stands on the playground.
    """

    def __init__(
        self,
        workspace: Workspace | None = None,
        *,
        bound: socket.socket | None = None,
        port: int = 0,
        events_url: str | None = None,
        ack_seconds: float = 3.0,
        retry_delays: tuple[float, ...] = SLACK_RETRY_DELAYS,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        hints: Sequence[Json] = (),
        routes: Sequence[BaseRoute] = (),
    ) -> None:
        self.workspace = workspace or Workspace.example()
        self.faults = Faults()
        self.journal = Journal()
        self.desk = Desk(self.workspace, self.faults, _soon)
        self.persons = Persons(self.desk)
        self.socket_mode = SocketMode(self.workspace, ack_seconds=ack_seconds)
        self.desk.open_socket = self.socket_mode.open
        self._ack_seconds = ack_seconds
        self._http: EventsHttp | None = None
        self.dispatcher = Dispatcher(
            self.workspace,
            self.socket_mode,
            self.journal,
            self.faults,
            retry_delays=retry_delays,
            sleep=sleep,
        )
        self.desk.interactions.deliver = self.dispatcher.interact_soon
        if events_url:
            self.deliver_to(events_url)
        self._web_api = WebApi(self.desk, self.journal, sleep)
        self._page_api = PageApi(self.desk, self.persons, self.dispatcher, hints)
        self._routes = routes
        self._bound = bound
        self._port = port
        self._server: _Server | None = None
        self._serving: asyncio.Task[None] | None = None
        self._waiters: set[asyncio.Event] = set()
        self.workspace.on_change.append(self._wake)

    # --- where it is ---------------------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The page's address, without a slash at the end."""
        return self.workspace.url

    @property
    def api_url(self) -> str:
        """What `SLACK_API_URL` and `AsyncWebClient(base_url=…)` want."""
        return f"{self.url}/api/"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of an app that is to talk to this playground over Socket Mode."""
        return {
            "SLACK_API_URL": self.api_url,
            "SLACK_BOT_TOKEN": self.workspace.bot_token,
            "SLACK_APP_TOKEN": self.workspace.app_token,
            "SLACK_SIGNING_SECRET": self.workspace.signing_secret,
        }

    def deliver_to(self, events_url: str | None) -> None:
        """Deliver events over HTTP to this request URL from now on; None goes back to Socket Mode."""
        if events_url is None:
            self.dispatcher.carrier = self.socket_mode
            return
        self._http = EventsHttp(self.workspace, events_url, ack_seconds=self._ack_seconds)
        self.dispatcher.carrier = self._http

    # --- what people do ------------------------------------------------------------------------------------

    async def say(
        self,
        user: str,
        channel: str,
        text: str,
        thread_ts: str | None = None,
        files: Mapping[str, bytes] | None = None,
    ) -> str:
        """Write a message as `user`; returns its timestamp. The agent's id as channel is the DM with it."""
        return self.persons.say(user, channel, text, thread_ts, files=files).ts

    async def edit(self, user: str, channel: str, ts: str, text: str) -> None:
        self.persons.edit(user, channel, ts, text)

    async def delete(self, user: str, channel: str, ts: str) -> None:
        self.persons.delete(user, channel, ts)

    async def react(self, user: str, channel: str, ts: str, name: str) -> None:
        self.persons.react(user, channel, ts, name)

    async def click(self, user: str, message_ts: str, action_id: str, value: Any = None) -> Json:
        return self.persons.click(user, message_ts, action_id, value)

    async def stop(self, user: str, channel: str, thread_ts: str) -> None:
        self.persons.stop(user, channel, thread_ts)

    async def submit(self, view_id: str, values: Json) -> Json:
        """Submit a modal; returns `{}` when it closed, `{"errors": …}` when the app refused."""
        payload = self.desk.interactions.submit_view(view_id, values)
        return self.desk.interactions.answered(view_id, await self.dispatcher.interact(payload))

    # --- what is to be seen --------------------------------------------------------------------------------

    def dm(self, user: str) -> str:
        """The id of the direct message between `user` and the agent."""
        return self.workspace.direct_message(user).id

    def thread(self, channel: str, ts: str) -> list[Message]:
        """The root and the replies of a thread as they are now, oldest first."""
        return copy.deepcopy(self.workspace.channels[channel].thread(ts))

    def channel(self, channel: str) -> list[Message]:
        """Everything in a channel, replies included, oldest first."""
        found = self.workspace.channels[channel].messages.values()
        return copy.deepcopy(sorted(found, key=lambda message: message.ts))

    def ephemeral(self, user: str) -> list[Message]:
        return [copy.deepcopy(item) for item in self.workspace.ephemeral if item.visible_to == user]

    def file(self, file_id: str) -> bytes:
        return self.desk.files.find(file_id).content or b""

    def calls(self, method: str | None = None) -> list[ApiCall]:
        """Every Web API call received so far, oldest first; of one method when named."""
        return [call for call in self.journal.calls if method in (None, call.method)]

    @property
    def deliveries(self) -> list[Delivery]:
        return self.journal.deliveries

    async def wait_for(self, predicate: Callable[[], T], timeout: float = 60.0) -> T:
        """Wait until `predicate()` is true and return what it returned; asked again after every change.

        Raises:
            NotSeen: after `timeout` seconds.
        """
        changed = asyncio.Event()
        self._waiters.add(changed)
        try:
            async with asyncio.timeout(timeout):
                while not (found := predicate()):
                    await changed.wait()
                    changed.clear()
                return found
        except TimeoutError:
            raise NotSeen(f"Nothing of the kind was seen in {timeout} s.") from None
        finally:
            self._waiters.discard(changed)

    async def connected(self, timeout: float = 60.0) -> None:
        """Wait for the app's Socket Mode connection."""
        await self.wait_for(lambda: self.socket_mode.connections, timeout)

    def _wake(self, _: Change) -> None:
        for waiter in self._waiters:
            waiter.set()

    # --- being a server ------------------------------------------------------------------------------------

    async def __aenter__(self) -> PlaygroundSlack:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        self._bound = self._bound or loopback_socket(self._port)
        self.workspace.url = f"http://127.0.0.1:{self._bound.getsockname()[1]}"
        config = uvicorn.Config(
            self.application(),
            lifespan="off",
            log_level="warning",
            access_log=False,
            ws_ping_interval=None,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._bound]))
        started = asyncio.create_task(self._server.listening.wait())
        await asyncio.wait({started, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        started.cancel()

    async def close(self) -> None:
        self._page_api.close()
        await self.dispatcher.close()
        await self.socket_mode.cut()
        if self._http:
            await self._http.close()
        if self._server and self._serving:
            self._server.should_exit = True
            self._server.leaving.set()
            await self._serving
        if self._bound:
            self._bound.close()

    def application(self) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        """The ASGI application."""
        routes = [
            Route("/api/{method}", self._web_api.respond, methods=["GET", "POST"]),
            WebSocketRoute("/link/", self.socket_mode.serve),
            Route("/upload/v1/{ticket}", self._receive_file, methods=["POST"]),
            Route("/files-pri/{key}/{rest:path}", self._private_file),
            Route("/actions/{team}/{key}", self._respond, methods=["POST"]),
            *self._page_api.routes(),
            *self._routes,
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ]
        only_here = Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False)
        inner = Starlette(routes=routes, middleware=[only_here])

        async def with_abort(scope: Scope, receive: Receive, send: Send) -> None:
            # uvicorn hands the request's cycle over as the owner of `send`; its transport is what a test
            # cuts to lose an answer.
            transport = getattr(getattr(send, "__self__", None), "transport", None)
            scope["playground.abort"] = getattr(transport, "abort", None)
            await inner(scope, receive, send)

        return with_abort

    async def _receive_file(self, request: Request) -> Response:
        try:
            item = self.desk.files.receive(request.path_params["ticket"], await _upload(request))
        except SlackRefusal as refusal:
            return PlainTextResponse(refusal.sentence, 400)
        return PlainTextResponse(f"OK - {item.size}")

    async def _private_file(self, request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {self.workspace.bot_token}":
            return PlainTextResponse("sign in to see this file", 403)
        file_id = request.path_params["key"].rsplit("-", 1)[-1]
        try:
            item = self.desk.files.find(file_id)
        except SlackRefusal:
            return PlainTextResponse("no such file", 404)
        return Response(item.content, media_type=item.mimetype)

    async def _respond(self, request: Request) -> Response:
        try:
            self.desk.interactions.respond(request.path_params["key"], await request.json())
        except SlackRefusal as refusal:
            return PlainTextResponse(refusal.error, 404 if refusal.error.endswith("_url") else 400)
        except ValueError:
            return PlainTextResponse("invalid_payload", 400)
        return PlainTextResponse("ok")


class _Server(uvicorn.Server):
    """uvicorn that leaves the process's signals alone and says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()
        self.leaving = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    async def main_loop(self) -> None:
        # uvicorn's own loop looks ten times a second whether it is to end; tests start many servers.
        ticks = 0
        while not await self.on_tick(ticks):
            ticks += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.leaving.wait(), 0.1)


async def _upload(request: Request) -> bytes:
    """The bytes of an upload: a raw body, or the one file of a form."""
    if not request.headers.get("content-type", "").startswith("multipart/"):
        return await request.body()
    async with request.form() as form:
        for part in form.values():
            if not isinstance(part, str):
                return await part.read()
    return b""


def _soon(work: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(work)
