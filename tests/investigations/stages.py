"""The stages of an investigation without a model and without sources, as `Parts` builds them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent.budget import PostgresBudget, WindowLimits
from app.agent.prices import Prices
from app.agent.run import Means
from app.agent.tally import RunLimits
from app.escalation.escalation import Escalation
from app.investigations.diagnose import Diagnoser
from app.investigations.gather import Gatherer, Sources
from app.investigations.intents import StoredIntents
from app.investigations.look import Looker
from app.investigations.means import DiagnoseMeans
from app.investigations.questions import Signals
from app.investigations.surface import IncidentSurface
from app.investigations.updating import Updater
from app.investigations.wrapping import Wrapping
from app.settings import EscalationSettings
from app.tools.catalogue import Catalogue
from app.tools.masking import mask
from tests.fakes.pagerduty_escalation import ROUTING_KEY, TOKEN, PagerDutyWire
from tests.investigations.conftest import SHOP

CHANNEL = "C0INCIDENTS"


async def _usual() -> Signals:
    return Signals()


async def _unasked(_: str | None) -> Any:
    raise AssertionError("no model, no knowledge")


def diagnoser(engine: AsyncEngine, surface: IncidentSurface, wrapping: Wrapping) -> Diagnoser:
    means = DiagnoseMeans(
        None,
        Means(Catalogue(), PostgresBudget(engine, WindowLimits()), Prices()),
        RunLimits(),
        knowledge=_unasked,
    )
    return Diagnoser(engine, surface, CHANNEL, means, wrapping)


def updater(engine: AsyncEngine, surface: IncidentSurface, wrapping: Wrapping, **more: Any) -> Updater:
    looker = Looker(engine, surface, CHANNEL, Gatherer(Sources(), lambda: SHOP, _usual))
    known = {"ttl_seconds": 600, **more}
    return Updater(engine, surface, CHANNEL, wrapping, looker, diagnoser(engine, surface, wrapping), **known)


def calling(engine: AsyncEngine, wire: PagerDutyWire, **more: Any) -> Wrapping:
    """Calls people through a PagerDuty on the wire."""
    settings = EscalationSettings(
        _env_file=None,
        PAGERDUTY_API_TOKEN=TOKEN,
        PAGERDUTY_ROUTING_KEY=ROUTING_KEY,
        PAGERDUTY_API_URL=wire.url,
        PAGERDUTY_EVENTS_URL=wire.url,
    )

    async def at_once(_seconds: float) -> None:
        return None

    def escalation(investigation_id: UUID) -> Escalation:
        intents = StoredIntents(engine, investigation_id)
        return Escalation(settings, intents, mask=mask, from_address="sre@acme.example", sleep=at_once)

    return Wrapping(engine, escalation, **more)
