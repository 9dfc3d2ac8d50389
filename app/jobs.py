"""The durable queue: deferring a job inside the caller's transaction, and a worker that loses none.

Jobs live in Postgres (procrastinate). This module adds what running them across replicas needs: a heart
that beats through a drain, rescue of a dead worker's jobs within seconds, a worker that waits where the
database is away, and jobs that only their holder ends.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, LiteralString

import procrastinate
import psycopg
import structlog
from procrastinate.connector import Notify
from procrastinate.exceptions import ConnectorException
from procrastinate.job_context import JobContext, JobResult
from procrastinate.jobs import Job, Status
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from procrastinate.worker import Worker
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

log = structlog.get_logger(__name__)

BEAT_SECONDS = 1.0
DEAD_AFTER_SECONDS = 8.0
FORGET_WORKER_AFTER_SECONDS = 24.0
KEEP_FINISHED_JOBS = timedelta(days=1)
PRUNE_EVERY_SECONDS = 600
PRUNE_AT_ONCE = 5_000
PRUNE_PAUSE_SECONDS = 0.2
CONNECTION_WAIT_SECONDS = 3
LAST_WORDS_SECONDS = 4
ROUND_SECONDS = 0.002
LATE_SECONDS = 0.002
CALM_ROUNDS = 5
LONGEST_HOLD_SECONDS = 0.5
"""What jobs cut at the end of the grace may take to close their streams and to be handed back."""

JOB = (
    "ROW(CAST(:queue AS varchar), CAST(:task AS varchar), CAST(:priority AS int), CAST(:lock AS text), "
    "CAST(:queueing_lock AS text), CAST(:arguments AS jsonb), "
    "coalesce(CAST(:at AS timestamptz), now() + make_interval(secs => CAST(:wait AS double precision))))"
)
DEFER_ONE = f"SELECT unnest(procrastinate_defer_jobs_v1(ARRAY[{JOB}]::procrastinate_job_to_defer_v1[])) AS id"
DEFER_ONE_ONCE = f"SELECT queue_defer_once(CAST({JOB} AS procrastinate_job_to_defer_v1)) AS id"
"""As parts of larger statements; their parameters are `columns` of a `Deferral`."""
DEFER = text(DEFER_ONE)
DEFER_ONCE = text(DEFER_ONE_ONCE)
# procrastinate's own way ends a waiting job for good, and one that raises on being stopped.
INTERRUPT = text("""
UPDATE procrastinate_jobs
   SET abort_requested = (status = 'doing'),
       scheduled_at = CASE WHEN status = 'doing' THEN scheduled_at END
 WHERE id = :job_id AND status IN ('todo', 'doing')
""")
# A worker that was away for long finds its row pruned by others; it comes back under its old id.
BEAT = """
INSERT INTO procrastinate_workers (id, last_heartbeat) OVERRIDING SYSTEM VALUE VALUES (%s, now())
    ON CONFLICT (id) DO UPDATE SET last_heartbeat = now()
"""
FINISH = "SELECT queue_finish(%(job)s, %(holder)s, %(attempt)s, %(status)s) AS stored"
HAND_BACK = "SELECT queue_hand_back(%(job)s, %(holder)s, %(attempt)s, %(wait)s) AS stored"
HELD = "SELECT id, attempts FROM procrastinate_jobs WHERE worker_id = %s AND status = 'doing'"
PRUNE = """
DELETE FROM procrastinate_jobs WHERE id IN (
    SELECT job.id FROM procrastinate_jobs AS job
     WHERE job.status IN ('succeeded', 'failed', 'cancelled', 'aborted')
       AND NOT EXISTS (SELECT 1 FROM procrastinate_events AS event
                        WHERE event.job_id = job.id AND event.at > now() - %s)
     ORDER BY job.id LIMIT %s FOR UPDATE SKIP LOCKED)
