"""The newest runbooks at hand: indexed anew, off the event loop, when knowledge or the catalog changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.context.catalog import Catalog
from app.context.runbooks import Runbooks, runbooks_of
from app.knowledge.models import Knowledge


class RunbookShelf:
    """`knowledge` and `catalog` give what is in force now; either may raise or be empty before the start."""

    def __init__(self, knowledge: Callable[[], Knowledge], catalog: Callable[[], Catalog]) -> None:
        self._knowledge = knowledge
        self._catalog = catalog
        self._made_of: tuple[Knowledge, Catalog] | None = None
        self._index = Runbooks()
        self._making = asyncio.Lock()

    @property
    def latest(self) -> Runbooks:
        """The index as it was last made, for who cannot wait; empty before the first `current`."""
        return self._index

    async def current(self) -> Runbooks:
        """The index over the runbooks in force."""
        async with self._making:
            knowledge, catalog = self._knowledge(), self._catalog()
            made_of = self._made_of
            if made_of is None or made_of[0] is not knowledge or made_of[1] is not catalog:
                linked = {service.name: service.runbooks for service in catalog if service.runbooks}
                self._index = await asyncio.to_thread(_made, knowledge, linked)
                self._made_of = (knowledge, catalog)
            return self._index


def _made(knowledge: Knowledge, linked: dict[str, tuple[str, ...]]) -> Runbooks:
    index = runbooks_of(knowledge, linked)
    index.find(None, "")
    return index
