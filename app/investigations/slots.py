"""Slots: at most N diagnoses at once, over all replicas.

A slot is a session-level advisory lock. The process that holds it runs a worker for one job on the diagnose
queue, so P1 comes first whoever has the slot. All slots of a process hang on one connection: when that ends
the server frees them, and another process has them within a second. One that stalls is ended by the server.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import psycopg
import structlog

from app.investigations.queueing import DIAGNOSE_QUEUE
from app.jobs import DEAD_AFTER_SECONDS, Handler, Queue

log = structlog.get_logger(__name__)

SLOTS = 0x534C4F54  # "SLOT": the first half of the lock's key; the second is the slot's number
CONNECT_SECONDS = 3
TICK_SECONDS = 0.4
HANDOVER_SECONDS = 0.3
"""Between having a slot and using it: the former holder notices its loss at once and stops its job."""
STALLED_SECONDS = 5
"""A session this silent is ended by the server: its process is stopped, or cut off."""
CONNECTIONS_OF_A_WORKER = 3

# A peer that vanished is noticed by the server within about four seconds.
OPTIONS = (
    f"-c idle_session_timeout={STALLED_SECONDS}s -c tcp_keepalives_idle=1 -c tcp_keepalives_interval=1 "
    "-c tcp_keepalives_count=3 -c application_name=sre-agent-slots"
)

Connection = psycopg.AsyncConnection[Any]


class Slots:
    """This process's share of the slots; `start` returns at once, whether or not one is free.

    `handlers` are by task name, as `Queue.handle` takes them.
    """

    def __init__(
        self,
        url: str,
        handlers: dict[str, Handler],
        *,
        most: int,
        grace_seconds: float = 30,
        queue: Callable[..., Queue] = Queue,
    ) -> None:
        self._url = url
        self._handlers = handlers
        self._most = most
        self._grace = grace_seconds
        self._queue = queue
        self._workers: dict[int, Queue] = {}
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self._drains = False

    @property
    def running(self) -> int:
        """How many diagnoses this process carries out at the moment."""
        return sum(worker.running for worker in self._workers.values())

    def drain(self) -> None:
        """Take no more diagnoses; each slot goes to another process when its diagnosis is over."""
        self._drains = True
        for worker in self._workers.values():
            worker.drain()

    @property
    def held(self) -> frozenset[int]:
        """The slots whose worker takes jobs here."""
        return frozenset(self._workers)

    async def start(self) -> None:
        self._task = asyncio.create_task(self._hold(), name="diagnose slots")

    async def stop(self) -> None:
        """Give the running diagnoses their grace, then the slots back."""
        self._stopping.set()
        if self._task:
            await self._task

    async def _hold(self) -> None:
        """Until stopped; the slots are given back when the last worker has ended, and not before.

        While the database is away for everybody nobody else has the slots either, so jobs go on for as long
        as others would not take them for dead.
        """
        lost_at = None
        while not self._stopping.is_set():
            try:
                async with self._connection() as connection:
                    await self._regain(connection)
                    lost_at = None
                    await self._seek(connection)
                    await self._end(at_once=False, while_holding=connection)
            except (OSError, TimeoutError, psycopg.Error) as error:
                log.warning("slots_lost", held=sorted(self._workers), reason=str(error).strip())
                if lost_at is None:
                    lost_at = self._now()
                    continue
                if self._now() - lost_at > DEAD_AFTER_SECONDS / 2:
                    await self._end(at_once=True)
                await asyncio.sleep(TICK_SECONDS)
        await self._end(at_once=True)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Connection]:
        connection = await psycopg.AsyncConnection.connect(
            self._url, autocommit=True, connect_timeout=CONNECT_SECONDS, options=OPTIONS
        )
        try:
            yield connection
        finally:
            with suppress(Exception):
                await connection.close()

    async def _seek(self, connection: Connection) -> None:
        """Take what slots are free, one in a round: replicas that start together share them."""
        while not self._stopping.is_set():
            if self._drains:
                await self._give_back(connection)
            elif (slot := await self._take_one(connection)) is not None:
                await self._open(slot, connection)
            # Who has more waits longer, so that who has none is first.
            await self._listen(connection, TICK_SECONDS + TICK_SECONDS / 2 * len(self._workers))

    async def _give_back(self, connection: Connection) -> None:
        """The slots whose diagnosis is over, one that was opened while the drain began included."""
        for slot, worker in list(self._workers.items()):
            worker.drain()
            if not worker.running:
                await self._end([slot], at_once=False, while_holding=connection)
                async with asyncio.timeout(CONNECT_SECONDS):
                    await connection.execute("SELECT pg_advisory_unlock(%s, %s)", (SLOTS, slot))

    async def _take_one(self, connection: Connection) -> int | None:
        for slot in range(self._most):
            if slot not in self._workers and await self._take(connection, slot):
                return slot
        return None

    async def _take(self, connection: Connection, slot: int) -> bool:
        async with asyncio.timeout(CONNECT_SECONDS):
            row = await connection.execute("SELECT pg_try_advisory_lock(%s, %s)", (SLOTS, slot))
            found = await row.fetchone()
        return bool(found and found[0])

    async def _open(self, slot: int, connection: Connection) -> None:
        await self._listen(connection, HANDOVER_SECONDS)
        worker = self._queue(
            self._url,
            concurrency=1,
            queues=(DIAGNOSE_QUEUE,),
            grace_seconds=self._grace,
            most_connections=CONNECTIONS_OF_A_WORKER,
            # Its look keeps the loop busy just then, and there are as few of them as there are slots.
            at_ease=False,
        )
        for task, handler in self._handlers.items():
            worker.handle(task, handler)
        self._workers[slot] = worker
        await worker.start()
        log.info("slot_taken", slot=slot)

    async def _listen(self, connection: Connection, seconds: float) -> None:
        """Wait, but notice at once when the connection ends; and show the server that we live."""
        ends = self._now() + seconds
        while (left := ends - self._now()) > 0 and not self._stopping.is_set():
            async for _ in connection.notifies(timeout=min(left, TICK_SECONDS)):
                pass
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.execute("SELECT 1")

    async def _regain(self, connection: Connection) -> None:
        lost = [slot for slot in self._workers if not await self._take(connection, slot)]
        for slot in lost:
            log.warning("slot_taken_by_another", slot=slot)
        await self._end(lost, at_once=True)

    async def _end(
        self,
        slots: list[int] | None = None,
        *,
        at_once: bool,
        while_holding: Connection | None = None,
    ) -> None:
        ending = [self._workers.pop(slot) for slot in (list(self._workers) if slots is None else slots)]
        work = asyncio.gather(*(worker.stop(at_once=at_once) for worker in ending))
        while while_holding and not work.done():
            # Silence would lose the slots while their last jobs run.
            with suppress(psycopg.Error, TimeoutError):
                await while_holding.execute("SELECT 1")
            await asyncio.wait({work}, timeout=TICK_SECONDS)
        await work
