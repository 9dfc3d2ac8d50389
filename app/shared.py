"""What the doors and those who do the work share, built from the settings: documents, clients, the desk."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Self, TextIO
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent.budget import WindowLimits
from app.agent.models import Models
from app.agent.own_prices import Price, own_prices
from app.context.library import Library
from app.context.repos import Repos
from app.escalation.escalation import Escalation
from app.giving_way import RightOfWay
from app.investigations.desk import StoredDesk
from app.investigations.intake import Intake, StormLimits
from app.investigations.intents import StoredIntents
from app.investigations.services import CatalogServices
from app.knowledge.keeping import Keeper
from app.settings import Settings
from app.sources.clients import Clients
from app.tools.channel_history import Channels
from app.tools.masking import mask

LinkOf = Callable[[str, str], str | None]


@dataclass(frozen=True)
class Shared:
    """What a process has from its start on, whatever place it is shown in."""

    settings: Settings
    engine: AsyncEngine
    keeper: Keeper
    library: Library
    repos: Repos
    clients: Clients
    models: Models | None
    prices: Mapping[str, Price]
    """Those of MODEL_PRICES."""
    channels: Channels | None = None
    link: LinkOf = lambda channel, ts: None
    out: Callable[[], TextIO] = lambda: sys.stdout
    """Where the line of an incident's report goes."""
    way: RightOfWay = field(default_factory=RightOfWay)
    """Of webhooks, before what is done about them."""

    @classmethod
    def of(
        cls,
        settings: Settings,
        engine: AsyncEngine,
        documents: tuple[Keeper, Library, Repos],
        models: Models | None,
        *,
        channels: Channels | None = None,
        link: LinkOf = lambda channel, ts: None,
        out: Callable[[], TextIO] = lambda: sys.stdout,
    ) -> Self:
        """Raises AgentError when a file that the settings name cannot be used."""
        keeper, library, repos = documents
        prices = own_prices(settings.model.prices)
        clients = Clients.of(
            settings.sources,
            settings.git,
            settings.alerts,
            settings.escalation,
            known=lambda name: service.name if (service := library.catalog.get(name)) else None,
        )
        return cls(settings, engine, keeper, library, repos, clients, models, prices, channels, link, out)

    def windows(self) -> WindowLimits:
        """What all replicas together may spend an hour and a day."""
        budgets = self.settings.budgets
        return WindowLimits(
            usd_per_hour=Decimal(str(budgets.usd_per_hour)),
            usd_per_day=Decimal(str(budgets.usd_per_day)),
            tokens_per_hour=budgets.max_tokens_per_hour,
        )

    def intake(self) -> Intake:
        alerts = self.settings.alerts
        return Intake(
            self.engine,
            CatalogServices(lambda: self.library.catalog),
            critical=frozenset(each.name for each in alerts.services if each.critical),
            limits=StormLimits(alerts.storm_incidents, alerts.storm_window_seconds),
            way=self.way,
        )

    def desk(self) -> StoredDesk:
        return StoredDesk(self.engine, self._escalation, self.link)

    def _escalation(self, investigation_id: UUID) -> Escalation:
        return Escalation(
            self.settings.escalation,
            StoredIntents(self.engine, investigation_id),
            mask=mask,
            from_address=self.settings.escalation.pagerduty_from,
        )

    def hosts(self) -> frozenset[str]:
        return self.library.catalog.hosts()
