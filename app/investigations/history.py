"""What happened before: our own investigations and PagerDuty's, as a look and as the tools ask for them."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import AgentError
from app.investigations import overview
from app.investigations.evidence import Gap
from app.investigations.gather import Before, PastTime
from app.investigations.models import Investigation, Place
from app.sources.pagerduty import OnCall as Turn
from app.sources.pagerduty import PagerDutyReader
from app.storage.engine import begin

MOST = 20
NO_SERVICE = "ours are found by their service, and the alert names none"
WORD = re.compile(r"[a-z]{3,}")
LinkOf = Callable[[str, str], str | None]


@dataclass(frozen=True)
class History:
    """`link` is the address of a thread by channel and time; `pagerduty` None when it is not configured."""

    engine: AsyncEngine
    link: LinkOf = lambda channel, ts: None
    pagerduty: PagerDutyReader | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def past(
        self, service: str | None, title: str
    ) -> Sequence[tuple[datetime, str, str | None, str | None]]:
        """(when, title, cause, link) of our earlier investigations of a service, those like this one only
        when a title is given; newest first."""
        if service is None:
            return ()
        async with begin(self.engine) as connection:
            found = await overview.past(connection, service, before=self.clock(), limit=MOST)
        return [
            (each.at, each.title, each.cause, self._link(each.place))
            for each in found
            if not title or alike(each.title, title)
        ]

    async def before(self, investigation: Investigation) -> Before:
        """Earlier incidents like this one, newest first. PagerDuty's silence is a gap beside ours."""
        service = investigation.service_name
        ours, theirs = await asyncio.gather(
            self._ours(service, investigation), self._theirs(investigation), return_exceptions=True
        )
        if isinstance(ours, BaseException):
            raise ours
        gaps = () if service else (Gap("past incidents", NO_SERVICE),)
        if isinstance(theirs, BaseException):
            if not isinstance(theirs, AgentError):
                raise theirs
            gaps, theirs = (*gaps, Gap("past incidents", theirs.sentence)), ()
        known = {each.at.replace(second=0, microsecond=0) for each in ours}
        more = [each for each in theirs if each.at.replace(second=0, microsecond=0) not in known]
        found = sorted((*ours, *more), key=lambda each: each.at, reverse=True)
        return Before(tuple(found[:MOST]), gaps)

    async def _ours(self, service: str | None, investigation: Investigation) -> tuple[PastTime, ...]:
        rows = await self.past(service, investigation.title)
        return tuple(PastTime(*row) for row in rows if row[0] < investigation.created_at)

    async def _theirs(self, investigation: Investigation) -> tuple[PastTime, ...]:
        incident = investigation.paged
        if self.pagerduty is None or incident.source != "pagerduty":
            return ()
        found = await self.pagerduty.past(incident.incident_key)
        causes = await self.pagerduty.resolutions(found[:5])
        padded = [*causes, *[None] * (len(found) - len(causes))]
        return tuple(
            PastTime(datetime.fromtimestamp(each.at, UTC), each.title, cause, each.link)
            for each, cause in zip(found, padded, strict=True)
        )

    def _link(self, place: Place | None) -> str | None:
        return self.link(place.channel_id, place.thread_ts) if place else None


@dataclass(frozen=True)
class OnCall:
    """Who is asked first: for the look's headline, and to address them by name."""

    pagerduty: PagerDutyReader
    policy: str | None = None

    async def now(self, investigation: Investigation) -> str:
        """Their names."""
        return names_of(await self.first(investigation))

    async def first(self, investigation: Investigation, *, emails: bool = False) -> Sequence[Turn]:
        """Those of level 1; of the default policy when PagerDuty does not know the service. `emails` asks for
        the addresses too, by which the place where it is shown may know them."""
        service, ask = investigation.service_name, partial(self.pagerduty.on_calls, emails=emails)
        try:
            found = await ask(service=service) if service else ()
        except AgentError:
            if self.policy is None:
                raise
            found = ()
        found = found or (await ask(policy_id=self.policy) if self.policy else ())
        return [each for each in found if each.level == min(other.level for other in found)]


def names_of(turns: Sequence[Turn]) -> str:
    return ", ".join(dict.fromkeys(each.person for each in turns))


def alike(one: str, other: str) -> bool:
    """Whether two titles complain of the same: at least half of the shorter one's telling words."""
    mine, theirs = (frozenset(WORD.findall(each.lower())) for each in (one, other))
    return bool(mine and theirs) and 2 * len(mine & theirs) >= min(len(mine), len(theirs))
