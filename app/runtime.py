"""The composition root: builds the parts from the settings, starts them in order, stops them in reverse."""

from __future__ import annotations

import asyncio
import importlib
import signal
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from socket import socket as Listener
from typing import Any, TextIO

import structlog
from fastapi import FastAPI
from pydantic import SecretStr
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent import models
from app.chores import end_quiet, expire, forget_what_was_overheard, in_background, open_for_alerts
from app.context.library import Library
from app.conversations.accept import RUN_TURN
from app.conversations.retention import Retention, prune_every_day
from app.footprint import settle
from app.investigations.queueing import (
    DIAGNOSE,
    DIAGNOSE_QUEUE,
    LOOK,
    LOOK_QUEUE,
    UPDATE_INCIDENT,
)
from app.investigations.slots import Slots
from app.investigations.weekly import post_every_week
from app.jobs import Handler, Handlers, Queue
from app.later import Later
from app.operations.controls import Controls
from app.operations.dependencies import dependencies_of
from app.operations.figures import FigureReader
from app.operations.models import RoomOf
from app.operations.operations import Operations, instance, released
from app.recent_errors import RECENT_ERRORS
from app.settings import Settings
from app.shared import Shared
from app.slack.bolt import HttpEvents, SocketMode, build_app, who_am_i
from app.slack.channels import Channels
from app.slack.client import SlackClient, web_client, web_session
from app.slack.history import ChannelReader
from app.slack.incoming import Me
from app.slack.listeners.desk import Desk
from app.slack.people import Admission, People
from app.slack.telling import tell_channel, tell_refusal, tell_stand_in
from app.standing import STANDINGS
from app.storage import migrate
from app.storage.embedded import EmbeddedPostgres, find_binaries
from app.storage.engine import READ_ONLY, ask, create_engine
from app.storage.errors import DatabaseUnavailable, SchemaBehind
from app.tools.masking import mask
from app.watching import Watching, announce_push
from app.web.alerts import AlertReader
from app.web.ops import Check, ops_app
from app.web.public import Push, public_app
from app.web.server import WebServer, bind

log = structlog.get_logger(__name__)

LOOKS_AT_ONCE = 20


