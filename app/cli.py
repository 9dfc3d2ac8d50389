"""The `sre-agent` command. Exit codes: 0 done, 1 failed, 2 wrong use."""

# ruff: noqa: PLC0415 — a command imports what it needs when it runs, so that `--help` is instant

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from app.errors import AgentError
from app.settings import Settings
from app.telemetry import set_up_logging

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from app.playground.demo import Program

T = TypeVar("T")

app = typer.Typer(
    name="sre-agent",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    help="The colleague in Slack that answers from a service's own documents.\n\n"
    "Start with `sre-agent demo`: it needs no Slack, no API key and no database.",
)
db = typer.Typer(no_args_is_help=True, help="The database's schema.")
knowledge = typer.Typer(no_args_is_help=True, help="The knowledge repo: the markdown that shapes behaviour.")
sessions = typer.Typer(no_args_is_help=True, help="What was said in a thread.")
app.add_typer(db, name="db")
app.add_typer(knowledge, name="knowledge")
app.add_typer(sessions, name="sessions")


class NoDatabase(AgentError):
    """A command that looks into the database found none."""

    code = "no_database"


def main() -> None:
    """The console script: errors of ours become one sentence on stderr and exit code 1."""
    try:
        app()
    except AgentError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from error


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


def _until_interrupted(work: Coroutine[Any, Any, T]) -> T | None:
    """Run something that people end with Ctrl-C: it is cleaned up after, and that is no failure."""

    async def run() -> T:
        task = asyncio.current_task()
        assert task is not None
        for name in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(name, task.cancel)
        return await work

    try:
        return asyncio.run(run())
    except asyncio.CancelledError:
        print("\nEnded.")
        return None


@app.command()
def serve() -> None:
    """Take events from Slack and webhooks and carry out turns, in one process.

    Needs SLACK_BOT_TOKEN, and SLACK_APP_TOKEN (Socket Mode) or SLACK_SIGNING_SECRET (HTTP).
    """
    from app.runtime import Runtime

    settings = Settings.load()
    set_up_logging(settings.process.log_level)
    _run(Runtime(settings).run())


@app.command()
def worker() -> None:
    """Carry out turns only: run as many of these as there is work for, on the same DATABASE_URL."""
    from app.runtime import Runtime

    settings = Settings.load()
    settings.require(DATABASE_URL="to share the queue with `sre-agent serve`")
    set_up_logging(settings.process.log_level)
    _run(Runtime(settings, door=False).run())


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Take the tour without you; exit code 0 only if every step held.")
    ] = False,
    port: Annotated[int | None, typer.Option(help="The page's port.  [default: 3838 if free]")] = None,
    no_browser: Annotated[bool, typer.Option("--no-browser", help="Do not open the page.")] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what earlier runs left.")] = False,
) -> None:
    """Try everything on this machine: a Slack of our own in the browser, an example organisation, Postgres.

    Needs nothing. With ANTHROPIC_API_KEY, or MODEL_PROVIDER and MODEL, a model writes the answers; without,
    they quote the documents. It keeps what was said under SRE_AGENT_HOME, in `demo`.
    """
    from app.playground import demo as playground
    from app.playground import tour

    home = Settings.load().storage.home / "demo"
    if once:
        with tempfile.TemporaryDirectory(prefix="sre-agent-tour-") as place:
            log = _log_to(home / "tour.log")
            held = _until_interrupted(tour.take(_program, home=Path(place)))
        if not held:
            print(f"The log: {log}")
            raise typer.Exit(1)
        return
    if fresh:
        playground.forget(home)
    _log_to(home / "demo.log")
    _until_interrupted(playground.show(_program, home=home, port=port, browser=not no_browser))


@app.command()
def chat(
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget what earlier runs left.")] = False,
) -> None:
    """Talk with the agent in this terminal, about the same example organisation as in the demo.

    Reads questions from a pipe too: echo "is checkout ready?" | sre-agent chat. It keeps what it needs under
    SRE_AGENT_HOME, in `chat`; /help inside says what else can be typed.
    """
    from app.playground import chat as playground
    from app.playground.demo import forget as forget_playground

    home = Settings.load().storage.home / "chat"
    if fresh:
        forget_playground(home)
    _log_to(home / "chat.log")
    _until_interrupted(playground.talk(_program, home=home))


@sessions.command()
def show(
    key: Annotated[
        str,
        typer.Argument(
            help="A link to the thread or a message in it, CHANNEL:THREAD_TS, a THREAD_TS, "
            "or the trace id of one of its turns.",
        ),
    ],
) -> None:
    """Print what was said in a thread: questions, answers, tool calls and the documents used.

    Reads DATABASE_URL, or the Postgres under SRE_AGENT_HOME. Exit code 1 when there is no such thread.
    """
    from app.conversations import showing

    print(asyncio.run(_with_database(lambda engine: showing.show(engine, key))))


