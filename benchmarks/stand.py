"""The stand: Postgres, the model, the playground's Slack, and the program itself in a process of its own.

Four processes: the program, Postgres, the model (`benchmarks.model`), and this one, which plays Slack. All
clocks are the machine's, and all addresses are on this machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import psutil

from app.playground.example import ExampleOrganisation, git, write_repos
from app.playground.slack.records import Channel
from app.playground.slack.server import PlaygroundSlack
from app.playground.slack.workspace import Workspace
from app.settings import Settings
from app.storage.embedded import EmbeddedPostgres, find_binaries
from app.storage.engine import url_for
from benchmarks.model import Pace

ROOT = Path(__file__).resolve().parent.parent
CHANNELS = 100
WORKER_CONCURRENCY = 100
PEOPLE = ("U0MAYA", "U0OMAR")
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PG_BIN")
CONTEXT_SECTIONS = 60
"""Sections added to checkout's blueprint, so that what is packed for a question fills its 8,000 tokens."""
READY_SECONDS = 60


@dataclass
class App:
    """One process of the program."""

    process: asyncio.subprocess.Process
    log: Path
    spawned_at: float
    ready_seconds: float = 0.0
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def info(self) -> psutil.Process:
        return psutil.Process(self.process.pid)

    def rss_mb(self) -> float:
        return float(self.info.memory_info().rss) / 2**20

    def cpu_seconds(self) -> float:
        """Of the process and of the children it waited for (git)."""
        return float(sum(self.info.cpu_times()[:4]))

    def last_words(self) -> str:
        return self.log.read_text("utf-8", "replace")[-4000:]

    @property
    def living(self) -> bool:
        return self.process.returncode is None

    async def ready(self) -> None:
        """Wait until it says that it is ready.

        Raises:
            RuntimeError: it has not in time, or has ended.
        """
        told = await self._told_ready()
        self.ready_seconds = datetime.fromisoformat(told["timestamp"]).timestamp() - self.spawned_at
        self.ports = {name: told[name] for name in ("PORT", "OPS_PORT") if name in told}

    async def _told_ready(self) -> dict[str, Any]:
        deadline = time.time() + READY_SECONDS
        while time.time() < deadline:
            for line in self.log.read_text("utf-8", "replace").splitlines():
                if '"event": "ready"' in line:
                    told: dict[str, Any] = json.loads(line)
                    return told
            if not self.living:
                raise RuntimeError("the program ended before it was ready")
            await asyncio.sleep(0.02)
        raise RuntimeError(f"the program did not become ready in {READY_SECONDS} s")

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def kill(self) -> None:
        """At once, and without a word: kill -9."""
        if self.living:
            self.send(signal.SIGKILL)
        await self.process.wait()

    async def stop(self) -> None:
        if self.living:
            self.send(signal.SIGTERM)
            try:
                await asyncio.wait_for(self.process.wait(), 60)
            except TimeoutError:
                await self.kill()


async def spawn(command: str, environment: Mapping[str, str], log: Path) -> App:
    """Begin a process of the program, `serve` or `worker`; its log goes to a file."""
    with log.open("wb") as out:
        spawned = time.time()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app",
            command,
            env=environment,
            cwd=log.parent,  # no .env of a checkout
            stdout=out,
            stderr=asyncio.subprocess.STDOUT,
        )
    return App(process, log, spawned)


@dataclass
class Stand:
    slack: PlaygroundSlack
    model_url: str
    model_pid: int
    database_url: str
    postgres: EmbeddedPostgres | None
    environment: dict[str, str]
    folder: Path
    session: aiohttp.ClientSession
    apps: int = field(default=0)

    @asynccontextmanager
    async def serve(self, **values: str) -> AsyncIterator[App]:
        """The program, ready and connected to the playground; stopped when the block ends."""
        async with self.run("serve", **values) as app:
            await self.slack.connected()
            yield app

    @asynccontextmanager
    async def run(self, command: str, **values: str) -> AsyncIterator[App]:
        """A process of the program, `serve` or `worker`, ready; stopped when the block ends."""
        self.apps += 1
        app = await spawn(command, {**self.environment, **values}, self.folder / f"app-{self.apps}.log")
        try:
            await app.ready()
            yield app
        except RuntimeError:
            print(f"the program's last words:\n{app.last_words()}", file=sys.stderr)
            raise
        finally:
            await app.stop()

    async def pace(self, pace: Pace) -> None:
        await self.session.post(f"{self.model_url}/pace", json=vars(pace))

    async def notes(self) -> list[dict[str, Any]]:
        """What the model did since the last time this was asked."""
        async with self.session.get(f"{self.model_url}/journal") as answer:
            found: list[dict[str, Any]] = await answer.json()
        return found

    async def rows(self, statement: str, *arguments: Any) -> list[Any]:
        connection = await asyncpg.connect(_plain(self.database_url))
        try:
            return list(await connection.fetch(statement, *arguments))
        finally:
            await connection.close()

    def cpu_seconds(self, app: App) -> dict[str, float]:
        """What each of the processes has used so far."""
        used = {"app": app.cpu_seconds(), "driver": _cpu(psutil.Process())}
        with suppress(psutil.NoSuchProcess):
            used["model"] = _cpu(psutil.Process(self.model_pid))
        if self.postgres is not None:
            used["postgres"] = _cpu_of_postgres(self.postgres)
        return used


