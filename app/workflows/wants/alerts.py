"""Alert rules as Prometheus evaluates them, and how often they fired: read for reviews and analyses."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from statistics import median

from app.errors import AgentError
from app.signals.models import Series
from app.sources.prometheus import AlertRule
from app.workflows.wants.counts import DAY
from app.workflows.wants.reads import Reads
from app.workflows.wants.rules import Fired

SECONDS = 10.0
DAYS = 28
STEP = 900.0


async def known_rules(reads: Reads) -> tuple[tuple[AlertRule, ...], str | None]:
    """The rules, or none and the sentence that says why."""
    if reads.prometheus is None:
        return (), "No Prometheus is configured, so I know no alert rules."
    try:
        async with asyncio.timeout(SECONDS):
            return await reads.prometheus.rules(), None
    except TimeoutError:
        return (), f"Prometheus did not give its alert rules within {SECONDS:g} seconds."
    except AgentError as error:
        return (), f"I know no alert rules: {error.sentence}"


async def fired(reads: Reads) -> Mapping[str, Fired]:
    """How often each alert fired over four weeks, by its name; nothing where that is not recorded."""
    if reads.prometheus is None:
        return {}
    end = reads.clock() // STEP * STEP
    query = 'max by (alertname) (ALERTS{alertstate="firing"})'
    try:
        async with asyncio.timeout(SECONDS):
            series = await reads.prometheus.query_range(query, end - DAYS * DAY, end, STEP)
    except (TimeoutError, AgentError):
        return {}
    return firings(series, STEP, DAYS)


def firings(series: Iterable[Series], step: float, days: float) -> Mapping[str, Fired]:
    """Runs of points a step apart are one firing. Pure."""
    found = {}
    for each in series:
        runs: list[list[float]] = []
        for at, _ in each.points:
            if runs and at - runs[-1][-1] <= 1.5 * step:
                runs[-1].append(at)
            else:
                runs.append([at])
        lasted = median([run[-1] - run[0] for run in runs]) if runs else 0.0
        found[each.labels.get("alertname", "")] = Fired(len(runs), lasted, days)
    return found
