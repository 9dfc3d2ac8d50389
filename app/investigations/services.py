"""What intake asks about services, and the catalog's answers to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from app.context.catalog import Catalog


@dataclass(frozen=True)
class Known:
    """A service by the catalog's name for it; `depends_on` are the services it needs, by theirs."""

    name: str
    tier: int | None = None
    depends_on: tuple[str, ...] = ()


class Services(Protocol):
    def resolve(self, name: str) -> Known | None:
        """The service of that name or alias; None when it is not known."""


@dataclass(frozen=True)
class CatalogServices:
    """`catalog` gives the newest one: it is read again while the process runs."""

    catalog: Callable[[], Catalog]

    def resolve(self, name: str) -> Known | None:
        catalog = self.catalog()
        service = catalog.get(name)
        return Known(service.name, service.tier, catalog.depends_on(service.name)) if service else None
