"""Alert rules, as Prometheus evaluates them and as repos keep them, and how often they fired."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median

from app.context.models import Service, Source
from app.errors import AgentError
from app.signals.models import Series
from app.sources.prometheus import AlertRule
from app.workflows.wants.counts import DAY
from app.workflows.wants.reads import Reads
from app.workflows.wants.rule_files import HOLDS, SUFFIXES, is_one, rules_in
from app.workflows.wants.rules import Fired

SECONDS = 10.0
DAYS = 28
STEP = 900.0
MOST_FILES = 40
MOST_UNREAD = 3


@dataclass(frozen=True)
class KnownRules:
    """All alert rules that could be found, those that Prometheus evaluates first. `evaluated` are the names
    of these, None when it told none; `written` are the files that rules were found in, by the rule's name;
    `notice` says what could not be looked at."""

    rules: tuple[AlertRule, ...] = ()
    evaluated: frozenset[str] | None = None
    written: Mapping[str, Source] = field(default_factory=dict)
    notice: str | None = None

    @property
    def is_told(self) -> bool:
        """Whether a rule that is not among them is likely not to exist."""
        return self.evaluated is not None or bool(self.written)


async def known_rules(reads: Reads, service: Service | None) -> KnownRules:
    """What Prometheus evaluates, and what is written in the service's repo and in that of the blueprints."""
    (told, notice), (files, unread) = await asyncio.gather(_evaluated(reads), _files(reads, service))
    evaluated = frozenset(each.name for each in told or ())
    written: dict[str, Source] = {}
    rules = list(told or ())
    for text, source in files:
        try:
            found = rules_in(text)
        except ValueError:
            unread.append(f"The alert rules in {source.title} could not be read; they are no plain YAML.")
            continue
        rules += [each for each in found if each.name not in evaluated]
        written = {each.name: source for each in found} | written
    if notice and written:
        notice = f"{notice} I go by the rules that are written in the repos."
    said = " ".join(filter(None, (notice, *unread[:MOST_UNREAD])))
    return KnownRules(tuple(rules), None if told is None else evaluated, written, said or None)


async def _evaluated(reads: Reads) -> tuple[tuple[AlertRule, ...] | None, str | None]:
    """The rules of Prometheus, or None and the sentence that says why."""
    if reads.prometheus is None:
        return None, "No Prometheus is configured, so I do not know which alert rules are in force."
    try:
        async with asyncio.timeout(SECONDS):
            return await reads.prometheus.rules(), None
    except TimeoutError:
        return None, f"Prometheus did not give its alert rules within {SECONDS:g} seconds."
    except AgentError as error:
        return None, f"I do not know which alert rules are in force: {error.sentence}"


async def _files(reads: Reads, service: Service | None) -> tuple[list[tuple[str, Source]], list[str]]:
    """Text and place of the files with rules, and what could not be looked into."""
    blueprints = reads.blueprints()
    found = [
        (text, blueprints.source("rules", path, path))
        for path, text in blueprints.tree.under("")
        if path.endswith(SUFFIXES) and is_one(text)
    ][:MOST_FILES]
    if reads.repos is None or service is None or not service.repo:
        return found, []
    try:
        async with asyncio.timeout(SECONDS):
            pages = await reads.repos.holding(service, HOLDS, SUFFIXES)
    except TimeoutError:
        return found, [f"The repo of {service.name} could not be searched within {SECONDS:g} seconds."]
    except AgentError as error:
        return found, [f"I could not look for alert rules in the repo of {service.name}: {error.sentence}"]
    return [*((each.text, each.source) for each in pages if is_one(each.text)), *found], []


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