"""


@dataclass(frozen=True)
class Deferral:
    """A job to be: jobs of one `lock` run one at a time, in order of `priority` (high first), then age.

    It begins `at` a moment, or after `wait` seconds by the database's clock; without either at once.
    """

    task: str
    arguments: dict[str, Any]
    queue: str = "turns"
    lock: str | None = None
    queueing_lock: str | None = None
    priority: int = 0
    at: datetime | None = None
    wait: float | None = None


async def defer(connection: AsyncConnection, job: Deferral) -> int:
    """Put a job into the queue within the caller's transaction; its id. Rolled back, it never was."""
    row = await connection.execute(DEFER, columns(job))
    return int(row.scalar_one())


def columns(job: Deferral) -> dict[str, Any]:
    """A job as parameters of `DEFER_ONE` and `DEFER_ONE_ONCE`."""
    return {
        "queue": job.queue,
        "task": job.task,
        "priority": job.priority,
        "lock": job.lock,
        "queueing_lock": job.queueing_lock,
        "arguments": json.dumps(job.arguments),
        "at": job.at,
        "wait": job.wait,
    }


async def defer_once(connection: AsyncConnection, job: Deferral) -> int:
    """As `defer`, but where a job of the same `queueing_lock` waits already, that one's id.

    The job that waits begins behind the caller's transaction, and so sees what that wrote.
    """
    row = await connection.execute(DEFER_ONCE, columns(job))
    return int(row.scalar_one())


async def interrupt(connection: AsyncConnection, job_id: int) -> None:
    """A running job is interrupted wherever it runs; one that waits for its next try is tried at once."""
    await connection.execute(INTERRUPT, {"job_id": job_id})


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


async def prune_finished(connection: psycopg.AsyncConnection[Any], *, most: int = PRUNE_AT_ONCE) -> int:
    """Remove jobs that ended a day ago, so many at once until none is left; how many. Each statement is its
    own transaction on an autocommitting connection; what another process removes just now is left to it."""
    removed = 0
    while True:
        batch = (await connection.execute(PRUNE, (KEEP_FINISHED_JOBS, most))).rowcount
        removed += batch
        if batch < most:
            return removed
        await asyncio.sleep(PRUNE_PAUSE_SECONDS)


Handler = Callable[..., Awaitable[None]]
Handlers = Mapping[str, Handler]
"""By task."""


class _Connector(procrastinate.PsycopgConnector):
    """Listens again once the database is back; the library's own would end its worker, and so all jobs."""

    async def listen_notify(self, on_notification: Notify, channels: Iterable[str]) -> None:
        while True:
            with suppress(ConnectorException):
                await super().listen_notify(on_notification, channels)
            await asyncio.sleep(1)


async def _each_statement_alone(connection: psycopg.AsyncConnection[Any]) -> None:
    """The queue asks single statements; in transactions each would take three round trips for one."""
    await connection.set_autocommit(True)


class _Room(asyncio.Semaphore):
    """Places for jobs, given out only while the event loop is at ease.

    Jobs beyond what the processor can carry would all be late together; waiting in the queue, they leave the
    running ones quick and may be taken by another replica.
    """

    async def acquire(self) -> Literal[True]:
        await super().acquire()
        try:
            await self._ease()
        except BaseException:
            self.release()
            raise
        return True

    async def _ease(self) -> None:
        """Wait until the loop comes round soon, a few times in a row; but never for long."""
        clock = asyncio.get_running_loop().time
        give_up, calm = clock() + LONGEST_HOLD_SECONDS, 0
        while calm < CALM_ROUNDS and (now := clock()) < give_up:
            await asyncio.sleep(ROUND_SECONDS)
            calm = calm + 1 if clock() - now < ROUND_SECONDS + LATE_SECONDS else 0


