"""The embedded default: our own Slack and Postgres, an example organisation, and the real program on them."""

from __future__ import annotations

import asyncio
import fcntl
import secrets
import shutil
import socket
import time
import webbrowser
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from app.errors import AgentError
from app.playground.example import OWNER, ExampleOrganisation, write_repos
from app.playground.forge import Forge
from app.playground.memory import Memory
from app.playground.pager import AgentAway, Pager
from app.playground.slack.server import PlaygroundSlack, loopback_socket
from app.playground.slack.workspace import Workspace
from app.playground.stack import SimulatedStack
from app.settings import (
    AlertSettings,
    ConsoleSettings,
    EscalationSettings,
    Group,
    ModelSettings,
    Settings,
    SourceSettings,
)
from app.storage.embedded import EmbeddedPostgres, find_binaries

PORT = 3838
"""Of the page, when it is free: the same at every start, so a tab that is left open finds it again."""

INCIDENTS = "C0INCIDENTS"
FIRST_QUESTION = "@sre-agent what do I need before we launch checkout?"
HINTS = (
    {
        "title": "Get paged",
        "why": "Something breaks in a simulated shop; a thread with causes and evidence is there in seconds.",
        "pager": True,
    },
    {
        "title": "Ask before a launch",
        "why": "It reads checkout's blueprint, contracts, README and the standard of its tier.",
        "text": FIRST_QUESTION,
        "channel": "C0CHECKOUT",
    },
    {
        "title": "Go on in the thread",
        "why": "There you need not mention it again, today or next week.",
        "text": "which timeout do we use towards payments?",
        "thread": True,
    },
    {
        "title": "Ask about any service",
        "why": "By name, by alias, with a typing error, or none where the channel says it.",
        "text": "@sre-agent who is on call for paymets?",
        "channel": INCIDENTS,
    },
    {
        "title": "Ask what a tier demands",
        "why": "Edit that page in the knowledge repo, commit, and ask again in a new thread.",
        "text": "@sre-agent what does tier 1 ask of us?",
        "channel": "C0CHECKOUT",
    },
)


def defaults(*groups: type[Group]) -> dict[str, Any]:
    """Every setting of these groups as it is when nobody sets it."""
    fields = [field for group in groups for field in group.model_fields.values()]
    return {str(field.validation_alias): field.default for field in fields}


APART: dict[str, Any] = {
    **defaults(AlertSettings, ConsoleSettings, EscalationSettings, SourceSettings),
    "DATABASE_URL": None,
    "KNOWLEDGE_PATH": None,
    "KNOWLEDGE_REPO_REF": "main",
    "BLUEPRINTS_PATH": None,
    "BLUEPRINTS_REPO_REF": "main",
    "GITHUB_TOKEN": None,
    "SLACK_ALLOWED_TEAMS": (),
    "SLACK_ALLOWED_CHANNELS": (),
    "SLACK_ALLOW_GUESTS": "false",
    "SRE_TEAM_SLACK_ID": "S0SRETEAM",
    "INCIDENT_CHANNEL": INCIDENTS,
    "GIT_POLL_SECONDS": "2",
    "SHUTDOWN_GRACE_SECONDS": "3",
    "PORT": "0",
    "OPS_PORT": "0",
}
"""A playground has nothing to do with the installation it is started beside: of the environment's settings
only those of the model, its budgets and the place to keep things apply."""


class HomeTaken(AgentError):
    """Another playground uses the same folder."""

    code = "playground_running"


class PortTaken(AgentError):
    """The page cannot have the port it was to have."""

    code = "playground_port"


class Program(Protocol):
    """The runtime, as far as the demo needs it."""

    ports: dict[str, int]

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


Load = Callable[[], Callable[[Settings], Program]]
"""Imports the program, which takes seconds, and gives what builds it from settings. The command line brings
it, for no room may know the runtime."""
Progress = Callable[[str], AbstractContextManager[None]]


@dataclass
class Demo:
    """A running playground; the program on it can be stopped and started again."""

    slack: PlaygroundSlack
    organisation: ExampleOrganisation
    home: Path
    settings: Settings
    build: Callable[[Settings], Program]
    pager: Pager
    program: Program | None = None

    @property
    def knowledge(self) -> Path:
        """The working tree of the knowledge repo."""
        return self.home / "organisation" / "knowledge"

    @property
    def door(self) -> str:
        """The address of the agent's webhooks.

        Raises:
            AgentAway: it is stopped.
        """
        if self.program is None:
            raise AgentAway("The agent is not running just now; page again in a moment.")
        return f"http://127.0.0.1:{self.program.ports['PORT']}"

    async def start(self) -> None:
        program = self.build(self.settings)
        await program.start()
        self.program = program

    async def stop(self) -> None:
        program, self.program = self.program, None
        if program:
            await program.stop()


def utc_now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def silent(_: str) -> Iterator[None]:
    yield


@contextmanager
def told(what: str) -> Iterator[None]:
    """A line on the terminal that says what is being done and, when it is, how long it took."""
    began = time.monotonic()
    print(f"  {what} … ", end="", flush=True)
    try:
        yield
    except BaseException:
        print("not done", flush=True)
        raise
    print(f"ready in {time.monotonic() - began:.1f} s", flush=True)


