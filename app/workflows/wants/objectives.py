"""What an SLO workshop wants: the baseline of a service, its journeys' history, a backtest, objectives."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.context.models import Service, Source
from app.errors import AgentError
from app.workflows.facts import Asked, Found, Picture
from app.workflows.in_words import seconds, slug
from app.workflows.wants import proposing
from app.workflows.wants.answers import answer, facts_of, journeys_of, known, route_of
from app.workflows.wants.backtest import Tested, backtest
from app.workflows.wants.counts import Counts, bucket_for, seconds_of
from app.workflows.wants.journeys import journeys_in, route_for, routes_in
from app.workflows.wants.measured import SECONDS, Measured, Traffic
from app.workflows.wants.objective import Journey, slo
from app.workflows.wants.reads import Reads, sources
from app.workflows.wants.saying import amount_of, day, percent, period, time_of
from app.workflows.wants.slis import ALL, Slis, slis_of
from app.workflows.wants.standard import Standard

MOST_ROUTES = 20


@dataclass(frozen=True)
class Objectives:
    """The lookups `baseline`, `matches`, `history`, `backtest` and `slos`."""

    reads: Reads
    measured: Measured | None

    @classmethod
    def of(cls, reads: Reads) -> Objectives:
        return cls(reads, Measured(reads.prometheus) if reads.prometheus else None)

    # -- lookups ---------------------------------------------------------------------------------------------

    async def baseline(self, asked: Asked) -> Found:
        """The journeys and routes that are known, and what the service as a whole delivered."""
        if asked.service is None:
            return Found()
        service = self.reads.service(asked)
        page, blueprint = self.reads.page(service)
        standard, tier = await self.reads.standard(asked, service)
        traffic, notice = await self._traffic(asked, asked.service)
        routes = list(traffic.routes if traffic else routes_in(page))[:MOST_ROUTES]
        journeys = list(journeys_in(page) or routes[:3])
        value = {
            "journeys": journeys,
            "routes": routes,
            "said": _said_of(traffic, standard),
            "dependencies": await self._together(asked, service),
            "format": "prometheus" if self.reads.prometheus else "datadog",
            "runbook": next(iter(service.runbooks), None) if service else None,
            "blueprint": blueprint.url or blueprint.path if blueprint else None,
        }
        return Found(known(value), sources(blueprint, tier, self._metrics(traffic, asked.service)), notice)

    async def matches(self, asked: Asked) -> Found:
        """The journeys that were named, each with the route that carries it, where that can be told."""
        routes = facts_of(asked, "baseline").get("routes", [])
        return Found(
            {
                "journeys": [
                    known({"name": name, "route": route_for(name, routes)}) for name in journeys_of(asked)
                ]
            }
        )

    async def history(self, asked: Asked) -> Found:
        """What each journey delivered, and the targets to propose for it."""
        standard, _ = await self.reads.standard(asked, self.reads.service(asked))
        journeys, _, notice = await self._journeys(asked)
        found = []
        for each in journeys:
            good = proposing.availability(standard, each.counts)
            fast = proposing.latency(standard, each.speeds, each.counts)
            measured = ", ".join(time_of(seconds_of(bound)) for bound in each.speeds)
            said = {
                "name": each.name,
                "target": good.target,
                "target_reason": good.reason,
                "threshold": fast.threshold,
                "share": fast.share.target,
                "speed": _speed(each.name, fast),
                "buckets": f"Its histogram has buckets up to {measured}." if measured else None,
            }
            found.append(known(said))
        return Found({"journeys": found}, notice=notice)

    async def backtest(self, asked: Asked) -> Found:
        """What the targets would have meant, in words, as rows, and as a chart of the tightest budget."""
        journeys, traffic, _ = await self._journeys(asked)
        tested: list[tuple[str, Tested]] = []
        untested: list[str] = []
        for each in journeys:
            for sli, target, counts in await self._to_test(asked, each, traffic):
                result = backtest(counts, target)
                if result is None:
                    untested.append(f"{each.name} {sli}")
                else:
                    tested.append((f"{each.name} {sli}", result))
        rows = [_row(name, each) for name, each in tested]
        about = period(traffic.whole) if traffic else ""
        value = {
            "said": _said(rows, untested, about),
            "rows": rows,
            "period": about or None,
            # What was not tried on the past is not asked about; it goes out as a draft.
            "verdict": None if rows else "draft",
        }
        return Found(known(value), pictures=await self._pictures(tested))

    async def slos(self, asked: Asked) -> Found:
        """The objectives as files want them: one for each journey and SLI."""
        service = asked.service or "service"
        measures, tier = await self._measures(asked), getattr(self.reads.service(asked), "tier", None)
        journeys, _, _ = await self._journeys(asked)
        found = []
        for each in journeys:
            target = answer(asked, "availability_target", each.name)
            found.append(slo(service, tier, each, measures, target=target))
            share = answer(asked, "latency_target", each.name)
            threshold = answer(asked, "latency_threshold", each.name)
            if share is not None and threshold is not None:
                limit = seconds(threshold)
                found.append(slo(service, tier, each, measures, target=share, threshold=limit))
        return Found({"slos": found, "names": [each["name"] for each in found]})

    # -- what they read --------------------------------------------------------------------------------------

    async def _measures(self, asked: Asked) -> Slis:
        return slis_of(await self.reads.knowledge(asked.revision))

    async def _traffic(self, asked: Asked, service: str) -> tuple[Traffic | None, str | None]:
        """What Prometheus has, or the sentence that says why there is nothing."""
        if self.measured is None:
            return (
                None,
                "No Prometheus is configured, so I propose by tier alone and cannot test the targets.",
            )
        try:
            async with asyncio.timeout(SECONDS):
                measures = await self._measures(asked)
                return await self.measured.traffic(measures, service, self.reads.clock()), None
        except TimeoutError:
            return None, f"Prometheus did not give the last 30 days within {SECONDS:g} seconds."
        except AgentError as error:
            return None, f"I know no history of {service}: {error.sentence}"

    async def _journeys(self, asked: Asked) -> tuple[list[Journey], Traffic | None, str | None]:
        """The journeys with their history; a notice only where there could have been one."""
        names = journeys_of(asked)
        if asked.service is None:
            return [Journey(name, None, Counts(0), {}) for name in names], None, None
        traffic, _ = await self._traffic(asked, asked.service)
        routes = {name: route_of(asked, name) for name in names}
        speeds = await asyncio.gather(*(self._speeds(asked, routes[name], traffic) for name in names))
        empty = [
            name for name in names if traffic and routes[name] and not traffic.of(routes[name] or ALL).counts
        ]
        notice = f"Prometheus has no requests of {', '.join(empty)}; is the route right?" if empty else None
        journeys = [
            Journey(name, routes[name], traffic.of(routes[name] or ALL) if traffic else Counts(0), speed)
            for name, speed in zip(names, speeds, strict=True)
        ]
        return journeys, traffic, notice

    async def _speeds(self, asked: Asked, route: str | None, traffic: Traffic | None) -> Mapping[str, float]:
        if self.measured is None or traffic is None or asked.service is None:
            return {}
        try:
            async with asyncio.timeout(SECONDS):
                measures = await self._measures(asked)
                return await self.measured.speeds(measures, asked.service, route or ALL, traffic.span)
        except (TimeoutError, AgentError):
            return {}  # there may be no histogram; the tier's threshold is proposed then

    async def _to_test(
        self, asked: Asked, journey: Journey, traffic: Traffic | None
    ) -> list[tuple[str, float, Counts]]:
        """The SLIs of a journey that have a target, each with its counts."""
        found = []
        if (target := answer(asked, "availability_target", journey.name)) is not None:
            found.append(("availability", float(target), journey.counts))
        share = answer(asked, "latency_target", journey.name)
        threshold = answer(asked, "latency_threshold", journey.name)
        if share is None or threshold is None:
            return found
        bucket = bucket_for(seconds(threshold), list(journey.speeds))
        counts = Counts(0)
        if self.measured is not None and traffic is not None and bucket is not None and asked.service:
            try:
                async with asyncio.timeout(SECONDS):
                    counts = await self.measured.slowness(
                        await self._measures(asked), asked.service, journey.route or ALL, bucket, traffic.span
                    )
            except (TimeoutError, AgentError):
                counts = Counts(0)
        return [*found, ("latency", float(share), counts)]

    async def _together(self, asked: Asked, service: Service | None) -> str | None:
        """What the dependencies' tiers allow."""
        if service is None:
            return None
        catalog, targets = self.reads.blueprints().catalog, {}
        for name in catalog.depends_on(service.name):
            standard, _ = await self.reads.standard(asked, catalog.get(name))
            targets[name] = standard.availability
        return proposing.together(targets) or None

    async def _pictures(self, tested: list[tuple[str, Tested]]) -> tuple[Picture, ...]:
        drawn = [(name, each) for name, each in tested if len(each.left) > 1]
        if self.reads.chart is None or not drawn:
            return ()
        name, worst = max(drawn, key=lambda pair: pair[1].used)
        title = f"Error budget left: {name} at {percent(worst.target)}"
        try:
            content = await self.reads.chart(title, "ratio", worst.left)
        except AgentError:
            return ()  # the numbers stand in the text
        return (Picture(f"error-budget-{slug(name)}.png", title, content),)

    def _metrics(self, traffic: Traffic | None, service: str) -> Source | None:
        if traffic is None or self.reads.prometheus is None:
            return None
        return Source(kind="metrics", title=f"Prometheus: requests of {service}", path="prometheus")


