from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.agent.budget import WindowLimits
from app.context.mirrors import Folder
from app.knowledge.keeping import Keeper
from app.knowledge.packaged import packaged_path
from app.operations.controls import Controls
from app.operations.dependencies import Ask, dependencies_of
from app.operations.figures import FigureReader
from app.operations.models import RoomOf
from app.operations.operations import Operations
from app.recent_errors import RecentErrors
from app.settings import Settings
from app.sources.clients import Clients
from app.standing import Standings
from app.storage.engine import begin

LIMITS = WindowLimits(usd_per_hour=Decimal(20), usd_per_day=Decimal(100))


async def slack_answers() -> object:
    return {"ok": True}


def unused() -> None:
    raise AssertionError("nobody drains here")


async def operations_on(
    engine: AsyncEngine,
    *,
    ask_slack: Ask = slack_answers,
    drain: Callable[[], None] = unused,
    is_draining: Callable[[], bool] = lambda: False,
    errors: RecentErrors | None = None,
    clients: Clients | None = None,
    **environment: str,
) -> Operations:
    """A process seen from outside, with knowledge in force, and of the outside only what a test gives."""
    settings = Settings.load(env_file=None, **environment)
    keeper = Keeper(Folder(packaged_path()))
    await keeper.refresh()
    dependencies = dependencies_of(
        settings,
        engine,
        keeper,
        clients or Clients(),
        ask_slack=ask_slack,
        standings=Standings(),
    )
    return Operations(
        settings,
        keeper,
        FigureReader(engine, LIMITS),
        dependencies,
        Controls(engine, "pod-1:7", drain, running=lambda: 0, is_draining=is_draining),
        errors or RecentErrors(),
        rooms=lambda: {"turns": RoomOf(running=2, room=10), "diagnose": RoomOf(running=1, room=None)},
        roles=("door", "worker"),
    )


@pytest.fixture
async def operations(engine: AsyncEngine) -> Operations:
    return await operations_on(engine)


async def beat(engine: AsyncEngine) -> None:
    """A worker is alive somewhere."""
    await run(engine, "INSERT INTO procrastinate_workers DEFAULT VALUES")


async def run(engine: AsyncEngine, statement: str, **values: Any) -> None:
    async with begin(engine) as connection:
        await connection.execute(text(statement), values)


async def turn(
    connection: AsyncConnection,
    number: int,
    *,
    status: str = "done",
    seconds: float = 4,
    minutes_ago: float = 10,
    error_code: str | None = None,
) -> None:
    """A turn of a conversation that ended so many seconds after it was accepted."""
    session = await connection.execute(
        text("INSERT INTO sessions (team_id, channel_id, thread_ts) VALUES ('T1', 'C1', :ts) RETURNING id"),
        {"ts": str(number)},
    )
    await connection.execute(
        text("""
            INSERT INTO turns (id, session_id, source_key, kind, status, user_id, question, error_code, trace_id,
                               created_at, finished_at)
            VALUES (gen_random_uuid(), :session, :key, 'mention', :status, 'U1', 'Why?', :code, :trace,
                    now() - make_interval(secs => :ago), now() - make_interval(secs => :ended))
        """),
        {
            "session": session.scalar_one(),
            "key": f"turn-{number}",
            "status": status,
            "code": error_code,
            "trace": f"{number:032x}",
            "ago": minutes_ago * 60,
            "ended": minutes_ago * 60 - seconds,
        },
    )


NOW = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)
