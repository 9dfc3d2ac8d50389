"""The durable queue: deferring a job inside the caller's transaction, and a worker that loses none.

Jobs live in Postgres (procrastinate). This module adds what running them across replicas needs: a heart
that beats through a drain, rescue of a dead worker's jobs within seconds, and a worker that starts again
when the database was away.
"""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import procrastinate
import psycopg
import structlog
from procrastinate.jobs import Job
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.worker import Worker
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

log = structlog.get_logger(__name__)

BEAT_SECONDS = 1.0
DEAD_AFTER_SECONDS = 8.0
FORGET_WORKER_AFTER_SECONDS = 24.0
KEEP_FINISHED_JOBS = timedelta(days=1)
PRUNE_EVERY_BEATS = 600

DEFER = text(
    "SELECT unnest(procrastinate_defer_jobs_v1(ARRAY[ROW(CAST(:queue AS varchar), CAST(:task AS varchar), "
    "CAST(:priority AS int), CAST(:lock AS text), CAST(:queueing_lock AS text), CAST(:arguments AS jsonb), "
    "CAST(:at AS timestamptz))]::procrastinate_job_to_defer_v1[]))"
)
CANCEL = text("SELECT procrastinate_cancel_job_v1(:job_id, true, false)")
PRUNE = """
DELETE FROM procrastinate_jobs WHERE id IN (
    SELECT job.id FROM procrastinate_jobs AS job
     WHERE job.status IN ('succeeded', 'failed', 'cancelled', 'aborted')
       AND NOT EXISTS (SELECT 1 FROM procrastinate_events AS event
                        WHERE event.job_id = job.id AND event.at > now() - %s)
     ORDER BY job.id LIMIT 5000)
"""


@dataclass(frozen=True)
class Deferral:
    """A job to be: jobs of one `lock` run one at a time, in order of `priority` (high first), then age."""

    task: str
    arguments: dict[str, Any]
    queue: str = "turns"
    lock: str | None = None
    queueing_lock: str | None = None
    priority: int = 0
    at: datetime | None = None


async def defer(connection: AsyncConnection, job: Deferral) -> int:
    """Put a job into the queue within the caller's transaction; its id. Rolled back, it never was."""
    row = await connection.execute(
        DEFER,
        {
            "queue": job.queue,
            "task": job.task,
            "priority": job.priority,
            "lock": job.lock,
            "queueing_lock": job.queueing_lock,
            "arguments": json.dumps(job.arguments),
            "at": job.at,
        },
    )
    return int(row.scalar_one())


async def cancel(connection: AsyncConnection, job_id: int) -> None:
    """A waiting job never starts; a running one is interrupted wherever it runs."""
    await connection.execute(CANCEL, {"job_id": job_id})


def backoff(attempts: int) -> float:
    """Seconds before the next try: 1, 2, 4 … at most 30."""
    return float(min(30, 2 ** min(attempts, 10)))


class Backoff(BaseRetryStrategy):
    """Every job that raises is tried again; when to give up is the business of what it runs.

    A job cut by a shutdown goes back at once, for another replica to take.
    """

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision:
        if isinstance(exception, asyncio.CancelledError):
            return RetryDecision(retry_at=datetime.now(UTC))
        return RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=backoff(job.attempts)))


Handler = Callable[..., Awaitable[None]]


class Queue:
    """The worker's side of the queue in this process."""

    def __init__(
        self, url: str, *, concurrency: int, queues: tuple[str, ...] = ("turns",), grace_seconds: float = 30
    ) -> None:
        self._url = url
        self._concurrency = concurrency
        self._queues = queues
        self._grace = grace_seconds
        self._app = procrastinate.App(
            connector=procrastinate.PsycopgConnector(conninfo=url, min_size=1, max_size=6, timeout=10)
        )
        self._worker: Worker | None = None
        self._stopping = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []

    def handle(self, task: str, handler: Handler) -> None:
        """Run `handler(**arguments)` for jobs named `task`.

        It is cancelled (`asyncio.CancelledError`) when a person stops the job and when this process shuts
        down beyond its grace; returning normally from the first ends the job, raising hands it back.
        """
        self._app.task(name=task, retry=Backoff())(handler)

    @property
    def takes_jobs(self) -> bool:
        """Whether the worker is registered and not on its way out."""
        return not self._stopping.is_set() and bool(self._worker and self._worker.worker_id is not None)

    async def start(self) -> None:
        """Begin to take jobs, in the background."""
        await self._app.open_async()
        self._tasks = [
            asyncio.create_task(self._supervise(), name="queue worker"),
            asyncio.create_task(self._beat(), name="queue heartbeat"),
        ]

    async def stop(self) -> None:
        """Take no more jobs, give the running ones their grace, hand the rest back, then let the heart stop.

        The heart goes on beating through all of it: a drain that looks dead would be run twice.
        """
        self._stopping.set()
        worker, beat = self._tasks
        if self._worker:
            self._worker.stop()
        with suppress(Exception):
            await worker
        beat.cancel()
        with suppress(asyncio.CancelledError):
            await beat
        with suppress(Exception):
            await self._app.close_async()

    async def _supervise(self) -> None:
        while not self._stopping.is_set():
            self._worker = Worker(
                self._app,
                queues=list(self._queues),
                concurrency=self._concurrency,
                install_signal_handlers=False,
                fetch_job_polling_interval=1,
                abort_job_polling_interval=2,
                # Ours beats instead: it also beats while the worker drains.
                update_heartbeat_interval=86_400,
                stalled_worker_timeout=FORGET_WORKER_AFTER_SECONDS,
                shutdown_graceful_timeout=self._grace,
                delete_jobs="never",  # the announcement of freed jobs needs the finished row
            )
            try:
                await self._worker.run()
            except Exception as error:
                log.warning("queue_worker_restarts", reason=str(error.__cause__ or error).strip())
            if not self._stopping.is_set():
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), 0.5)

    async def _beat(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(
                    self._url, autocommit=True, connect_timeout=3
                ) as connection:
                    await self._beat_on(connection)
            except psycopg.Error as error:
                log.warning("queue_heartbeat_missed", reason=str(error))
            await asyncio.sleep(BEAT_SECONDS)

    async def _beat_on(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Beat first, rescue second: a process that stalled must not rescue its own jobs."""
        for beat in itertools.count():
            if self._worker and self._worker.worker_id is not None:
                await connection.execute(
                    "SELECT procrastinate_update_heartbeat_v1(%s)", (self._worker.worker_id,)
                )
            cursor = await connection.execute("SELECT queue_rescue(%s)", (DEAD_AFTER_SECONDS,))
            row = await cursor.fetchone()
            if row and row[0]:
                log.warning("jobs_rescued", count=row[0])
            if beat % PRUNE_EVERY_BEATS == 0:
                await connection.execute(PRUNE, (KEEP_FINISHED_JOBS,))
            await asyncio.sleep(BEAT_SECONDS)
