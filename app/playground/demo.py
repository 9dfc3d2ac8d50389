"""The embedded default: our own Slack and Postgres, an example organisation, and the real program on them."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import webbrowser
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from app.playground.example import ExampleOrganisation, write_repos
from app.playground.slack.server import PlaygroundSlack
from app.settings import Settings

HINTS = (
    {"text": "@sre-agent what do I need before we launch checkout?"},
    {"text": "@sre-agent which timeout does checkout use towards payments?"},
    {"text": "@sre-agent what does tier 1 ask of us?"},
    {"text": "@sre-agent is reports ready?"},
)


class Started(Protocol):
    ports: dict[str, int]

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


class Start(Protocol):
    """Builds a runtime from settings; the command line brings it, for no room may know the runtime."""

    def __call__(self, settings: Settings) -> Started: ...


@dataclass(frozen=True)
class Demo:
    slack: PlaygroundSlack
    organisation: ExampleOrganisation
    home: Path
    runtime: Started


@asynccontextmanager
async def demo(
    start: Start, *, home: Path | None = None, port: int = 0, **values: str
) -> AsyncIterator[Demo]:
    """The whole program against the playground, until the context ends.

    `home` keeps the database between runs; without it everything is made anew and removed at the end.
    `values` are further settings by variable name; the environment's model settings apply as they are.
    """
    temporary = Path(tempfile.mkdtemp(prefix="sre-agent-demo-")) if home is None else None
    folder = home or temporary
    assert folder is not None
    try:
        async with PlaygroundSlack(port=port, hints=HINTS) as slack:
            organisation = await asyncio.to_thread(write_repos, folder / "organisation")
            settings = Settings.load(
                **{
                    "SRE_AGENT_HOME": str(folder),
                    "KNOWLEDGE_REPO_URL": organisation.knowledge,
                    "BLUEPRINTS_REPO_URL": organisation.blueprints,
                    "SRE_TEAM_SLACK_ID": "S0SRETEAM",
                    "INCIDENT_CHANNEL": "C0INCIDENTS",
                    "GIT_POLL_SECONDS": "5",
                    "PORT": "0",
                    "OPS_PORT": "0",
                    **slack.environment,
                    **values,
                }
            )
            runtime = start(settings)
            await runtime.start()
            try:
                yield Demo(slack, organisation, folder, runtime)
            finally:
                await runtime.stop()
    finally:
        if temporary:
            await asyncio.to_thread(shutil.rmtree, temporary, True)


async def show(start: Start, *, home: Path, port: int, browser: bool) -> None:
    """Run until interrupted, with the page's address printed and, where there is a browser, opened."""
    async with demo(start, home=home, port=port) as running:
        print(f"\n  The playground: {running.slack.url}\n")
        print("  Write there as Maya, a developer of checkout; for example:")
        print(f"    {HINTS[0]['text']}")
        print(f"\n  The knowledge repo to edit: {running.organisation.knowledge}")
        print("  Ctrl-C ends it; what was said is kept for the next time.\n", flush=True)
        if browser:
            with suppress(webbrowser.Error):
                webbrowser.open(running.slack.url)
        await asyncio.Event().wait()
