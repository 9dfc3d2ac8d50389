"""What wants are looked up from: the team's own documents and clients that can only read."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.context.blueprints import Blueprints
from app.context.models import Service, Source
from app.context.repos import Repos
from app.context.runbooks import Runbooks
from app.knowledge.models import Knowledge
from app.sources.prometheus import Prometheus
from app.workflows.facts import Asked
from app.workflows.wants.standard import Standard, standard_of

Chart = Callable[[str, str, Sequence[tuple[float, float]]], Awaitable[bytes]]
"""Draws points: title, unit, (time, value). It may raise `AgentError`."""
Past = Callable[[str | None, str], Awaitable[Sequence[tuple[datetime, str, str | None, str | None]]]]
"""Earlier investigations of a service, those like a title: when, title, cause, link; newest first."""


@dataclass(frozen=True)
class Reads:
    """What is None is not configured: its part of a fact is missing, and said. `knowledge` is that of a
    revision, so that a conversation is held against one standard from its first question to its file."""

    knowledge: Callable[[str | None], Awaitable[Knowledge]]
    blueprints: Callable[[], Blueprints] = Blueprints
    prometheus: Prometheus | None = None
    repos: Repos | None = None
    runbooks: Callable[[], Awaitable[Runbooks]] | None = None
    past: Past | None = None
    chart: Chart | None = None
    clock: Callable[[], float] = time.time

    def service(self, asked: Asked) -> Service | None:
        return self.blueprints().catalog.get(asked.service)

    def page(self, service: Service | None) -> tuple[str, Source | None]:
        """The text of a service's blueprint, empty when there is none."""
        blueprints = self.blueprints()
        path = blueprints.page(service) if service else None
        if service is None or path is None:
            return "", None
        source = blueprints.source("blueprint", path, f"Blueprint of {service.name}")
        return blueprints.tree.files[path], source

    async def standard(self, asked: Asked, service: Service | None) -> tuple[Standard, Source | None]:
        """What the service's tier owes; that of no tier asks for nothing."""
        knowledge = await self.knowledge(asked.revision)
        document = knowledge.tiers.get(service.tier) if service and service.tier else None
        if service is None or document is None:
            return Standard(service.tier if service else None), None
        source = Source(
            kind="tier",
            title=document.title,
            path=document.path,
            url=knowledge.url(document),
            revision=knowledge.revision,
        )
        return standard_of(service.tier, document.text), source


def sources(*found: Source | None) -> tuple[Source, ...]:
    return tuple(each for each in found if each is not None)
