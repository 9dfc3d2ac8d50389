"""Messages of one thread are taken one after the other, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from weakref import WeakValueDictionary


class Lanes:
    """A lane for each key while somebody is in it; whoever comes first is through first.

    Without it the second of two questions could be stored first: its writer may be known and the other's not,
    or its connection to the database be the quicker one.
    """

    def __init__(self) -> None:
        self._lanes: WeakValueDictionary[Hashable, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, key: Hashable) -> AsyncIterator[None]:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = asyncio.Lock()
        async with lane:
            yield
