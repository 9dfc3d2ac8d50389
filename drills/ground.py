"""Where drills take place: Postgres, a Slack, a model and monitored systems of our own, and real processes.

Slack, model and systems live in this process; the program runs as it does anywhere, each `serve` and `worker`
a process. Each drill has a database, a Slack and repos to itself.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import NullPool

from app.playground.example import ExampleOrganisation, write_repos
from app.playground.slack.server import PlaygroundSlack
from app.playground.stack import SimulatedStack
from app.settings import Settings
from app.storage import migrate
from app.storage.embedded import EmbeddedPostgres, find_binaries
from app.storage.engine import create_async_engine, url_for
from benchmarks.paging import CHANNEL, TOKEN
from benchmarks.stand import ROOT, App, passed_on, spawn, workspace
from drills.model import Model

TEMPLATE = "template_drills"
SCENARIO = "bad-deploy"
MOST_CONNECTIONS = 400
"""A process has some twenty, and drills may run side by side on one server."""


class NotRun(Exception):
    """A drill that cannot take place here; the reason is its message."""


@dataclass(frozen=True)
class Server:
    """A Postgres that may be stopped and killed; its address stays the same."""

    postgres: EmbeddedPostgres
    sockets: Path
    """A link to where the server listens, which is another folder after each start."""

    async def start(self) -> None:
        found = make_url(await self.postgres.start()).query["host"]
        self.sockets.unlink(missing_ok=True)
        self.sockets.symlink_to(str(found))

    async def stop(self) -> None:
        await self.postgres.stop()

    def crash(self) -> None:
        """kill -9 to the postmaster; its children end by themselves."""
        os.kill(int((self.postgres.data / "postmaster.pid").read_text().split("\n", 1)[0]), signal.SIGKILL)

    async def database(self, name: str, template: str | None = TEMPLATE) -> str:
        """The address of a new database, with our schema and no rows."""
        url = make_url(await self.postgres.create_database(name, template=template))
        return url.update_query_dict({"host": str(self.sockets)}).render_as_string(hide_password=False)


@asynccontextmanager
async def server(folder: Path) -> AsyncIterator[Server]:
    """A durable server of our own in this folder, whatever DATABASE_URL says."""
    binaries = find_binaries(Settings.load(env_file=None).storage.pg_bin)
    settings = {"max_connections": str(MOST_CONNECTIONS)}
    postgres = EmbeddedPostgres(folder / "postgres", binaries=binaries, settings=settings)
    made = Server(postgres, folder / "sockets")
    try:
        await made.start()
        await migrate.upgrade(await made.database(TEMPLATE, None))
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def own_folder() -> AsyncIterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="sre-agent-drill-"))
    try:
        yield folder
    finally:
        await asyncio.to_thread(shutil.rmtree, folder, True)


@dataclass
class Ground:
    """What one drill has; `seconds` is how long its fault is to last."""

    seconds: float
    slack: PlaygroundSlack
    model: Model
    sim: SimulatedStack
    organisation: ExampleOrganisation
    server: Server
    engine: AsyncEngine
    session: aiohttp.ClientSession
    environment: dict[str, str]
    folder: Path
    against: str | None = None
    """The version before this one, when the command names it."""
    apps: list[App] = field(default_factory=list)

    async def start(self, command: str = "worker", **values: str) -> App:
        """A process of ours, ready."""
        app = await self.begin(command, **values)
        await app.ready()
        return app

    async def begin(self, command: str = "worker", **values: str) -> App:
        """A process of ours, on its way."""
        number = len(self.apps) + 1
        own = {"SRE_AGENT_HOME": str(self.folder / f"home-{number}")}
        environment = {**self.environment, **own, **values}
        app = await spawn(command, environment, self.folder / f"{command}-{number}.log")
        self.apps.append(app)
        return app

    @property
    def doors(self) -> list[str]:
        """Where webhooks may be sent, the newest process first."""
        return [
            f"http://127.0.0.1:{app.ports['PORT']}"
            for app in reversed(self.apps)
            if app.living and "PORT" in app.ports
        ]

    async def rows(self, statement: str) -> list[Any]:
        async with self.engine.connect() as connection:
            return list(await connection.execute(text(statement)))

    def must_be(self, holds: bool, otherwise: str) -> None:
        """A fault that nobody felt proves nothing.

        Raises:
            RuntimeError: with what is otherwise.
        """
        if not holds:
            raise RuntimeError(f"the fault did not strike: {otherwise}")

    async def end(self) -> None:
        """Kill what still lives of the program, by its processes' ids."""
        await asyncio.gather(*(app.kill() for app in self.apps))

    async def until_rows(self, statement: str, wanted: list[tuple[Any, ...]], seconds: float = 60) -> None:
        """As `until`, for what the database says."""
        deadline = time.monotonic() + seconds
        while [tuple(row) for row in await self.rows(statement)] != wanted:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{statement!r} did not become {wanted} in {seconds:g} s")
            await asyncio.sleep(0.05)

    async def until(self, holds: Callable[[], Any], seconds: float = 60) -> None:
        """Wait until something is so.

        Raises:
            RuntimeError: it did not become so in time; the drill says nothing then.
        """
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                raise RuntimeError(f"what the drill waits for did not come in {seconds:g} s")
            await asyncio.sleep(0.02)


@asynccontextmanager
async def ground(
    server: Server, url: str, folder: Path, seconds: float, against: str | None = None
) -> AsyncIterator[Ground]:
    """Everything but the program; its processes are ended, by their ids, when the block ends."""
    organisation = await asyncio.to_thread(write_repos, folder / "organisation")
    async with AsyncExitStack() as exits:
        # Slack's own are none, a minute and five: a fault is a minute.
        retries = (0.0, seconds, 5 * seconds)
        slack = await exits.enter_async_context(PlaygroundSlack(workspace(), retry_delays=retries))
        model = await exits.enter_async_context(Model())
        sim = await exits.enter_async_context(SimulatedStack(SCENARIO, clock=lambda: datetime.now(UTC)))
        session = await exits.enter_async_context(aiohttp.ClientSession())
        engine = create_async_engine(url_for("asyncpg", url), poolclass=NullPool)
        exits.push_async_callback(engine.dispose)
        environment = {
            **passed_on(),
            **_settings(organisation, url, model.url),
            **sim.environment(),
            **slack.environment,
        }
        made = Ground(seconds, slack, model, sim, organisation, server, engine, session, environment, folder)
        exits.push_async_callback(made.end)
        yield made


def _settings(organisation: ExampleOrganisation, url: str, model_url: str) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": url,
        "KNOWLEDGE_REPO_URL": organisation.knowledge,
        "BLUEPRINTS_REPO_URL": organisation.blueprints,
        "GIT_POLL_SECONDS": "5",
        "SRE_TEAM_SLACK_ID": "S0SRETEAM",
        "INCIDENT_CHANNEL": CHANNEL,
        "ALERT_WEBHOOK_TOKEN": TOKEN,
        "STORM_INCIDENTS": "100000",
        "MODEL_PROVIDER": "anthropic",
        "ANTHROPIC_API_KEY": "of-the-fake",
        "ANTHROPIC_BASE_URL": model_url,
        "COST_LIMIT_PER_HOUR_USD": "0",
        "COST_LIMIT_PER_DAY_USD": "0",
        "PORT": "0",
        "OPS_PORT": "0",
        "SHUTDOWN_GRACE_SECONDS": "10",
    }
