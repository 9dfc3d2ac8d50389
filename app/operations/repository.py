"""The SQL of figures over all replicas: each statement reads the newest part of an index, and no table."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.jobs import DEAD_AFTER_SECONDS
from app.operations.models import (
    ErrorsStored,
    Figures,
    Investigations,
    Percentiles,
    QueueFigures,
    Tokens,
    Turns,
    Windows,
)

DEADLINE = "SET LOCAL statement_timeout = '3s'"
LONGEST_HOURS = 24

QUEUES = text("""
WITH open AS (
    SELECT id, queue_name, status, lock, scheduled_at FROM procrastinate_jobs
     WHERE status IN ('todo', 'doing')
), oldest AS (
    SELECT DISTINCT ON (queue_name) queue_name, id, scheduled_at FROM open
     WHERE status = 'todo' AND (scheduled_at IS NULL OR scheduled_at <= now())
       AND NOT EXISTS (SELECT 1 FROM procrastinate_jobs AS held
                        WHERE held.lock = open.lock AND held.status = 'doing')
     ORDER BY queue_name, id
)
SELECT queue_name AS queue, count(*) FILTER (WHERE status = 'todo') AS waiting,
       count(*) FILTER (WHERE status = 'doing') AS running,
       (SELECT extract(epoch FROM now() - coalesce(oldest.scheduled_at, (
                   SELECT at FROM procrastinate_events
                    WHERE job_id = oldest.id AND type = 'deferred' ORDER BY id LIMIT 1)))
          FROM oldest WHERE oldest.queue_name = open.queue_name) AS oldest_seconds
  FROM open GROUP BY queue_name ORDER BY queue_name
""")
WORKERS = text("""
SELECT count(*) FROM procrastinate_workers WHERE last_heartbeat > now() - make_interval(secs => :seconds)
""")
TURNS = text("""
SELECT status, count(*) AS turns FROM turns
 WHERE created_at > now() - interval '1 hour' AND kind <> 'alert' GROUP BY status
""")
TURN_SECONDS = text("""
SELECT count(*) AS turns,
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
           ORDER BY extract(epoch FROM finished_at - created_at)) AS seconds
  FROM turns WHERE created_at > now() - interval '1 hour' AND kind <> 'alert' AND status = 'done'
""")
INVESTIGATIONS = text("""
SELECT count(*) AS begun, count(*) FILTER (WHERE status = 'joined') AS joined,
       count(*) FILTER (WHERE status = 'done') AS done, count(*) FILTER (WHERE status = 'failed') AS failed,
       count(*) FILTER (WHERE status = 'expired') AS expired,
       count(looked_at) AS looked, count(finished_at) FILTER (WHERE status = 'done') AS finished,
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
           ORDER BY extract(epoch FROM looked_at - created_at))
           FILTER (WHERE looked_at IS NOT NULL) AS to_evidence,
       percentile_cont(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
           ORDER BY extract(epoch FROM finished_at - created_at))
           FILTER (WHERE status = 'done') AS to_brief
  FROM investigations WHERE created_at > now() - interval '1 hour'
""")
ACTIVE = text("SELECT count(*) FROM incidents WHERE status <> 'resolved'")
TOKENS = text("""
SELECT count(*) AS requests, coalesce(sum(input_tokens), 0) AS input_tokens,
       coalesce(sum(output_tokens), 0) AS output_tokens,
       coalesce(sum(cache_read_tokens), 0) AS cache_read_tokens,
       coalesce(sum(cache_write_tokens), 0) AS cache_write_tokens,
       coalesce(sum(usd), 0) AS usd, count(*) FILTER (WHERE usd IS NULL) AS unpriced
  FROM usage WHERE created_at > now() - interval '1 hour'
