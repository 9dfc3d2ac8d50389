"""The connection to Postgres: one async engine a process, and what its errors mean."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg
from pydantic_core import PydanticSerializationError, from_json, to_json
from sqlalchemy import event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, DisconnectionError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import AgentError
from app.storage.characters import storable_in
from app.storage.errors import DatabaseUnavailable, StaleAttempt

STALE_ATTEMPT_SQLSTATE = "SRE01"
"""Raised by the trigger `refuse_stale_attempt` (see `migrations/`)."""

NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")
"""The escape of NUL in JSON, behind an even number of backslashes: an odd one would be a backslash's own."""

AWAY_SQLSTATES = ("08", "53", "57P", "58", "55000")
"""Connection lost, out of resources, shutting down or starting, broken disk, closed to connections:
https://www.postgresql.org/docs/current/errcodes-appendix.html"""

AWAY_SENTENCE = "The database does not answer; what was asked is kept."
AWAY = (
    OSError,
    TimeoutError,
    PoolTimeout,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.InternalClientError,  # what the driver's state machine says when the server dies under it
)


def url_for(driver: str, url: str) -> str:
    """The same database for another driver: `url_for("asyncpg", "postgresql://…")`."""
    parsed = make_url(url.replace("postgres://", "postgresql://", 1))
    return parsed.set(drivername=f"postgresql+{driver}").render_as_string(hide_password=False)


CONNECT_SECONDS = 5
SERVER_SETTINGS = {
    "application_name": "sre-agent",
    "jit": "off",
    # Every statement of ours has its index. A plan made while a table was small and unanalysed would scan it
    # for as long as it is cached: four times the database time of a turn.
    "enable_seqscan": "off",
}

READ_ONLY = {
    **SERVER_SETTINGS,
    "default_transaction_read_only": "on",
    "statement_timeout": "10s",
    # A year of requests to models is counted in memory instead of being sorted on disk first.
    "work_mem": "16MB",
}
"""For who only looks: the database refuses to write, and nothing that was asked keeps it busy for long."""


