"""The whole program against the playground: in this process, or as processes that can be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import structlog
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.playground.example import OWNER, ExampleOrganisation, write_repos
from app.playground.forge import Forge
from app.playground.slack.records import Message
from app.playground.slack.server import PlaygroundSlack
from app.playground.slack.workspace import Workspace
from app.runtime import Runtime
from app.settings import Settings
from app.storage.engine import create_engine
from tests.fakes.anthropic import FakeAnthropic

# With the values of every frame, which the console shows by default, one error of a stage takes a minute to write.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),
    ]
)

MAYA, OMAR, GUEST, STRANGER = "U0MAYA", "U0OMAR", "U0GUEST", "U0STRANGER"
CHECKOUT = "C0CHECKOUT"
LAUNCH = "<@U0AGENT> what do I need before we launch checkout?"


@dataclass
class Stack:
    """One playground, one database, and the processes of ours a test starts on them."""

    slack: PlaygroundSlack
    engine: AsyncEngine
    environment: dict[str, str]
    exits: AsyncExitStack
    said: list[str] = field(default_factory=list)
    """The lines that processes wrote to stdout once they were ready."""

    async def serve(self, *, door: bool = True, worker: bool = True, **values: str) -> Runtime:
        """A runtime in this process, stopped when the test ends."""
        runtime = Runtime(
            Settings.load(env_file=None, **{**self.environment, **values}), door=door, worker=worker
        )
        await runtime.start()
        self.exits.push_async_callback(runtime.stop)
        return runtime

    async def spawn(self, command: str = "worker", **values: str) -> asyncio.subprocess.Process:
        """A process of ours, ready; killed when the test ends."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "app",
            command,
            env={**os.environ, **self.environment, **values},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        self.exits.push_async_callback(_end, process)
        assert process.stdout
        lines: list[str] = []
        while line := (await asyncio.wait_for(process.stdout.readline(), 120)).decode():
            lines.append(line)
            if '"event": "ready"' in line:
                break
        else:
            pytest.fail("the process ended:\n" + "".join(lines))
        drain = asyncio.create_task(_drain(process.stdout, self.said))
        self.exits.callback(drain.cancel)
        return process

    async def rows(self, statement: str) -> list[tuple[Any, ...]]:
        async with self.engine.connect() as connection:
            return [tuple(row) for row in await connection.execute(text(statement))]

    def answers(self, channel: str, thread_ts: str) -> list[Message]:
        """The agent's messages in a thread."""
        return [each for each in self.slack.thread(channel, thread_ts) if each.user == "U0AGENT"]

    async def answered(
        self,
        channel: str,
        ts: str,
        thread_ts: str | None = None,
        *,
        reaction: str = "white_check_mark",
        timeout: float = 120,
    ) -> list[Message]:
        """Wait until the question at `ts` carries its final reaction; the agent's messages in its thread."""

        def settled() -> bool:
            asked = next(m for m in self.slack.channel(channel) if m.ts == ts)
            return reaction in asked.reactions and "eyes" not in asked.reactions

        await self.slack.wait_for(settled, timeout)
        await self.ended(ts)
        return self.answers(channel, thread_ts or ts)

    async def ended(self, ts: str) -> None:
        """Wait until the turn of the message at `ts` has ended in the database too: that comes after ✅."""
        running = f"SELECT 1 FROM turns WHERE message_ts = '{ts}' AND status IN ('queued', 'running')"
        async with asyncio.timeout(120):
            while await self.rows(running):
                await asyncio.sleep(0.02)

    async def ask(
        self, words: str = LAUNCH, *, user: str = MAYA, channel: str = CHECKOUT, thread_ts: str | None = None
    ) -> tuple[str, list[Message]]:
        """Say something and wait for its answer: the question's ts, and the agent's messages in the thread."""
        ts = await self.slack.say(user, channel, words, thread_ts)
        return ts, await self.answered(channel, ts, thread_ts)


async def _drain(stream: asyncio.StreamReader, lines: list[str]) -> None:
    while line := await stream.readline():
        lines.append(line.decode())


async def _end(process: Any) -> None:
    if process.returncode is None:
        process.send_signal(signal.SIGKILL)
        await process.wait()


@pytest.fixture(scope="session")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> ExampleOrganisation:
    return write_repos(tmp_path_factory.mktemp("organisation"), owner=OWNER)


@pytest.fixture
async def stack(database_url: str, organisation: ExampleOrganisation, tmp_path: Path) -> AsyncIterator[Stack]:
    forge = Forge(organisation.folder)
    workspace = Workspace.example(rate_limits=False)
    async with AsyncExitStack() as exits:
        slack = await exits.enter_async_context(
            PlaygroundSlack(workspace, retry_delays=(0.5, 1, 2, 5, 10), routes=forge.routes())
        )
        engine = create_engine(database_url)
        exits.push_async_callback(engine.dispose)
        environment = {
            "DATABASE_URL": database_url,
            "SRE_AGENT_HOME": str(tmp_path),
            **forge.environment(slack.url),
            "SRE_TEAM_SLACK_ID": "S0SRETEAM",
            "INCIDENT_CHANNEL": "C0INCIDENTS",
            "MODEL_PROVIDER": "offline",
            "PORT": "0",
            "OPS_PORT": "0",
            "SHUTDOWN_GRACE_SECONDS": "5",
            **slack.environment,
        }
        yield Stack(slack, engine, environment, exits)


NEXT_TRY_NOW = "UPDATE procrastinate_jobs SET scheduled_at = NULL WHERE status = 'todo' AND attempts > 0"


@pytest.fixture
async def impatient(stack: Stack) -> AsyncIterator[None]:
    """The queue tries again within a second or two, where its patience grows to half a minute otherwise: for tests
    of what the tries do."""

    async def hurry() -> None:
        while True:
            await asyncio.sleep(0.5)
            async with stack.engine.begin() as connection:
                await connection.execute(text(NEXT_TRY_NOW))

    hurrying = asyncio.create_task(hurry())
    yield
    hurrying.cancel()
    with suppress(asyncio.CancelledError):
        await hurrying


@pytest.fixture
async def model(stack: Stack) -> AsyncIterator[FakeAnthropic]:
    """An Anthropic service of our own, wired into everything the test starts."""
    async with FakeAnthropic([]) as server:
        stack.environment |= {
            "MODEL_PROVIDER": "anthropic",
            "ANTHROPIC_API_KEY": "sk-ant-test",
            "ANTHROPIC_BASE_URL": server.url,
        }
        yield server


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The whole program is no unit: `./run test --unit` leaves these out."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)