@asynccontextmanager
async def stand() -> AsyncIterator[Stand]:
    """Everything but the program; removed when the block ends."""
    folder = Path(tempfile.mkdtemp(prefix="sre-agent-bench-"))
    postgres = await own_postgres(folder)
    url, drop = await empty_database(postgres)
    model = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.model", cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert model.stdout
        model_url = (await asyncio.wait_for(model.stdout.readline(), 30)).decode().strip()
        organisation = await asyncio.to_thread(_organisation, folder / "organisation")
        async with PlaygroundSlack(workspace()) as slack, aiohttp.ClientSession() as session:
            environment = {
                **passed_on(),
                **_settings(folder, organisation, url, model_url),
                **slack.environment,
            }
            yield Stand(slack, model_url, model.pid, url, postgres, environment, folder, session)
    finally:
        if model.returncode is None:
            model.terminate()
            await model.wait()
        await drop()
        if postgres:
            await postgres.stop()
        await asyncio.to_thread(shutil.rmtree, folder, True)


def passed_on() -> dict[str, str]:
    """What the program's processes get of the shell's environment."""
    return {name: os.environ[name] for name in PASSED_ON if name in os.environ}


def workspace() -> Workspace:
    """Acme with a channel for every ten threads. Slack's limits are off: 100 streams begun in one second are
    beyond what one workspace may do a minute, and the figures would be Slack's and not ours."""
    made = Workspace.example(rate_limits=False)
    for number in range(CHANNELS):
        id = channel(number)
        members = {*PEOPLE, made.agent.id}
        made.channels[id] = Channel(id, f"bench-{number:03d}", members=members, topic="", created=0)
    return made


def channel(number: int) -> str:
    return f"C0BENCH{number:03d}"


def _settings(folder: Path, organisation: ExampleOrganisation, url: str, model_url: str) -> dict[str, str]:
    return {
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": url,
        "SRE_AGENT_HOME": str(folder / "home"),
        "KNOWLEDGE_REPO_URL": organisation.knowledge,
        "BLUEPRINTS_REPO_URL": organisation.blueprints,
        "SRE_TEAM_SLACK_ID": "S0SRETEAM",
        "MODEL_PROVIDER": "anthropic",
        "ANTHROPIC_API_KEY": "of-the-fake",
        "ANTHROPIC_BASE_URL": model_url,
        "WORKER_CONCURRENCY": str(WORKER_CONCURRENCY),
        "COST_LIMIT_PER_HOUR_USD": "0",
        "COST_LIMIT_PER_DAY_USD": "0",
        "PORT": "0",
        "OPS_PORT": "0",
        "SHUTDOWN_GRACE_SECONDS": "10",
    }


def _organisation(folder: Path) -> ExampleOrganisation:
    """The example organisation with a blueprint as long as those of real services."""
    made = write_repos(folder)
    blueprint = folder / "blueprints" / "services" / "checkout.md"
    blueprint.write_text(blueprint.read_text("utf-8") + "\n" + "\n".join(_sections()), "utf-8")
    git(folder / "blueprints", "commit", "--quiet", "--all", "--message", "Write down all of checkout")
    return made


def _sections() -> Iterator[str]:
    for number in range(CONTEXT_SECTIONS):
        yield f"## Checkout launch step {number}\n"
        for line in range(8):
            yield (
                f"Before the launch of checkout step {number}.{line} is done: its timeout towards "
                "payments is checked, its tier is known, and its owner is on call."
            )
        yield ""


async def own_postgres(folder: Path) -> EmbeddedPostgres | None:
    """A server of our own, durable as usual; None when DATABASE_URL names another."""
    storage = Settings.load(env_file=None).storage
    if storage.database_url:
        return None
    return EmbeddedPostgres(
        folder / "postgres",
        binaries=find_binaries(storage.pg_bin),
        settings={"shared_preload_libraries": "pg_stat_statements"},
    )


async def empty_database(postgres: EmbeddedPostgres | None) -> tuple[str, Any]:
    """An empty database and how to remove it."""
    if postgres is not None:
        url = await postgres.start()
        await execute(url, "CREATE EXTENSION pg_stat_statements")

        async def nothing() -> None:
            return None

        return url, nothing
    given = Settings.load(env_file=None).storage.database_url
    assert given is not None
    server, name = given.get_secret_value(), f"bench_{secrets.token_hex(4)}"
    await execute(server, f"CREATE DATABASE {name}")
    from sqlalchemy.engine import make_url  # noqa: PLC0415 — for a server of one's own alone

    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    with suppress(asyncpg.PostgresError):
        await execute(url, "CREATE EXTENSION pg_stat_statements")

    async def drop() -> None:
        await execute(server, f"DROP DATABASE {name} WITH (FORCE)")

    return url, drop


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(_plain(url))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()


def _plain(url: str) -> str:
    return url_for("asyncpg", url).replace("postgresql+asyncpg://", "postgresql://")


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _cpu_of_postgres(postgres: EmbeddedPostgres) -> float:
    """Of all its processes; those that ended are counted by their parent."""
    pid = int((postgres.data / "postmaster.pid").read_text().split("\n", 1)[0])
    try:
        parent = psutil.Process(pid)
        ended = parent.cpu_times()
        total = float(sum(ended[:4]))
        for child in parent.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                total += _cpu(child)
    except psutil.NoSuchProcess:
        return 0.0
    return total