@app.command()
def usage(
    days: Annotated[int, typer.Option(min=1, help="How many days back.")] = 30,
) -> None:
    """Print what the models were asked for and what it cost, by day and model.

    Reads DATABASE_URL, or the Postgres under SRE_AGENT_HOME.
    """
    from app.agent import spending

    print(asyncio.run(_with_database(lambda engine: spending.report(engine, days=days))))


@app.command()
def forget(
    user: Annotated[str, typer.Option(help="The Slack id of the person, such as U0123ABCD.")],
) -> None:
    """Remove a person: their id and words in the audit log become a pseudonym, their threads are deleted.

    Their messages in Slack itself stay; only they and Slack can delete those. Reads DATABASE_URL, or the
    Postgres under SRE_AGENT_HOME. Exit code 1 when nothing is known of them.
    """
    from app.conversations import forgetting

    if not forgetting.is_user_id(user):
        raise typer.BadParameter(
            f"{user} is no Slack user id; those look like U0123ABCD.", param_hint="--user"
        )
    print(asyncio.run(_with_database(lambda engine: forgetting.forget(engine, user))))


@db.command()
def upgrade() -> None:
    """Bring the database of DATABASE_URL to this version's schema. Safe to run at any time, and often."""
    from app.storage import migrate

    settings = Settings.load()
    settings.require(DATABASE_URL="to know which database to upgrade")
    schema = asyncio.run(migrate.upgrade(_database_url(settings)))
    print(f"The schema is at {schema.current}, the newest.")


@db.command()
def status() -> None:
    """Say where the database's schema stands; exit code 1 when `db upgrade` has something to do."""
    from app.storage import migrate

    settings = Settings.load()
    settings.require(DATABASE_URL="to know which database to look at")
    schema = asyncio.run(migrate.status(_database_url(settings)))
    print(
        f"Schema {schema.current or 'none'} of {schema.newest}; "
        f"{len(schema.queue_pending)} migrations of the queue pending."
    )
    if not schema.up_to_date:
        raise typer.Exit(1)


@knowledge.command()
def check(
    path: Annotated[Path | None, typer.Argument(help="The folder; default: the packaged knowledge.")] = None,
) -> None:
    """Check a knowledge repo and print file:line and what is wrong. Exit code 1 when there is an error."""
    from app.knowledge.checking import check as check_tree
    from app.knowledge.packaged import packaged_path
    from app.storage.tree import read_folder

    folder = path or packaged_path()
    if not folder.is_dir():
        print(f"{folder} is not a folder; name the root of a knowledge repo.", file=sys.stderr)
        raise typer.Exit(2)
    faults = check_tree(read_folder(folder))
    for fault in faults:
        print(fault)
    errors = sum(fault.severity == "error" for fault in faults)
    print(f"{errors} errors, {len(faults) - errors} warnings.")
    if errors:
        raise typer.Exit(1)


def _program() -> Callable[[Settings], Program]:
    from app.runtime import Runtime

    return Runtime


def _log_to(file: Path) -> Path:
    """Send the log to a file: the terminal belongs to the person at it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    set_up_logging(Settings.load().process.log_level, stream=file.open("a", buffering=1, encoding="utf-8"))
    return file


async def _with_database(look: Callable[[AsyncEngine], Awaitable[str]]) -> str:
    """Do something with the database of the settings, be it configured or embedded."""
    from app.storage import migrate
    from app.storage.embedded import EmbeddedPostgres, find_binaries
    from app.storage.engine import create_engine
    from app.storage.errors import SchemaBehind

    settings = Settings.load()
    home = settings.storage.home / "postgres"
    embedded = None
    if settings.storage.database_url:
        url = _database_url(settings)
    elif not home.exists():
        raise NoDatabase(
            f"There is no database yet: {home} does not exist. Set DATABASE_URL, or SRE_AGENT_HOME to where "
            "the one you mean is."
        )
    else:
        embedded = EmbeddedPostgres(home, binaries=find_binaries(settings.storage.pg_bin))
        url = await embedded.start()
    engine = create_engine(url, pool_size=1)
    try:
        if not (await migrate.status(url)).up_to_date:
            raise SchemaBehind(
                "The database's schema is older than this version; run `sre-agent db upgrade`."
            )
        return await look(engine)
    finally:
        await engine.dispose()
        if embedded:
            await embedded.stop()


def _database_url(settings: Settings) -> str:
    assert settings.storage.database_url is not None
    return settings.storage.database_url.get_secret_value()
