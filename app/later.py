"""What no start waits for: libraries and rooms that are needed only once there is work to do.

Half of a start would be importing them. They are imported when the doors are open, all by one mechanism: a
`Later` says what is to be made of them, the runtime begins it as soon as it is ready, and work that comes
sooner waits for it. Imports inside the function that makes it are all there is of that in the rooms.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Later(Generic[T]):
    """Something that is made once, in a thread, when it is first asked for."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._making: asyncio.Task[T] | None = None

    @property
    def is_begun(self) -> bool:
        return self._making is not None

    def begin(self) -> asyncio.Task[T]:
        if self._making is None:
            self._making = asyncio.create_task(asyncio.to_thread(self._make))
        return self._making

    async def get(self) -> T:
        """It, when it is made; whoever no longer waits does not end the making.

        Raises:
            Exception: as the making did, for everyone who asks.
        """
        return await asyncio.shield(self.begin())
