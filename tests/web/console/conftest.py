"""A console on a database in which a good deal has happened, asked over HTTP as a browser would."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage.engine import READ_ONLY, create_engine
from app.web.console.access import Access
from app.web.console.app import add_console, console_app
from app.web.ops import ops_app
from tests.conftest import address, copy_of, execute
from tests.web.console.history import fill

NOW = datetime.now(UTC).replace(microsecond=0)
"""Of the console's clock, which stands still; the database's goes on."""
TOKEN = "a-token-of-the-tests-0123456789"
PROXY = "10.0.3.7"


@pytest.fixture
async def reader(database_url: str) -> AsyncIterator[AsyncEngine]:
    """As the runtime makes it for the console."""
    engine = create_engine(database_url, pool_size=2, server_settings=READ_ONLY)
    yield engine
    await engine.dispose()


class Clock:
    def __init__(self) -> None:
        self.seconds = NOW.timestamp()

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def app_on(reader: AsyncEngine, access: Access, now: Callable[[], datetime] = lambda: NOW) -> FastAPI:
    app = ops_app({}, draining=lambda: False)
    link = lambda channel, ts: f"https://acme.slack.example/archives/{channel}/p{ts.replace('.', '')}"  # noqa: E731
    add_console(app, console_app(reader, access, link=link, clock=now))
    return app


def browser_of(app: FastAPI, *, peer: str = "192.0.2.9", **headers: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app, client=(peer, 50_000)),
        base_url="http://ops",
        headers={"Accept": "text/html", **headers},
    )


@pytest.fixture(scope="session")
async def history(postgres_url: str, migrated_template: str) -> AsyncIterator[AsyncEngine]:
    """An engine that may only read, on a database with a history; one for all tests, for none can change it."""
    name = f"history_{secrets.token_hex(4)}"
    await execute(postgres_url, copy_of(migrated_template, name))
    url = address(postgres_url, name)
    writing = create_engine(url)
    await fill(writing, NOW)
    await writing.dispose()
    reading = create_engine(url, pool_size=2, server_settings=READ_ONLY)
    yield reading
    await reading.dispose()
    await execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def visitor(history: AsyncEngine) -> AsyncIterator[httpx.AsyncClient]:
    """Signed in, on a database with a history."""
    async with browser_of(app_on(history, Access(TOKEN)), Authorization=f"Bearer {TOKEN}") as asking:
        yield asking


async def seen(asking: httpx.AsyncClient, path: str, status: int = 200) -> str:
    answer = await asking.get(path)
    assert answer.status_code == status, answer.text
    return answer.text
