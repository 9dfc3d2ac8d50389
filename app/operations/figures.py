"""The figures over all replicas, asked of the database at most every few seconds, whoever wants them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app import instruments
from app.agent.budget import WindowLimits
from app.investigations.accuracy import LEVELS, Judged, judged
from app.investigations.queueing import DIAGNOSE_QUEUE
from app.operations import repository
from app.operations.models import ErrorsStored, Figures
from app.storage.engine import begin
from app.storage.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

FRESH_SECONDS = 5.0
ACCURACY_SECONDS = 300.0
ACCURACY_DAYS = 30
DEADLINE_SECONDS = 4.0
MOST_GROUPS = 100


@dataclass
class FigureReader:
    """Keeps the last answer of the database for `FRESH_SECONDS`: scrapers and people ask as often as they
    like. Each new one is told to the gauges that are the same on every replica."""

    engine: AsyncEngine
    limits: WindowLimits
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    seconds: Callable[[], float] = time.monotonic
    _kept: Figures | None = field(default=None, init=False)
    _kept_at: float = field(default=float("-inf"), init=False)
    _accuracy_at: float = field(default=float("-inf"), init=False)
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    async def figures(self) -> Figures | None:
        """None while the database does not answer: what was so before it went away is not so now."""
        async with self._asking:
            if self.seconds() - self._kept_at >= FRESH_SECONDS:
                self._kept = await self._asked()
                self._kept_at = self.seconds()
                self._expose(self._kept)
            return self._kept

    async def errors(self, hours: int) -> tuple[ErrorsStored, ...] | None:
        return await self._answered(lambda: self._errors(hours))

    async def _asked(self) -> Figures | None:
        found = await self._answered(self._figures)
        if found is not None and self.seconds() - self._accuracy_at >= ACCURACY_SECONDS:
            rows = await self._answered(self._judged)
            if rows is not None:
                self._accuracy_at = self.seconds()
                instruments.BRIEFS.replace(by_outcome(rows))
        return found

    async def _answered(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await ask()
        except (DatabaseUnavailable, DBAPIError, TimeoutError) as error:
            log.warning("figures_unavailable", reason=type(error).__name__)
            return None

    async def _figures(self) -> Figures:
        async with begin(self.engine) as connection:
            return await repository.figures(connection, self.clock())

    async def _errors(self, hours: int) -> tuple[ErrorsStored, ...]:
        async with begin(self.engine) as connection:
            return await repository.errors(connection, hours=hours, most=MOST_GROUPS)

    async def _judged(self) -> tuple[Judged, ...]:
        async with begin(self.engine) as connection:
            await connection.exec_driver_sql(repository.DEADLINE)
            return await judged(connection, self.clock() - timedelta(days=ACCURACY_DAYS))

    def _expose(self, found: Figures | None) -> None:
        instruments.DATABASE_UP.set(1 if found else 0)
        if found is None:
            for gauge in OUT_OF_THE_DATABASE:
                gauge.replace({})
            self._accuracy_at = float("-inf")
            return
        queues = found.queues
        diagnoses = queues.get(DIAGNOSE_QUEUE)
        instruments.QUEUE_JOBS.replace(
            {
                (name, status): getattr(each, "waiting" if status == "todo" else "running")
                for name, each in queues.items()
                for status in ("todo", "doing")
            }
        )
        instruments.QUEUE_OLDEST.replace({(name,): each.oldest_seconds or 0 for name, each in queues.items()})
        instruments.QUEUE_WORKERS.set(found.workers)
        instruments.INTAKE_DEPTH.set(diagnoses.waiting if diagnoses else 0)
        instruments.INCIDENTS_ACTIVE.set(found.incidents_active)
        instruments.TURNS_WINDOW.replace({(name,): count for name, count in found.turns.by_status.items()})
        hour = found.rolling_hour
        instruments.TOKENS_WINDOW.replace({("input",): hour.input_tokens, ("output",): hour.output_tokens})
        windows, limits = found.windows, self.limits
        instruments.SPEND_WINDOW.replace({("hour",): windows.hour_usd, ("day",): windows.day_usd})
        caps = {("hour",): float(limits.usd_per_hour), ("day",): float(limits.usd_per_day)}
        instruments.SPEND_LIMIT.replace({window: cap for window, cap in caps.items() if cap})


OUT_OF_THE_DATABASE = tuple(
    each for each in instruments.INSTRUMENTS if isinstance(each, instruments.Gauge) and each.everywhere
)


def by_outcome(rows: tuple[Judged, ...]) -> dict[tuple[str, ...], float]:
    """How many briefs there were, by stated confidence and what people said of them. Pure."""
    said = {True: "right", False: "wrong", None: "unknown"}
    counted: dict[tuple[str, ...], float] = {
        (level, outcome): 0 for level in LEVELS for outcome in said.values()
    }
    for each in rows:
        counted[each.level, said[each.correct]] += 1
    return counted
