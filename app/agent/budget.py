"""Money and tokens per hour and day, counted in Postgres for all replicas, and the ledger of what was used.

A request reserves its estimate before it is sent and settles when its response is there. A reservation
lives in the row of its hour: what a killed process leaves behind is gone with the hour, and it never
weighs on the day.

All turns of all replicas meet in that row, so each change of it is one statement that commits by itself: in
a transaction the row would stay locked for a round trip more, and a busy event loop makes that long.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Literal, Protocol
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import AgentError
from app.storage.engine import autocommit


class BudgetSpent(AgentError):
    """A cap forbids the next request; `limit` says whose: the run's, the hour's or the day's."""

    code = "budget_spent"
    status = 429

    def __init__(self, sentence: str, limit: Literal["run", "hour", "day"]) -> None:
        super().__init__(sentence)
        self.limit = limit


@dataclass(frozen=True)
class WindowLimits:
    """Caps over all runs of all replicas; 0 stands for none."""

    usd_per_hour: Decimal = Decimal(0)
    usd_per_day: Decimal = Decimal(0)
    tokens_per_hour: int = 0


@dataclass(frozen=True)
class Estimate:
    """What a request may need."""

    tokens: int
    usd: Decimal


@dataclass(frozen=True)
class Reservation:
    """An estimate set aside in one hour, to be settled or released once."""

    hour: str
    day: str
    tokens: int
    usd: Decimal


@dataclass(frozen=True)
class Spent:
    """One response in the ledger; its `usd` are None when nobody knows the model's price. `counted` is what
    counts against the caps."""

    turn_id: UUID
    session_id: int | None
    attempt: int
    provider: str
    model: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    usd: Decimal | None
    counted: Decimal


class Budget(Protocol):
    async def reserve(self, estimate: Estimate) -> Reservation:
        """Set an estimate aside.

        Raises:
            BudgetSpent: the hour or the day has no room for it.
        """
        ...

    async def settle(self, reservation: Reservation, spent: Spent | None) -> None:
        """Book what was used, the whole estimate when nobody knows (`spent` is None)."""
        ...

    async def release(self, reservation: Reservation) -> None:
        """Give an estimate back: the request was refused before it was read."""
        ...


