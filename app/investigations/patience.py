"""A deadline for others: what we ourselves were late does not count against them.

A source that answered in time, while this process was busy with something else, is no gap in the evidence.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")

ROUNDS = 30
"""In so many parts a deadline is counted; each counts as itself, however late the event loop ends it."""


async def in_time(answer: Awaitable[T], seconds: float) -> T:
    """The answer, if it comes within `seconds` of listening; else it is cancelled.

    Raises:
        TimeoutError: it did not come.
    """
    asked = asyncio.ensure_future(answer)
    try:
        for _ in range(ROUNDS):
            await asyncio.wait({asked}, timeout=seconds / ROUNDS)
            if asked.done():
                return asked.result()
        raise TimeoutError
    finally:
        asked.cancel()