@asynccontextmanager
async def demo(
    load: Load,
    *,
    home: Path,
    port: int | None = 0,
    remember: bool = True,
    progress: Progress = silent,
    workspace: Workspace | None = None,
    **values: Any,
) -> AsyncIterator[Demo]:
    """The whole program against the playground, until the context ends; everything it writes is in `home`.

    `port` is the page's, 0 any free one, None the usual one if it is free. `values` are further settings by
    variable name.

    Raises:
        HomeTaken: another playground uses this home.
        AgentError: whatever keeps the program from starting.
    """
    workspace = workspace or Workspace.example()
    async with AsyncExitStack() as stack:
        address = stack.enter_context(taken(home))
        loading = asyncio.create_task(asyncio.to_thread(load))
        stack.push_async_callback(ended, loading)
        given = {"SRE_AGENT_HOME": str(home), **APART, **values}
        postgres = EmbeddedPostgres(
            home / "postgres", binaries=find_binaries(Settings.load(**given).storage.pg_bin)
        )
        with progress("starting Postgres"):
            url = await postgres.start()
        stack.push_async_callback(postgres.stop)
        with progress("writing the example organisation's repos"):
            organisation = await asyncio.to_thread(write_repos, home / "organisation", owner=OWNER)
        if remember:
            stack.push_async_callback(ended, kept(workspace, home / "slack.json"))
        forge = Forge(organisation.folder)
        simulated = await stack.enter_async_context(SimulatedStack(clock=utc_now))
        pager = Pager(
            simulated,
            door=lambda: running.door,
            channel=INCIDENTS,
            file=home / "paged.json",
            now=lambda: utc_now().timestamp(),
        )
        bound = listen(port)
        routes = [*forge.routes(), *pager.routes()]
        slack = PlaygroundSlack(workspace, bound=bound, hints=HINTS, routes=routes)
        await stack.enter_async_context(slack)
        address.write_text(slack.url)
        given |= {
            "DATABASE_URL": url,
            **forge.environment(slack.url),
            **simulated.environment(),
            **pager.environment,
            "INCIDENTS_DIR": str(home / "incidents"),
            **slack.environment,
        }
        settings = Settings.load(**given)
        with progress("starting the agent"):
            running = Demo(slack, organisation, home, settings, await loading, pager)
            await running.start()
        stack.push_async_callback(running.stop)
        # It takes most of a second to load, which the first answer would wait for.
        reader = asyncio.create_task(asyncio.to_thread(import_module, "github"))
        stack.push_async_callback(ended, reader)
        yield running


@contextmanager
def taken(home: Path) -> Iterator[Path]:
    """Hold the home for this process; the file to write the page's address to, for whoever comes second."""
    home.mkdir(parents=True, exist_ok=True)
    file = home / "running"
    with file.open("a+") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise HomeTaken(
                f"A playground is already running on {home}: {file.read_text() or 'it is just starting'}. "
                "End that one, or set SRE_AGENT_HOME to another folder."
            ) from None
        handle.truncate(0)
        yield file


def listen(port: int | None) -> socket.socket:
    """The page's socket: on the port wished for, or for None on the usual one unless somebody has it.

    Raises:
        PortTaken: with what to do about it.
    """
    try:
        return loopback_socket(PORT if port is None else port)
    except OSError as error:
        if port is None:
            return loopback_socket()
        raise PortTaken(
            f"Port {port} cannot be used ({error.strerror}). Name another one, or leave --port out."
        ) from error


def kept(workspace: Workspace, file: Path) -> asyncio.Task[None]:
    """Bring back what was said on this home before, and keep what is said from now on."""
    memory = Memory(workspace, file)
    memory.recall()
    return asyncio.create_task(memory.keep())


async def ended(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


# -- for a person ------------------------------------------------------------------------------------------


async def show(load: Load, *, home: Path, port: int | None, browser: bool) -> None:
    """Run until cancelled, with what there is to do printed and, where there is a browser, the page open."""
    token = secrets.token_urlsafe(18)
    async with demo(load, home=home, port=port, progress=told, CONSOLE_TOKEN=token) as running:
        print(welcome(running), flush=True)
        if browser:
            await asyncio.to_thread(open_browser, running.slack.url)
        await asyncio.Event().wait()


def welcome(running: Demo) -> str:
    lines = {
        "Open": running.slack.url,
        "Type": FIRST_QUESTION,
        "Then": "go on in the thread; there you need not mention it again",
        "Page me": "breaks something in a simulated shop, and pages: watch #incidents",
        "Answers": who_answers(running.settings.model),
        "Change it": f"commit something in {running.knowledge};",
        "": "two seconds later new threads follow it (a broken commit is refused in #incidents)",
        "Console": console(running),
        "Reports": f"of incidents, in {running.home / 'incidents'}",
        "Log": str(running.home / "demo.log"),
        "End": "Ctrl-C; what was said is still there the next time (--fresh forgets it)",
    }
    return "\n" + "\n".join(f"  {name:<10} {said}" for name, said in lines.items()) + "\n"


def console(running: Demo) -> str:
    """Where one sees what the agent does, and with what, for this run."""
    token = running.settings.console.token
    if running.program is None or token is None:
        return "is off"
    address = f"http://127.0.0.1:{running.program.ports['OPS_PORT']}/console/"
    return f"{address} shows every turn and call; sign in with {token.get_secret_value()}"


def who_answers(model: ModelSettings) -> str:
    if model.chosen == "offline":
        return "quote the documents, for no model is set; with ANTHROPIC_API_KEY one writes them"
    return f"are written by {model.fast_name} ({model.chosen})"


def open_browser(url: str) -> None:
    """Open the page, unless the only browser would take over the terminal."""
    with suppress(webbrowser.Error):
        browser = webbrowser.get()
        if type(browser) is not webbrowser.GenericBrowser:
            browser.open(url)


def forget(home: Path) -> None:
    """Remove what earlier runs left in a playground's home.

    Raises:
        HomeTaken: it is in use.
    """
    if home.exists():
        with taken(home):
            shutil.rmtree(home)