# -- in words -----------------------------------------------------------------------------------------------


def _speed(journey: str, fast: proposing.Threshold) -> str:
    """What is taken for a journey's speed without asking, and how to take something else."""
    if fast.threshold is None or fast.share.target is None:
        return ""
    reason, other = fast.share.reason, "300ms" if fast.threshold == "500ms" else "500ms"
    return (
        f"For its speed I take {percent(fast.share.target)} within {fast.threshold}: "
        f"{reason[:1].lower()}{reason[1:]} Another one: `latency threshold of {journey}: {other}`."
    )


def _row(name: str, each: Tested) -> dict[str, Any]:
    return known(
        {
            "name": name,
            "target": percent(each.target),
            "delivered": percent(each.delivered),
            "used": f"{100 * each.used:,.0f} %",
            "kept": each.kept,
            "spent": day(each.spent_at) if each.spent_at is not None else None,
            "pages": each.pages,
            "tickets": each.tickets,
            "worst": f"{day(each.worst[0])} ({100 * each.worst[1]:,.0f} % of the budget)"
            if each.worst
            else None,
        }
    )


def _said(rows: list[dict[str, Any]], untested: list[str], about: str) -> str:
    lines = [f"Over {about} these targets would have meant:"] if rows else []
    for each in rows:
        spent = f", all of it by {each['spent']}" if "spent" in each else ""
        pages = f"{each['pages']} page{'s' * (each['pages'] != 1)}"
        worst = f"; worst day {each['worst']}" if "worst" in each else ""
        lines.append(
            f"- **{each['name']}** at {each['target']}: delivered {each['delivered']}, "
            f"{each['used']} of the error budget used{spent}; {pages}{worst}"
        )
    if untested:
        lines.append(f"There is no history to test these against: {', '.join(untested)}.")
    return "\n".join(lines) or "There is no target to test."


def _said_of(traffic: Traffic | None, standard: Standard) -> str | None:
    wanted = standard.availability
    asks = f"{standard.named.capitalize()} asks for {percent(wanted)} per journey." if wanted else ""
    if traffic is None or traffic.whole.delivered is None:
        return asks or None
    whole = traffic.whole
    return (
        f"Over {period(whole)} it answered {percent(whole.delivered or 0)} of {amount_of(whole.valid)} "
        f"requests well. {asks}"
    ).strip()
