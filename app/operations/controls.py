"""What whoever has OPS_AUTH_TOKEN may change in a running process: its log level, and that it takes new work.

The change comes first and its audit row as soon as the database takes it: a process is drained above all when
something is wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from app import telemetry
from app.operations.models import Drained, Level, LevelChanged
from app.storage.audit import write_audit
from app.storage.engine import begin
from app.storage.errors import DatabaseUnavailable

log = structlog.get_logger(__name__)

AGAIN_SECONDS = 5.0
AUDIT_SECONDS = 3.0


@dataclass
class Controls:
    """`drain` begins to drain, more than once if asked; `running` counts the jobs left."""

    engine: AsyncEngine
    instance: str
    drain_process: Callable[[], None]
    running: Callable[[], int]
    is_draining: Callable[[], bool]
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    _unwritten: set[asyncio.Task[None]] = field(default_factory=set, init=False)

    async def set_level(self, level: Level, *, trace_id: str | None) -> LevelChanged:
        was = telemetry.set_level(level)
        # At a level that is always told.
        log.warning("log_level_changed", was=was, now=level)
        audited = await self._audit("loglevel_change", f"{was} → {level}", trace_id)
        return LevelChanged(level=level, was=was, instance=self.instance, audited=audited)

    async def drain(self, *, trace_id: str | None) -> Drained:
        new = not self.is_draining()
        self.drain_process()
        audited = True
        if new:
            log.warning("draining", running=self.running(), asked="POST /ops/drain")
            audited = await self._audit("drain", f"{self.running()} jobs running", trace_id)
        return Drained(draining=True, running=self.running(), instance=self.instance, audited=audited)

    async def aclose(self) -> None:
        for task in self._unwritten:
            task.cancel()
        await asyncio.gather(*self._unwritten, return_exceptions=True)

    async def _audit(self, action: str, said: str, trace_id: str | None) -> bool:
        """Whether the row is written; else it is tried again until it is."""
        if await self._written(action, said, trace_id):
            return True
        task = asyncio.create_task(self._until_written(action, said, trace_id))
        self._unwritten.add(task)
        task.add_done_callback(self._unwritten.discard)
        return False

    async def _until_written(self, action: str, said: str, trace_id: str | None) -> None:
        while not await self._written(action, said, trace_id):
            await self.sleep(AGAIN_SECONDS)

    async def _written(self, action: str, said: str, trace_id: str | None) -> bool:
        try:
            async with asyncio.timeout(AUDIT_SECONDS), begin(self.engine) as connection:
                await write_audit(
                    connection, action, input_text=said, response_text=self.instance, trace_id=trace_id
                )
        except (DatabaseUnavailable, TimeoutError):
            log.warning("configuration_change_not_audited_yet", action=action)
            return False
        return True