class PostgresBudget:
    """`Budget` on the tables `budget_windows` and `usage`."""

    def __init__(
        self,
        engine: AsyncEngine,
        limits: WindowLimits,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._engine = engine
        self._limits = limits
        self._clock = clock

    async def reserve(self, estimate: Estimate) -> Reservation:
        now = self._clock().astimezone(UTC)
        wanted = Reservation(f"hour:{now:%Y-%m-%dT%H}", f"day:{now:%Y-%m-%d}", estimate.tokens, estimate.usd)
        async with autocommit(self._engine) as connection:
            if not await _reserve(connection, wanted, self._limits):
                raise await self._refusal(connection, wanted)
        return wanted

    async def settle(self, reservation: Reservation, spent: Spent | None) -> None:
        tokens, usd = reservation.tokens, reservation.usd
        if spent is not None:
            tokens, usd = spent.input_tokens + spent.output_tokens, spent.counted
        await self._close(reservation, tokens, usd, spent)

    async def release(self, reservation: Reservation) -> None:
        await self._close(reservation, 0, Decimal(0), None)

    async def _close(self, held: Reservation, tokens: int, usd: Decimal, spent: Spent | None) -> None:
        values = {
            "hour": held.hour,
            "day": held.day,
            "held_tokens": held.tokens,
            "held_usd": held.usd,
            "tokens": tokens,
            "usd": usd,
        }
        if spent is not None:
            values |= {f"ledger_{name}": value for name, value in vars(spent).items() if name != "counted"}
        async with autocommit(self._engine) as connection:
            await connection.execute(CLOSE if spent is None else CLOSE_AND_BOOK, values)

    async def _refusal(self, connection: AsyncConnection, wanted: Reservation) -> BudgetSpent:
        row = (await connection.execute(STANDING, {"hour": wanted.hour, "day": wanted.day})).one()
        limits = self._limits
        if limits.usd_per_day and row.day_usd + row.reserved_usd + wanted.usd > limits.usd_per_day:
            return BudgetSpent(f"The budget of this day (${limits.usd_per_day}) is used up.", "day")
        if limits.usd_per_hour and row.hour_usd + row.reserved_usd + wanted.usd > limits.usd_per_hour:
            return BudgetSpent(f"The budget of this hour (${limits.usd_per_hour}) is used up.", "hour")
        return BudgetSpent(f"The budget of this hour ({limits.tokens_per_hour} tokens) is used up.", "hour")


async def _reserve(connection: AsyncConnection, wanted: Reservation, limits: WindowLimits) -> bool:
    values = {
        "hour": wanted.hour,
        "day": wanted.day,
        "tokens": wanted.tokens,
        "usd": wanted.usd,
        "usd_per_hour": limits.usd_per_hour,
        "usd_per_day": limits.usd_per_day,
        "tokens_per_hour": limits.tokens_per_hour,
    }
    if (await connection.execute(RESERVE, values)).first() is not None:
        return True
    # Refused, or the first request of this hour.
    await connection.execute(OPEN_WINDOW, {"hour": wanted.hour})
    return (await connection.execute(RESERVE, values)).first() is not None


OPEN_WINDOW = text("""INSERT INTO budget_windows ("window") VALUES (:hour) ON CONFLICT DO NOTHING""")

RESERVE = text("""
    UPDATE budget_windows AS held
    SET reserved_usd = held.reserved_usd + CAST(:usd AS numeric),
        reserved_tokens = held.reserved_tokens + CAST(:tokens AS bigint)
    WHERE held."window" = :hour
      AND (CAST(:usd_per_hour AS numeric) = 0
           OR held.spent_usd + held.reserved_usd + CAST(:usd AS numeric) <= CAST(:usd_per_hour AS numeric))
      AND (CAST(:tokens_per_hour AS bigint) = 0
           OR held.spent_tokens + held.reserved_tokens + CAST(:tokens AS bigint)
              <= CAST(:tokens_per_hour AS bigint))
      AND (CAST(:usd_per_day AS numeric) = 0
           OR COALESCE((SELECT spent_usd FROM budget_windows WHERE "window" = :day), 0)
              + held.reserved_usd + CAST(:usd AS numeric) <= CAST(:usd_per_day AS numeric))
    RETURNING 1
""")

# Both rows in one statement, always in this order: two settlements never wait for each other in a circle.
CLOSING = """
    hour AS (
        UPDATE budget_windows
        SET reserved_usd = GREATEST(0, reserved_usd - CAST(:held_usd AS numeric)),
            reserved_tokens = GREATEST(0, reserved_tokens - CAST(:held_tokens AS bigint)),
            spent_usd = spent_usd + CAST(:usd AS numeric),
            spent_tokens = spent_tokens + CAST(:tokens AS bigint)
        WHERE "window" = :hour
    )
    INSERT INTO budget_windows ("window", spent_usd, spent_tokens)
    VALUES (:day, CAST(:usd AS numeric), CAST(:tokens AS bigint))
    ON CONFLICT ("window") DO UPDATE
    SET spent_usd = budget_windows.spent_usd + EXCLUDED.spent_usd,
        spent_tokens = budget_windows.spent_tokens + EXCLUDED.spent_tokens
"""
LEDGER = """
    ledger AS (
        INSERT INTO usage (turn_id, session_id, attempt, provider, model, input_tokens, output_tokens,
                           cache_read_tokens, cache_write_tokens, usd)
        VALUES (:ledger_turn_id, :ledger_session_id, :ledger_attempt, :ledger_provider, :ledger_model,
                :ledger_input_tokens, :ledger_output_tokens, :ledger_cache_read_tokens,
                :ledger_cache_write_tokens, CAST(:ledger_usd AS numeric))
    ),
"""
CLOSE = text(f"WITH {CLOSING}")
CLOSE_AND_BOOK = text(f"WITH {LEDGER} {CLOSING}")

STANDING = text("""
    SELECT hour.spent_usd AS hour_usd, hour.reserved_usd, COALESCE(day.spent_usd, 0) AS day_usd
    FROM budget_windows AS hour LEFT JOIN budget_windows AS day ON day."window" = :day
    WHERE hour."window" = :hour
""")
