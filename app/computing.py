"""What computes for long, in a process of its own: the event loop answers webhooks meanwhile.

A thread would not do. It takes the interpreter from the loop, a few milliseconds each time the loop wants it
back, and a storm of alerts waits that long at every step of every alert.
"""

from __future__ import annotations

import asyncio
import copyreg
from collections.abc import Callable
from functools import cached_property
from types import MappingProxyType
from typing import Any, TypeVar, TypeVarTuple

import structlog
from anyio import BrokenWorkerProcess, CapacityLimiter, to_process

from app.giving_way import give_way
from app.standing_back import stand_back

log = structlog.get_logger(__name__)

Given = TypeVarTuple("Given")
T = TypeVar("T")


def read_only(mapping: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(mapping)


# Read-only mappings travel as such: pickle knows no name for their class.
copyreg.pickle(MappingProxyType, lambda mapping: (read_only, (dict(mapping),)))


class Beside:
    """One process, started when it is first needed and ended after five idle minutes, or with this one."""

    @cached_property
    def _turns(self) -> CapacityLimiter:
        return CapacityLimiter(1)

    async def __call__(self, compute: Callable[[*Given], T], *given: *Given) -> T:
        """`compute(*given)`, one at a time. It is found by its name, and what goes in and out is pickled.

        Raises what `compute` raises. When the process is killed, it is computed here.
        """
        try:
            await give_way()
            return await to_process.run_sync(_behind, compute, *given, limiter=self._turns)
        except BrokenWorkerProcess as error:
            log.warning("computing_process_died", reason=str(error))
            return await asyncio.to_thread(compute, *given)


def _behind(compute: Callable[[*Given], T], *given: *Given) -> T:
    """Beside the loop that answers webhooks and the database, which may need the same processor."""
    stand_back()
    return compute(*given)