class Runtime:
    """One process of ours. `door` takes events from Slack and webhooks, `worker` carries out turns; `serve`
    is both in one event loop."""

    def __init__(
        self,
        settings: Settings,
        *,
        door: bool = True,
        worker: bool = True,
        out: Callable[[], TextIO] = lambda: sys.stdout,
    ) -> None:
        self._settings = settings
        self._out = out
        self._door = door
        self._worker = worker
        self._stack = AsyncExitStack()
        self._draining = False
        self._models: models.Models | None = None
        self._handlers: Later[Handlers] | None = None
        self._checks: dict[str, Check] = {}
        self._queues: dict[str, Queue | Slots] = {}
        self.ports: dict[str, int] = {}
        """The ports bound, by variable name."""

    async def run(self) -> None:
        """Start, work until SIGTERM or SIGINT, stop."""
        asked = asyncio.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, asked.set)
        await self.start()
        try:
            await asked.wait()
        finally:
            await self.stop()

    async def start(self) -> None:
        """Start every part; when one cannot start, those before it are stopped again.

        Raises:
            AgentError: with what to do about it.
        """
        async with AsyncExitStack() as stack:
            await self._start(stack)
            in_background(stack, self._settle())
            self._stack = stack.pop_all()
        sys.setswitchinterval(SWITCH_SECONDS)
        log.info("ready", door=self._door, worker=self._worker, **self.ports)

    async def stop(self) -> None:
        """No new work first, then the running work within its grace, then the connections."""
        self._draining = True
        await self._stack.aclose()
        log.info("stopped")

    def drain(self) -> None:
        """Take no new work and end what runs, as `stop` does, but stay. What Slack tells over a socket is
        still stored, and carried out by others."""
        self._draining = True
        for queue in self._queues.values():
            queue.drain()

    async def _settle(self) -> None:
        """What no start waits for (`app.later`), and the end of `make_what_stays`."""
        try:
            if self._handlers:
                await self._handlers.get()
        except Exception as error:
            log.error("work_not_possible", fault=type(error).__name__, reason=str(error))
            self.drain()  # others carry out what comes
        try:
            if self._models:
                await self._models.warm()
        except Exception as error:  # whoever asks the model is told
            log.error("model_not_made", fault=type(error).__name__)
        settle()

    async def _start(self, stack: AsyncExitStack) -> None:
        settings = self._settings
        settings.require(SLACK_BOT_TOKEN="to talk to Slack")
        if settings.alerts.takes_any:
            settings.require(INCIDENT_CHANNEL="to show incidents, because a webhook's secret is set")
        if self._door and not settings.slack.socket_mode:
            settings.require(SLACK_SIGNING_SECRET="for HTTP mode; or set SLACK_APP_TOKEN for Socket Mode")
        listeners = self._bind(stack)
        await self._export_telemetry(stack)
        url = await self._database(stack)
        engine = create_engine(url, pool_size=max(10, settings.process.worker_concurrency // 4))
        stack.push_async_callback(engine.dispose)

        session = web_session()
        stack.push_async_callback(session.close)
        client = web_client(_secret(settings.slack.bot_token), settings.slack.api_url, session=session)
        me = await who_am_i(client)

        keeper, library, repos = await self._watching(engine, client).start(stack, url)
        admission = self._admission(People(client), me)
        channels = Channels(client)
        reader = ChannelReader(client, me, settings.slack.incident_channel, lambda: channels_of(library))
        shared = Shared.of(
            settings,
            engine,
            (keeper, library, repos),
            self._load(stack),
            channels=reader,
            link=me.link,
            out=self._out,
        )
        stack.push_async_callback(shared.clients.aclose)
        if self._worker:
            handlers = self._handlers = Later(lambda: _handlers(shared, client, me, channels, admission))
            await self._take_turns(stack, url, handlers)
            in_background(stack, prune_every_day(engine, retention_of(settings)))
            if channel := settings.slack.incident_channel:
                tell = partial(tell_channel, client, channel)
                in_background(stack, post_every_week(engine, tell))
                await self._investigate(stack, url, shared, handlers)

        events: HttpEvents | None = None
        if self._door:
            desk = Desk(me, client, engine, admission, shared.desk())
            stack.push_async_callback(desk.afterwards.done)
            app = build_app(desk)
            if settings.slack.socket_mode:
                socket = SocketMode(app, _secret(settings.slack.app_token) or "", client)
                await socket.start()
                stack.push_async_callback(socket.stop)
                self._checks["slack"] = _check(lambda: socket.connected)
            else:
                events = HttpEvents(app, _secret(settings.slack.signing_secret) or "")

        operations = self._operations(stack, shared, client)
        await self._serve(stack, listeners, url, shared, events=events, operations=operations)

    async def _export_telemetry(self, stack: AsyncExitStack) -> None:
        """Until after everything else has ended, so that its end is told too."""
        if self._settings.telemetry.is_on:
            # Half a second of imports, for those who want it.
            otlp = await asyncio.to_thread(importlib.import_module, "app.otlp")
            exporting = otlp.Otlp(self._settings.telemetry, version=released(), instance=instance())
            exporting.start()
            stack.push_async_callback(exporting.close)

    async def _take_turns(self, stack: AsyncExitStack, url: str, handlers: Later[Handlers]) -> None:
        process = self._settings.process
        queue = Queue(
            url, concurrency=process.worker_concurrency, grace_seconds=process.shutdown_grace_seconds
        )
        queue.handle(RUN_TURN, _handler(handlers, RUN_TURN))
        await queue.start()
        stack.push_async_callback(queue.stop)
        self._queues["turns"] = queue
        self._checks["queue"] = _check(lambda: queue.takes_jobs)

    def _load(self, stack: AsyncExitStack) -> models.Models | None:
        self._models = models.load(self._settings.model)
        if self._models:
            stack.push_async_callback(self._models.close)
        return self._models

    async def _investigate(
        self, stack: AsyncExitStack, url: str, shared: Shared, handlers: Later[Handlers]
    ) -> None:
        """Looks wait for nothing; diagnoses for one of the slots that all replicas share."""
        alerts, grace = self._settings.alerts, self._settings.process.shutdown_grace_seconds
        looks = Queue(
            url, concurrency=LOOKS_AT_ONCE, queues=(LOOK_QUEUE,), grace_seconds=grace, at_ease=False
        )
        for task in (LOOK, UPDATE_INCIDENT):
            looks.handle(task, _handler(handlers, task))
        diagnose = {DIAGNOSE: _handler(handlers, DIAGNOSE)}
        slots = Slots(url, diagnose, most=alerts.most_at_once, grace_seconds=grace)
        for name, part in ((LOOK_QUEUE, looks), (DIAGNOSE_QUEUE, slots)):
            await part.start()
            stack.push_async_callback(part.stop)
            self._queues[name] = part
        in_background(stack, expire(shared.engine, alerts.ttl_seconds))
        in_background(stack, end_quiet(shared.intake()))

    # -- storage -----------------------------------------------------------------------------------------

    async def _database(self, stack: AsyncExitStack) -> str:
        storage = self._settings.storage
        url = _secret(storage.database_url)
        if url is None:
            embedded = EmbeddedPostgres(storage.home / "postgres", binaries=find_binaries(storage.pg_bin))
            url = await embedded.start()
            stack.push_async_callback(embedded.stop)
        if storage.auto_migrate:
            await migrate.upgrade(url)
        elif not (await migrate.status(url)).up_to_date:
            raise SchemaBehind(
                "The database's schema is older than this version; run `sre-agent db upgrade`."
            )
        return url

    # -- knowledge and blueprints ------------------------------------------------------------------------

    def _watching(self, engine: AsyncEngine, client: SlackClient) -> Watching:
        channel = self._settings.slack.incident_channel

        async def refusal(revision: str, said: str) -> None:
            if channel:
                await tell_refusal(client, channel, revision, said)

        async def stand_in(notice: str) -> None:
            if channel:
                await tell_stand_in(client, channel, notice)

        return Watching(self._settings, engine, refusal, stand_in)

    def _operations(self, stack: AsyncExitStack, shared: Shared, client: SlackClient) -> Operations:
        controls = Controls(
            shared.engine,
            instance(),
            self.drain,
            running=lambda: sum(each.running for each in self._queues.values()),
            is_draining=lambda: self._draining,
        )
        stack.push_async_callback(controls.aclose)
        operations = Operations(
            self._settings,
            shared.keeper,
            FigureReader(shared.engine, shared.windows()),
            dependencies_of(
                self._settings,
                shared.engine,
                shared.keeper,
                shared.clients,
                ask_slack=client.auth_test,
                standings=STANDINGS,
            ),
            controls,
            RECENT_ERRORS,
            rooms=lambda: {
                name: RoomOf(running=each.running, room=each.room if isinstance(each, Queue) else None)
                for name, each in self._queues.items()
            },
            roles=tuple(role for role, is_on in (("door", self._door), ("worker", self._worker)) if is_on),
        )
        if self._settings.telemetry.is_on:
            in_background(stack, operations.keep_exposed())
        return operations

    # -- doors -------------------------------------------------------------------------------------------

    def _admission(self, people: People, me: Me) -> Admission:
        slack = self._settings.slack
        return Admission(
            people,
            home_team=me.team_id,
            allowed_teams=slack.allowed_teams,
            allowed_channels=slack.allowed_channels,
            allow_guests=slack.allow_guests,
        )

    def _bind(self, stack: AsyncExitStack) -> dict[str, Listener]:
        """The sockets first: a busy port stops the start before anything is touched."""
        process = self._settings.process
        wanted = {"OPS_PORT": process.ops_port}
        if self._door:
            wanted["PORT"] = process.port
        if process.port == process.ops_port and process.port and self._door:
            del wanted["OPS_PORT"]
        listeners = {name: bind(port, name) for name, port in wanted.items()}
        for name, listener in listeners.items():
            stack.callback(listener.close)
            self.ports[name] = listener.getsockname()[1]
        return listeners

    async def _serve(
        self,
        stack: AsyncExitStack,
        listeners: dict[str, Listener],
        url: str,
        shared: Shared,
        *,
        events: HttpEvents | None,
        operations: Operations,
    ) -> None:
        in_background(stack, forget_what_was_overheard(shared.engine))
        apps: dict[str, Any] = {}
        self._checks["database"] = lambda: _answers(shared.engine)
        self._checks["knowledge"] = _check(lambda: shared.keeper.is_loaded)
        ops = ops_app(
            self._checks,
            draining=lambda: self._draining,
            notices=lambda: tuple(map(mask, shared.keeper.notices())),
            alerts=AlertReader(shared.engine, shared.link),
            operations=operations,
            token=_secret(self._settings.process.ops_auth_token),
            # Where it is not, the internet reaches it.
            own_port="OPS_PORT" in listeners,
        )
        self._add_console(stack, ops, url, shared)
        if "PORT" in listeners:
            intake = shared.intake()
            if self._settings.alerts.takes_any:
                in_background(stack, open_for_alerts(intake))
            apps["PORT"] = public_app(
                slack=events,
                github_secret=_secret(self._settings.git.github_webhook_secret),
                on_push=partial(_pushed, shared.engine),
                draining=lambda: self._draining,
                alerts=intake,
                alert_settings=self._settings.alerts,
            )
            if "OPS_PORT" not in listeners:
                apps["PORT"].mount("/", ops)
        apps.setdefault("OPS_PORT", ops)
        for name, listener in listeners.items():
            server = WebServer(apps[name], listener)
            await server.start()
            stack.push_async_callback(server.stop)

    def _add_console(self, stack: AsyncExitStack, ops: FastAPI, url: str, shared: Shared) -> None:
        console = self._settings.console
        if not console.is_on:
            log.info("route_off", route="/console", needs="CONSOLE_TOKEN or TRUSTED_PROXIES")
            return
        # Templates cost memory that only who looks at them needs.
        from app.web.console.access import Access  # noqa: PLC0415
        from app.web.console.app import add_console, console_app  # noqa: PLC0415

        engine = create_engine(url, pool_size=2, server_settings=READ_ONLY)
        stack.push_async_callback(engine.dispose)
        access = Access(_secret(console.token), console.trusted_proxies)
        add_console(ops, console_app(engine, access, link=shared.link))


def _handlers(
    shared: Shared, client: SlackClient, me: Me, channels: Channels, admission: Admission
) -> Handlers:
    from app.handlers import handlers  # noqa: PLC0415

    return handlers(shared, client, me, channels, admission)


def _handler(handlers: Later[Handlers], task: str) -> Handler:
    async def handle(**arguments: Any) -> None:
        await (await handlers.get())[task](**arguments)

    return handle


SWITCH_SECONDS = 0.001
"""How long a thread that computes may keep the event loop waiting: webhooks are answered beside looks."""


def retention_of(settings: Settings) -> Retention:
    storage = settings.storage
    return Retention(
        storage.audit_retention_days, storage.transcript_retention_days, storage.result_retention_days
    )


def channels_of(library: Library) -> frozenset[str]:
    return frozenset(each.slack_channel for each in library.catalog if each.slack_channel)


async def _pushed(engine: AsyncEngine, push: Push) -> None:
    await announce_push(engine, push.repository.full_name)


async def _answers(engine: AsyncEngine) -> bool:
    try:
        await ask(engine)
    except DatabaseUnavailable:
        return False
    return True


def _check(check: Callable[[], bool]) -> Check:
    async def answer() -> bool:
        return check()

    return answer


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value else None
