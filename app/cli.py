"""The `sre-agent` command. Exit codes: 0 done, 1 failed, 2 wrong use."""

# ruff: noqa: PLC0415 — a command imports what it needs when it runs, so that `--help` is instant

from __future__ import annotations

import asyncio
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO, TypeVar

import typer

from app.errors import AgentError
from app.footprint import make_what_stays
from app.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from app.playground.demo import Program
    from app.runtime import Runtime
    from app.terminal.payload import Read

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


def _runtime() -> type[Runtime]:
    make_what_stays()
    from app.runtime import Runtime

    return Runtime


def _log(level: str, stream: TextIO | None = None) -> None:
    from app.telemetry import set_up_logging

    set_up_logging(level, stream=stream)


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run what serves, on the event loop that costs a turn a sixth less of the processor."""
    import uvloop

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work)


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
    settings = Settings.load()  # before all that is to be imported: what is wrong is said at once
    runtime = _runtime()
    _log(settings.process.log_level)
    _run(runtime(settings).run())


@app.command()
def worker() -> None:
    """Carry out turns only: run as many of these as there is work for, on the same DATABASE_URL."""
    settings = Settings.load()
    settings.require(DATABASE_URL="to share the queue with `sre-agent serve`")
    runtime = _runtime()
    _log(settings.process.log_level)
    _run(runtime(settings, door=False).run())


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
            held = _until_interrupted(tour.take(_program(log), home=Path(place)))
        if not held:
            print(f"The log: {log.name}")
            raise typer.Exit(1)
        return
    if fresh:
        playground.forget(home)
    log = _log_to(home / "demo.log")
    _until_interrupted(playground.show(_program(log), home=home, port=port, browser=not no_browser))


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
    log = _log_to(home / "chat.log")
    _until_interrupted(playground.talk(_program(log), home=home))


@app.command()
def investigate(
    alert: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A webhook's payload, or YAML with title, service, severity and started_at; - reads stdin.",
        ),
    ] = None,
    source: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Whose payload it is: alertmanager …  [default: by its shape]"),
    ] = None,
    replay: Annotated[
        int | None,
        typer.Option(
            metavar="ID", help="Instead: a webhook that was refused in the last hour, by its number."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document instead of text.")] = False,
) -> None:
    """Look into one alert from this shell: the evidence brief, then the diagnosis.

    Runs what a page would start, on the same sources, model and database, but shows it here: no Slack is
    needed and nobody is called. Without a model the evidence brief is all there is; a source that is not
    configured is named among what was not seen. The log goes to SRE_AGENT_HOME, in `investigate.log`.

    An alert in a few words:

        echo "{title: Checkout answers 500, service: checkout}" | sre-agent investigate --alert -

    Exit code 1 when it failed or its model did, 2 when the alert cannot be read.
    """
    from app.terminal.investigate import Wanted
    from app.terminal.investigate import investigate as carry_out
    from app.terminal.payload import NotAnAlert
    from app.terminal.screen import Screen

    if (alert is None) == (replay is None):
        raise typer.BadParameter("give either --alert FILE or --replay ID.")
    read = None if alert is None else _alert_in(alert, source)
    settings = Settings.load()
    _log_to(settings.storage.home / "investigate.log")
    wanted, screen = Wanted(read, replay, source), Screen(sys.stdout, sys.stderr, as_json)

    async def run() -> bool:
        async with _database(settings, make=True) as url:
            return await carry_out(settings, url, wanted, screen)

    try:
        diagnosed = _until_interrupted(run())
    except NotAnAlert as error:
        raise typer.BadParameter(error.sentence, param_hint="--replay") from error
    if not diagnosed:
        raise typer.Exit(1)


@app.command()
def postmortem(
    investigation: Annotated[str, typer.Argument(metavar="ID", help="Of an investigation that is over.")],
) -> None:
    """Print a draft of the postmortem, in markdown, from what an investigation left; people finish it.

    Its id is in its report, behind /alerts on OPS_PORT, and in what `sre-agent investigate` prints. Reads
    DATABASE_URL, or the Postgres under SRE_AGENT_HOME. Exit code 1 when there is none of that id, or it is
    under way.
    """
    from uuid import UUID

    from app.investigations import postmortem as drafting
    from app.investigations import recording

    try:
        investigation_id = UUID(investigation)
    except ValueError:
        raise typer.BadParameter(
            f"{investigation} is no investigation's id; those look like 0b5e3c1e-6f3c-….",
            param_hint="ID",
        ) from None

    async def draft(engine: AsyncEngine) -> str:
        record = await recording.finished(engine, investigation_id)
        return drafting.postmortem(record, hosts=recording.hosts(record)).rstrip()

    print(asyncio.run(_with_database(draft)))


@app.command()
def accuracy(
    days: Annotated[int, typer.Option(min=1, help="How many days back.")] = 90,
) -> None:
    """Print how often diagnoses were right, by what people said of them afterwards.

    Shares come with how many cases they rest on and their 95 % interval; too few cases give none. Reads
    DATABASE_URL, or the Postgres under SRE_AGENT_HOME.
    """
    from datetime import UTC, datetime, timedelta

    from app.investigations import accuracy as judging
    from app.storage.engine import begin

    since = datetime.now(UTC) - timedelta(days=days)

    async def judge(engine: AsyncEngine) -> str:
        async with begin(engine) as connection:
            rows = await judging.judged(connection, since)
        return judging.table(judging.accuracy(rows), since=since)

    print(asyncio.run(_with_database(judge)))


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
def artifacts(
    artifact: Annotated[
        int | None, typer.Argument(metavar="ID", min=1, help="Print this one instead of the list.")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write it there instead; in a folder it keeps its name."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it is there.")] = False,
    service: Annotated[str | None, typer.Option(help="List those made for this service.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="List so many, the newest first.")] = 20,
) -> None:
    """List the files that workflows made, or fetch one of them again.

    Each is attached in its thread too; THREAD in the list is what `sre-agent sessions show` takes, DELIVERED
    the pull request or page it went into. Print one, or write it where it belongs in a repo:

        sre-agent artifacts 12 | promtool check rules /dev/stdin

        sre-agent artifacts 12 --to slo/

    Reads DATABASE_URL, or the Postgres under SRE_AGENT_HOME. Exit code 1 when there is none of that id.
    """
    from app.delivery import shelf

    if artifact is None:
        if to is not None:
            raise typer.BadParameter("say which: sre-agent artifacts ID --to FILE.", param_hint="--to")
        print(asyncio.run(_with_database(lambda e: shelf.listing(e, limit=limit, service=service))))
        return
    found = asyncio.run(_with_database(lambda e: shelf.artifact(e, artifact)))
    for fault in found.faults:
        print(f"not valid: {fault}", file=sys.stderr)
    if to is None:
        print(found.content, end="")
        return
    file = to / found.file_name.rpartition("/")[2] if to.is_dir() else to
    try:
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(found.content)
    except FileExistsError:
        raise typer.BadParameter(f"{file} is there already; add --force.", param_hint="--to") from None
    except OSError as error:
        raise typer.BadParameter(f"{file}: {error.strerror}.", param_hint="--to") from error
    print(f"Wrote {file}.")


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
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what there is.")] = False,
) -> None:
    """Remove a person: their id and words in the audit log become a pseudonym, their threads are deleted.

    Says what it did, and what it cannot reach: their messages in Slack itself stay, which only they and Slack
    can delete. May be repeated. Reads DATABASE_URL, or the Postgres under SRE_AGENT_HOME.
    """
    from app.conversations import forgetting

    if not forgetting.is_user_id(user):
        raise typer.BadParameter(
            f"{user} is no Slack user id; those look like U0123ABCD.", param_hint="--user"
        )
    done = asyncio.run(_with_database(lambda engine: forgetting.forget(engine, user, dry=dry_run)))
    print(done.report(dry=dry_run))


@db.command()
def upgrade() -> None:
    """Bring the database to this version's schema. Safe to run at any time, and often.

    Reads DATABASE_URL; without it, it is the Postgres under SRE_AGENT_HOME.
    """
    from app.storage import migrate

    settings = Settings.load()

    async def bring() -> migrate.Schema:
        async with _server(settings, make=True) as url:
            return await migrate.upgrade(url)

    print(f"The schema of {_which(settings)} is at {asyncio.run(bring()).current}, the newest.")


@db.command()
def status() -> None:
    """Say where the database's schema stands; exit code 1 when `db upgrade` has something to do.

    Reads DATABASE_URL; without it, it is the Postgres under SRE_AGENT_HOME.
    """
    from app.storage import migrate

    settings = Settings.load()

    async def look() -> migrate.Schema:
        async with _server(settings, make=False) as url:
            return await migrate.status(url)

    schema = asyncio.run(look())
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
    from app.workflows.checking import RULES

    folder = path or packaged_path()
    if not folder.is_dir():
        print(f"{folder} is not a folder; name the root of a knowledge repo.", file=sys.stderr)
        raise typer.Exit(2)
    faults = check_tree(read_folder(folder), more=RULES)
    for fault in faults:
        print(fault)
    errors = sum(fault.severity == "error" for fault in faults)
    print(f"{errors} errors, {len(faults) - errors} warnings.")
    if errors:
        raise typer.Exit(1)


@knowledge.command()
def golden(
    path: Annotated[Path | None, typer.Argument(help="The folder; default: the packaged knowledge.")] = None,
    update: Annotated[
        bool, typer.Option("--update", help="Write what happens into the files as what is expected.")
    ] = False,
) -> None:
    """Run the golden conversations of a knowledge repo (golden/*.yaml), and show what goes otherwise.

    Each says things to the agent and expects fields, files and texts; no model, database or network is
    needed. Where a pull request means to change behaviour, run it with --update: its diff shows what changes.

    Exit code 1 when one goes otherwise than expected, or cannot be read.
    """
    from app.conversations import golden as conversations
    from app.knowledge.packaged import packaged_path
    from app.storage.tree import read_folder
    from app.workflows.checking import RULES

    folder = path or packaged_path()
    if not folder.is_dir():
        print(f"{folder} is not a folder; name the root of a knowledge repo.", file=sys.stderr)
        raise typer.Exit(2)
    tree = read_folder(folder)
    _log("ERROR", sys.stderr)
    if update:
        changed = asyncio.run(conversations.update(folder, tree, rules=RULES))
        print("\n".join((*(f"wrote {each}" for each in changed), f"{len(changed)} changed.")))
        return
    differences, count = asyncio.run(conversations.check(tree, rules=RULES))
    for difference in differences:
        print(difference)
    print(f"{count} golden conversations, {len(differences)} otherwise than expected.")
    if differences:
        raise typer.Exit(1)


def _program(log: TextIO) -> Callable[[], Callable[[Settings], Program]]:
    """The runtime, with the reports' lines where the log is: the terminal belongs to the person at it."""

    def load() -> Callable[[Settings], Program]:
        return partial(_runtime(), out=lambda: log)

    return load


def _log_to(file: Path) -> TextIO:
    """Send the log to a file, which is returned open."""
    file.parent.mkdir(parents=True, exist_ok=True)
    stream = file.open("a", buffering=1, encoding="utf-8")
    _log(Settings.load().process.log_level, stream)
    return stream


def _alert_in(file: str, source: str | None) -> Read:
    """The alert in a file or, for `-`, in what is piped in."""
    from datetime import UTC, datetime

    from app.terminal import payload

    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8")
    except OSError as error:
        raise typer.BadParameter(f"{file} cannot be read: {error.strerror}.", param_hint="--alert") from error
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{file} is no text.", param_hint="--alert") from error
    if source is not None and source not in payload.sources():
        raise typer.BadParameter(
            f"{source} is no source I know; those are {', '.join(payload.sources())}.", param_hint="--source"
        )
    try:
        return payload.read(text, datetime.now(UTC), source=source)
    except payload.NotAnAlert as error:
        raise typer.BadParameter(error.sentence, param_hint="--alert") from error


async def _with_database(look: Callable[[AsyncEngine], Awaitable[T]]) -> T:
    """Do something with the database of the settings, be it configured or embedded."""
    from app.storage.engine import create_engine

    async with _database(Settings.load(), make=False) as url:
        engine = create_engine(url, pool_size=1)
        try:
            return await look(engine)
        finally:
            await engine.dispose()


@asynccontextmanager
async def _database(settings: Settings, *, make: bool) -> AsyncIterator[str]:
    """The address of the settings' database, with this version's schema; `make` makes what is missing."""
    from app.storage import migrate
    from app.storage.errors import SchemaBehind

    async with _server(settings, make=make) as url:
        if make and settings.storage.auto_migrate:
            await migrate.upgrade(url)
        elif not (await migrate.status(url)).up_to_date:
            raise SchemaBehind(
                "The database's schema is older than this version; run `sre-agent db upgrade`."
            )
        yield url


@asynccontextmanager
async def _server(settings: Settings, *, make: bool) -> AsyncIterator[str]:
    """The address of the settings' database, whatever its schema; `make` makes the one that is ours."""
    from app.storage.embedded import EmbeddedPostgres, find_binaries

    home = settings.storage.home / "postgres"
    embedded = None
    if settings.storage.database_url:
        url = _database_url(settings)
    elif not home.exists() and not make:
        raise NoDatabase(
            f"There is no database yet: {home} does not exist. Set DATABASE_URL, or SRE_AGENT_HOME to where "
            "the one you mean is."
        )
    else:
        embedded = EmbeddedPostgres(home, binaries=find_binaries(settings.storage.pg_bin))
        url = await embedded.start()
    try:
        yield url
    finally:
        if embedded:
            await embedded.stop()


def _which(settings: Settings) -> str:
    storage = settings.storage
    return "DATABASE_URL" if storage.database_url else f"the PostgreSQL under {storage.home / 'postgres'}"


def _database_url(settings: Settings) -> str:
    assert settings.storage.database_url is not None
    return settings.storage.database_url.get_secret_value()