class _Worker(Worker):
    """A worker that lives through an absence of the database, and ends only the jobs it still holds.

    A job that was rescued from a worker taken for dead belongs to its successor: the end that the first one
    would store is refused, or the successor's turn would run without its lock and without rescue.
    """

    at_ease = True

    @property
    def held(self) -> set[int]:
        return {context.job.id for context in self._running_jobs.values() if context.job.id}

    async def cut(self) -> None:
        """End the jobs that are waited for without a limit; they go back into the queue."""
        await self._abort_running_jobs()  # type: ignore[no-untyped-call]

    async def _fetch_and_process_jobs(self) -> None:
        if self.at_ease and not isinstance(self._job_semaphore, _Room):
            # `run` made a plain one; no job has begun yet.
            self._job_semaphore = _Room(self.concurrency)
        try:
            await super()._fetch_and_process_jobs()  # type: ignore[no-untyped-call]
        except ConnectorException as error:
            log.warning("queue_unreachable", reason=str(error.__cause__ or error).strip())

    async def _persist_job_status(
        self,
        job: Job,
        status: Status,
        retry_decision: RetryDecision | None,
        context: JobContext,
        job_result: JobResult | None,
    ) -> None:
        mine = {"job": job.id, "holder": self.worker_id, "attempt": job.attempts}
        if retry_decision and retry_decision.retry_at:
            # A length of time and no moment: this process's clock may differ from the database's.
            wait = (retry_decision.retry_at - datetime.now(UTC)).total_seconds()
            stored = await self._store(HAND_BACK, **mine, wait=wait)
        else:
            stored = await self._store(FINISH, **mine, status=status.value)
        self._job_ids_to_abort.pop(job.id or 0, None)
        if not stored:
            log.warning("job_held_by_another", job_id=job.id)

    async def _store(self, query: LiteralString, **values: Any) -> bool:
        """Until it is stored; a worker that stops leaves the job to those who rescue it."""
        while True:
            try:
                row = await self.app.connector.execute_query_one_async(query, **values)
            except ConnectorException as error:
                if self._stop_event.is_set():
                    raise
                log.warning("job_end_not_stored", reason=str(error.__cause__ or error).strip())
                await asyncio.sleep(1)
            else:
                return bool(row["stored"])