def create_engine(
    url: str, *, pool_size: int = 10, server_settings: Mapping[str, str] = SERVER_SETTINGS
) -> AsyncEngine:
    """An engine whose connections are checked before use, so a restarted database costs no turn.

    `pool_size` connections are kept, half of them for `begin` and half for `autocommit`: putting a connection
    from one isolation level into the other costs a third of a statement, each time.
    """
    half = max(1, pool_size // 2)
    engine = _connecting(url, half, server_settings)
    # Nothing is left to roll back where each statement has ended its own transaction.
    twin = _connecting(url, half, server_settings, isolation_level="AUTOCOMMIT", pool_reset_on_return=None)
    bare = _Bare(url, dict(server_settings))
    event.listen(engine.sync_engine, "engine_disposed", lambda _: twin.sync_engine.dispose())
    event.listen(engine.sync_engine, "engine_disposed", lambda _: bare.end())
    _TWINS[engine], _BARE[engine] = twin, bare
    return engine


def _connecting(url: str, kept: int, server_settings: Mapping[str, str], **options: Any) -> AsyncEngine:
    engine = create_async_engine(
        url_for("asyncpg", url),
        pool_size=kept,
        max_overflow=5,
        pool_timeout=10,
        hide_parameters=True,  # an error of the driver would carry what people wrote into the log
        connect_args={"timeout": CONNECT_SECONDS, "server_settings": dict(server_settings)},
        json_serializer=as_json,
        json_deserializer=from_json,
        **options,
    )
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    return engine


_TWINS: WeakKeyDictionary[AsyncEngine, AsyncEngine] = WeakKeyDictionary()
"""By the engine of `begin`, that of `autocommit`."""


@dataclass
class _Bare:
    """Connections of the driver with nothing around them; as many as are used at once."""

    url: str
    server_settings: dict[str, str]
    free: list[asyncpg.Connection[Any]] = field(default_factory=list)

    async def connection(self) -> asyncpg.Connection[Any]:
        while self.free:
            if not (connection := self.free.pop()).is_closed():
                return connection
        return await asyncpg.connect(self.url, timeout=CONNECT_SECONDS, server_settings=self.server_settings)

    def end(self) -> None:
        while self.free:
            self.free.pop().terminate()


_BARE: WeakKeyDictionary[AsyncEngine, _Bare] = WeakKeyDictionary()
"""By the engine of `begin`, those of `straight`."""


def _refuse_closed(connection: Any, _record: Any, _pooled: Any) -> None:
    """Make the pool open another connection in place of one the server has ended.

    The driver knows of that without asking; `pool_pre_ping` asks, three round trips for every transaction.
    """
    if connection.driver_connection.is_closed():
        raise DisconnectionError


def as_json(value: Any) -> str:
    """JSON as jsonb takes it: without NUL, and without halves of surrogate pairs, which no text may hold."""
    try:
        body = to_json(value)
    except PydanticSerializationError:
        body = to_json(storable_in(value))
    written = body.decode()
    return NUL.sub(r"\1", written) if "\\u0000" in written else written


@asynccontextmanager
async def begin(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction; driver errors come out as errors of ours.

    Raises:
        DatabaseUnavailable: the server is away, restarting or out of connections.
        StaleAttempt: the fence refused a write of a superseded attempt.
    """
    with _told_in_our_words():
        async with engine.begin() as connection:
            yield connection


@asynccontextmanager
async def autocommit(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection on which each statement is a transaction of its own: for what is one statement, a third of
    the round trips of `begin`. Raises as that does."""
    with _told_in_our_words():
        async with _TWINS[engine].connect() as connection:
            yield connection


async def straight(engine: AsyncEngine, statement: str, *values: Any) -> Any:
    """The first value that one statement tells, a transaction of its own whose values are `$1` and so on; as
    the driver knows it, jsonb as text. Raises as `begin` does.

    For what comes by the hundred in a second: the pool and the layer above the driver cost three times what
    such a statement does."""
    bare = _BARE[engine]
    with _told_in_our_words():
        connection = await bare.connection()
        try:
            told = await connection.fetchval(statement, *values)
        except BaseException:
            connection.terminate()  # whatever it is doing now
            raise
        bare.free.append(connection)
        return told


async def ask(engine: AsyncEngine) -> None:
    """Returns when the database answers. Raises as `begin` does."""
    async with begin(engine) as connection:
        await connection.execute(text("SELECT 1"))


ALONE = text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:name AS text), 0))")


async def alone(connection: AsyncConnection, name: str, *, seconds: int) -> None:
    """Until the end of the transaction nobody else is `alone` under this name, in whichever process.

    It ends with its process; one that only stands still for so many `seconds` loses it.
    """
    await connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{seconds}s'")
    await connection.execute(ALONE, {"name": name})


@contextmanager
def _told_in_our_words() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        lost = isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
        if ours := _ours(getattr(error.orig, "sqlstate", None), lost=lost):
            raise ours from error
        raise
    except AWAY as error:
        raise DatabaseUnavailable(AWAY_SENTENCE) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # The driver's word for a closed connection is also that for values it cannot send.
        lost = isinstance(error, asyncpg.InterfaceError) and not isinstance(error, ValueError)
        if ours := _ours(getattr(error, "sqlstate", None), lost=lost):
            raise ours from error
        raise


def _ours(state: str | None, *, lost: bool) -> AgentError | None:
    """What an error of the database means to us; None when it is none that others know what to do about."""
    if state == STALE_ATTEMPT_SQLSTATE:
        return StaleAttempt("This turn is being carried on by another worker.")
    if lost or (state or "").startswith(AWAY_SQLSTATES):
        return DatabaseUnavailable(AWAY_SENTENCE)
    return None