""")
# A row a day, kept for ever: their sum is what was ever spent, without reading the ledger.
WINDOWS = text("""
SELECT coalesce(sum(spent_usd) FILTER (WHERE "window" = :hour), 0) AS hour_usd,
       coalesce(sum(spent_tokens) FILTER (WHERE "window" = :hour), 0) AS hour_tokens,
       coalesce(sum(spent_usd) FILTER (WHERE "window" = :day), 0) AS day_usd,
       coalesce(sum(spent_tokens) FILTER (WHERE "window" = :day), 0) AS day_tokens,
       coalesce(sum(spent_usd) FILTER (WHERE "window" >= 'day:' AND "window" < 'day;'), 0) AS total_usd,
       coalesce(sum(spent_tokens) FILTER (WHERE "window" >= 'day:' AND "window" < 'day;'), 0) AS total_tokens
  FROM budget_windows WHERE "window" = :hour OR ("window" >= 'day:' AND "window" < 'day;')
""")
ERRORS = text("""
WITH failed AS (
    SELECT 'turn' AS what, error_code AS code, created_at AS at, trace_id FROM turns
     WHERE created_at > now() - make_interval(hours => :hours) AND error_code IS NOT NULL AND kind <> 'alert'
    UNION ALL
    SELECT 'investigation', error_code, created_at, trace_id FROM investigations
     WHERE created_at > now() - make_interval(hours => :hours) AND error_code IS NOT NULL
)
SELECT what, code, count(*) AS count, min(at) AS first_at, max(at) AS last_at,
       (array_agg(trace_id ORDER BY at DESC))[1] AS trace_id
  FROM failed GROUP BY what, code ORDER BY max(at) DESC LIMIT :most
""")


async def figures(connection: AsyncConnection, now: datetime) -> Figures:
    """What all replicas together did lately and have before them.

    Raises what the driver raises when a statement takes longer than 3 s.
    """
    await connection.exec_driver_sql(DEADLINE)
    statuses = {row.status: row.turns for row in await connection.execute(TURNS)}
    spans = (await connection.execute(TURN_SECONDS)).one()
    alerts = (await connection.execute(INVESTIGATIONS)).mappings().one()
    active = (await connection.execute(ACTIVE)).scalar_one()
    tokens = (await connection.execute(TOKENS)).mappings().one()
    return Figures(
        at=now,
        queues=await queues(connection),
        workers=await workers(connection),
        turns=Turns(by_status=statuses, seconds=_percentiles(spans.seconds, spans.turns)),
        investigations=Investigations(
            **{name: alerts[name] for name in ("begun", "joined", "done", "failed", "expired")},
            seconds_to_evidence=_percentiles(alerts["to_evidence"], alerts["looked"]),
            seconds_to_brief=_percentiles(alerts["to_brief"], alerts["finished"]),
        ),
        incidents_active=active,
        rolling_hour=Tokens.model_validate(dict(tokens)),
        windows=await windows(connection, now),
    )


async def queues(connection: AsyncConnection) -> dict[str, QueueFigures]:
    """What waits and runs, by queue; those that are empty are absent."""
    rows = (await connection.execute(QUEUES)).mappings()
    return {row["queue"]: QueueFigures.model_validate(dict(row)) for row in rows}


async def workers(connection: AsyncConnection) -> int:
    """How many workers' hearts have beaten lately, on all replicas."""
    alive = await connection.execute(WORKERS, {"seconds": DEAD_AFTER_SECONDS})
    return int(alive.scalar_one())


async def windows(connection: AsyncConnection, now: datetime) -> Windows:
    """What was spent in this hour and this day (UTC), and ever, as it counts against the caps."""
    utc = now.astimezone(UTC)
    names = {"hour": f"hour:{utc:%Y-%m-%dT%H}", "day": f"day:{utc:%Y-%m-%d}"}
    row = (await connection.execute(WINDOWS, names)).mappings().one()
    return Windows.model_validate(dict(row))


def _percentiles(found: list[float | None] | None, count: int) -> Percentiles | None:
    if not found or not count or found[0] is None:
        return None
    p50, p95, p99 = (round(float(each or 0), 3) for each in found)
    return Percentiles(p50=p50, p95=p95, p99=p99, count=count)


async def errors(connection: AsyncConnection, *, hours: int, most: int) -> tuple[ErrorsStored, ...]:
    """Turns and investigations that failed lately, by code, on whichever replica; the newest group first."""
    await connection.exec_driver_sql(DEADLINE)
    rows = await connection.execute(ERRORS, {"hours": hours, "most": most})
    return tuple(ErrorsStored.model_validate(dict(row)) for row in rows.mappings())