class Queue:
    """The worker's side of the queue in this process."""

    def __init__(
        self,
        url: str,
        *,
        concurrency: int,
        queues: tuple[str, ...] = ("turns",),
        grace_seconds: float = 30,
        most_connections: int = 6,
        at_ease: bool = True,
    ) -> None:
        """With `at_ease`, jobs are taken only while the event loop is; what may not wait goes without."""
        self._url = url
        self._concurrency = concurrency
        self._at_ease = at_ease
        self._queues = queues
        self._grace = grace_seconds
        self._app = procrastinate.App(
            connector=_Connector(
                conninfo=url,
                min_size=1,
                max_size=most_connections,
                timeout=CONNECTION_WAIT_SECONDS,
                configure=_each_statement_alone,
            )
        )
        self._worker: _Worker | None = None
        self._missing: set[tuple[int, int]] = set()
        self._stopping = asyncio.Event()
        self._drains = False
        self._tasks: list[asyncio.Task[None]] = []

    def handle(self, task: str, handler: Handler) -> None:
        """Run `handler(**arguments)` for jobs named `task`.

        It is cancelled (`asyncio.CancelledError`) when a person stops the job and when this process shuts
        down beyond its grace; returning normally from the first ends the job, raising hands it back.
        """
        self._app.task(name=task, retry=Backoff())(handler)

    @property
    def running(self) -> int:
        """How many jobs this process carries out at the moment."""
        return len(self._worker.held) if self._worker else 0

    @property
    def room(self) -> int:
        """How many it carries out at most at once."""
        return self._concurrency

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
            asyncio.create_task(self._prune(), name="queue pruning"),
        ]

    def drain(self) -> None:
        """Take no more jobs. The running ones go on to their ends, however long that is, under a heart that
        beats on; `stop` then finds none, or cuts them as ever."""
        self._drains = True
        self._stopping.set()
        if self._worker:
            self._worker.shutdown_graceful_timeout = None
            self._worker.stop()  # type: ignore[no-untyped-call]

    async def stop(self, *, at_once: bool = False) -> None:
        """Take no more jobs, give the running ones their grace, hand the rest back, then let the heart stop.

        `at_once` gives no grace: the running jobs are cancelled, and another worker takes them.
        The heart goes on beating through all of it: a drain that looks dead would be run twice. Where the
        database is away nothing can be handed back; then others rescue what this process leaves.
        """
        self._stopping.set()
        worker, *background = self._tasks
        if at_once:
            self._grace = 0
        if self._worker:
            self._worker.shutdown_graceful_timeout = self._grace
            self._worker.stop()  # type: ignore[no-untyped-call]
        if self._drains:
            # It has no limit of its own any more.
            done, _ = await asyncio.wait({worker}, timeout=self._grace)
            if not done and self._worker:
                await asyncio.wait({asyncio.ensure_future(self._worker.cut())}, timeout=LAST_WORDS_SECONDS)
        done, _ = await asyncio.wait({worker}, timeout=self._grace + LAST_WORDS_SECONDS)
        if not done:
            log.warning("queue_left_behind", jobs=len(self._worker.held) if self._worker else 0)
        for task in background:
            task.cancel()
        await asyncio.gather(*background, return_exceptions=True)
        with suppress(Exception):
            await self._app.close_async()

    async def _supervise(self) -> None:
        while not self._stopping.is_set():
            self._worker = _Worker(
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
            self._worker.at_ease = self._at_ease
            try:
                await self._worker.run()  # type: ignore[no-untyped-call]
            except Exception as error:
                log.warning("queue_worker_restarts", reason=str(error.__cause__ or error).strip())
            if not self._stopping.is_set():
                with suppress(asyncio.TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), 0.5)

    async def _beat(self) -> None:
        while True:
            try:
                await self._beat_on_one_connection()
            except Exception as error:  # whatever it is: a heart that stops has all its jobs run twice
                log.warning("queue_heartbeat_missed", reason=str(error) or type(error).__name__)
            await asyncio.sleep(BEAT_SECONDS)

    async def _beat_on_one_connection(self) -> None:
        async with asyncio.timeout(DEAD_AFTER_SECONDS / 2):
            connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        try:
            while True:
                # A connection that died in silence would be waited for longer than others wait for us.
                async with asyncio.timeout(DEAD_AFTER_SECONDS / 2):
                    await self._beat_once(connection)
                await asyncio.sleep(BEAT_SECONDS)
        finally:
            await connection.close()

    async def _beat_once(self, connection: psycopg.AsyncConnection[Any]) -> None:
        """Beat first, rescue second: a process that stalled must not rescue its own jobs."""
        if self._worker and self._worker.worker_id is not None:
            await connection.execute(BEAT, (self._worker.worker_id,))
            await self._hand_back_missing(connection, self._worker, self._worker.worker_id)
        cursor = await connection.execute("SELECT queue_rescue(%s)", (DEAD_AFTER_SECONDS,))
        row = await cursor.fetchone()
        if row and row[0]:
            log.warning("jobs_rescued", count=row[0])

    async def _hand_back_missing(
        self, connection: psycopg.AsyncConnection[Any], worker: _Worker, worker_id: int
    ) -> None:
        """Jobs this worker holds in the database only: their end, or their fetching, was lost on the way.

        Seen at two beats, so that none is taken for lost while it is on its way.
        """
        rows = await (await connection.execute(HELD, (worker_id,))).fetchall()
        missing = {(job_id, attempt) for job_id, attempt in rows if job_id not in worker.held}
        for job_id, attempt in missing & self._missing:
            log.warning("job_was_lost", job_id=job_id)
            lost = {"job": job_id, "holder": worker_id, "attempt": attempt, "wait": 0}
            await connection.execute(HAND_BACK, lost)
        self._missing = missing

    async def _prune(self) -> None:
        while True:
            try:
                async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as connection:
                    await prune_finished(connection)
            except Exception as error:
                log.warning("finished_jobs_not_pruned", reason=str(error))
            await asyncio.sleep(PRUNE_EVERY_SECONDS)
