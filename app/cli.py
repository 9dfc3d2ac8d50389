"""The `sre-agent` command. Exit codes: 0 done, 1 failed, 2 wrong use."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any

import typer

from app.errors import AgentError
from app.settings import Settings
from app.telemetry import set_up_logging

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


def main() -> None:
    """The console script: errors of ours become one sentence on stderr and exit code 1."""
    try:
        app()
    except AgentError as error:
        print(error, file=sys.stderr)
        raise SystemExit(1) from error


def _run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


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


def _database_url(settings: Settings) -> str:
    assert settings.storage.database_url is not None
    return settings.storage.database_url.get_secret_value()
