"""What the catalog knows of a service, for workflows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.context.catalog import Catalog
from app.context.models import Source
from app.context.resolve import resolve
from app.workflows.facts import Asked, Found
from app.workflows.values import anything


@dataclass(frozen=True)
class OfService:
    """The lookup `service`, and the names of services as answers."""

    catalog: Callable[[], Catalog]

    async def __call__(self, asked: Asked) -> Found:
        catalog = self.catalog()
        service = catalog.get(asked.service)
        if service is None:
            return Found({"name": asked.service} if asked.service else None)
        known = {
            "name": service.name,
            "tier": service.tier,
            "team": service.team,
            "repo": service.repo,
            "slack_channel": service.slack_channel,
            "depends_on": list(catalog.depends_on(service.name)),
            "callers": list(catalog.dependents(service.name)),
            "runbooks": list(service.runbooks),
            "dashboards": list(service.dashboards),
        }
        said = {name: value for name, value in known.items() if value not in (None, [])}
        where = Source(kind="catalog", title="Catalog", path=service.declared_in or "services.yaml")
        return Found(said, sources=(where,))

    def name(self, words: str) -> str | None:
        """`ServiceNames` of the catalog; without a catalog whatever looks like a name."""
        catalog = self.catalog()
        if not len(catalog):
            return anything(words)
        if (known := catalog.get(words)) is not None:
            return known.name
        found = resolve(words, catalog)
        return found.service.name if found.service and found.how in ("name", "alias") else None
