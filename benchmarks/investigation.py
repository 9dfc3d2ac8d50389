"""How fast an investigation is: from a page to its thread, its evidence and its final brief; and a storm.

Every part runs on the same stand (`benchmarks.stand`) with monitored systems (`benchmarks.systems`), one part
after the other, each with a program that was just started.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import yaml

from app.playground.example import git
from benchmarks.diagnosing import SCRIPT as CALLS
from benchmarks.diagnosing import TOKENS_A_STEP, TOKENS_OF_BRIEF
from benchmarks.figures import Row, Target, spread, table
from benchmarks.model import FIRST_TOKEN_SECONDS, INSTANT, TOKENS_PER_SECOND, Pace
from benchmarks.paging import CHANNEL, SHOWN, TOKEN, Page, Sender, Sent, parts, shown, storm
from benchmarks.stand import ROOT, App, Stand, stand
from benchmarks.stormy import Peak, aftermath, settled
from benchmarks.systems import NAMES, catalog

SOURCE_SECONDS = 0.2
HANGING = "tempo"
AT_ONCE = 3
PER_SECOND = 200
STORM_SECONDS = 60
SCRIPT = f"""\
model     {FIRST_TOKEN_SECONDS * 1000:.0f} ms to the first token, {TOKENS_PER_SECOND:.0f} tokens/s; \
{", ".join(CALLS)}: {TOKENS_A_STEP} tokens each; then a brief of {TOKENS_OF_BRIEF}
systems   Prometheus, Loki, Argo CD, Kubernetes and PagerDuty answer after {SOURCE_SECONDS * 1000:.0f} ms \
with recorded bytes; {HANGING} never does
services  40, eight copies of the example organisation's five
program   `serve` with the usual settings; where single pages are timed, STORM_INCIDENTS is out of the way
apart     Slack (the playground, its rate limits off) in this process, the model and the systems in one each
counted   from the moment a webhook is sent until its answer, or the message at Slack, arrives
"""
PARTS = ("webhook", "page", "storm")
NO_STORM = {"STORM_INCIDENTS": "100000"}
PAGE_SECONDS = 120.0
SETTLE_SECONDS = 600.0
BURST_SECONDS = 6.0
"""So long after its last post a channel takes a burst of five again, as when nothing happened lately."""


@dataclass(frozen=True)
class Size:
    """How much of each part is run; `rounds` are by how many pages come at once."""

    webhooks: int = 6000
    rounds: dict[int, int] = field(default_factory=lambda: {1: 5, AT_ONCE: 7})
    alerts: int = 5000
    storm_seconds: float = STORM_SECONDS


QUICK = Size(webhooks=1000, rounds={1: 1, AT_ONCE: 1}, alerts=800, storm_seconds=10)
FULL = Size()


async def run(size: Size, parts: tuple[str, ...]) -> list[Row]:
    """All rows of one run; each part is shown as it ends, for a run may be cut."""
    rows: list[Row] = []

    def found(more: list[Row]) -> None:
        print(table(more), flush=True)
        rows.extend(more)

    async with stand() as here, _systems(here) as systems:
        _forty_services(here)
        async with here.serve():
            print("· migrated, mirrors made", flush=True)
        if "page" in parts:
            found(await _pages(here, systems, size))
        if "webhook" in parts:
            found(await _webhooks(here, systems, size))
        if "storm" in parts:
            found(await _storm(here, systems, size))
    return rows


# -- the stand ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Monitored:
    """The process of the monitored systems."""

    stand: Stand
    control: str

    async def faults(self, seconds: float, *hanging: str) -> None:
        await self.stand.session.post(f"{self.control}/faults", json={"seconds": seconds, "hanging": hanging})

    async def sent(self) -> int:
        return int(await self._get("sent"))

    async def alert(self) -> dict[str, Any]:
        found: dict[str, Any] = await self._get("alert")
        return found

    async def _get(self, what: str) -> Any:
        async with self.stand.session.get(f"{self.control}/{what}") as answer:
            return await answer.json()


@asynccontextmanager
async def _systems(here: Stand) -> AsyncIterator[Monitored]:
    """The monitored systems, and the program's settings pointing at them."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.systems",
        str(here.folder),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout
        told = json.loads(await asyncio.wait_for(process.stdout.readline(), 60))
        own = {"INCIDENT_CHANNEL": CHANNEL, "ALERT_WEBHOOK_TOKEN": TOKEN, "WORKER_CONCURRENCY": "10"}
        here.environment.update(told["settings"] | own)
        yield Monitored(here, told["control"])
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def _forty_services(here: Stand) -> None:
    blueprints = here.folder / "organisation" / "blueprints"
    file = blueprints / "services.yaml"
    file.write_text(
        yaml.safe_dump(catalog(yaml.safe_load(file.read_text("utf-8"))), sort_keys=False), "utf-8"
    )
    git(blueprints, "commit", "--quiet", "--all", "--message", "Write down all forty services")


@asynccontextmanager
async def _program(here: Stand, systems: Monitored, **values: str) -> AsyncIterator[tuple[App, Sender]]:
    """The program after investigations that do not count: libraries loaded, and the systems recorded for all
    five services, or recording them would take the processor from what is measured."""
    await here.rows("DELETE FROM incidents")  # or this one joins the storm of a part before
    await here.pace(INSTANT)
    await systems.faults(0, HANGING)
    async with here.serve(**values) as app:
        sender = Sender(here.session, f"http://127.0.0.1:{app.ports['PORT']}", await systems.alert())
        first = [await sender.send(Page(name, f"Warm{here.apps}", "P1")) for name in NAMES]
        await shown(here, first, SHOWN[-1], PAGE_SECONDS)
        await settled(here, PAGE_SECONDS)
        await asyncio.sleep(BURST_SECONDS)
        await here.rows("DELETE FROM incidents")  # or a storm joins this one
        await here.pace(Pace())
        await systems.faults(SOURCE_SECONDS, HANGING)
        await systems.sent()
        here.slack.journal.calls.clear()
        yield app, sender


# -- single pages ------------------------------------------------------------------------------------------


async def _pages(here: Stand, systems: Monitored, size: Size) -> list[Row]:
    rows: list[Row] = []
    async with _program(here, systems, **NO_STORM) as (app, sender):
        for at_once, rounds in size.rounds.items():
            sent: list[Sent] = []
            used = here.cpu_seconds(app)
            await systems.sent()
            await here.notes()
            for number in range(rounds):
                sent += await _round(here, sender, at_once, number)
            spent = {name: now - used[name] for name, now in here.cpu_seconds(app).items()}
            print(
                f"· {len(sent)} pages, {at_once} at once; CPU-seconds a page: "
                + ", ".join(f"{name} {each / len(sent):.2f}" for name, each in spent.items()),
                flush=True,
            )
            rows += _latencies(sent, at_once)
            rows += await _stretches(here, sent, at_once)
            rows += await _reading(here, sent, at_once, await systems.sent() / len(sent))
    return rows


async def _round(here: Stand, sender: Sender, at_once: int, number: int) -> list[Sent]:
    pages = [
        Page(f"checkout{copy}", f"Round{at_once}x{number}", "P1") for copy in ("", "-02", "-03")[:at_once]
    ]
    sent = await asyncio.gather(*(sender.send(page) for page in pages))
    await shown(here, sent, SHOWN[-1], PAGE_SECONDS)
    return list(sent)


def _latencies(sent: Sequence[Sent], at_once: int) -> list[Row]:
    names = ("page → thread", "page → evidence brief", "page → final brief")
    bounds = (1, 5, 30)
    return [
        Row(
            name,
            "s",
            spread([each.shown[part] - each.sent_at for each in sent]),
            at_once,
            len(sent),
            Target("p95", bound),
        )
        for name, part, bound in zip(names, SHOWN, bounds, strict=True)
    ]


BEGUN = """
SELECT id::text AS id, extract(epoch FROM started_at)::float8 AS at FROM turns WHERE id = ANY($1::uuid[])
"""


async def _stretches(here: Stand, sent: Sequence[Sent], at_once: int) -> list[Row]:
    """Where the time to the final brief goes: until the diagnosis began, and what the model took of it."""
    by_id = {each.investigation_id: each for each in sent}
    begun = await here.rows(BEGUN, list(by_id))
    waited = [row["at"] - by_id[row["id"]].sent_at for row in begun]
    model = sum(note["ended"] - note["received"] for note in await here.notes()) / len(sent)
    return [
        Row("  of that until the diagnosis began", "s", spread(waited), at_once, len(waited)),
        Row("  of that the model, on average", "s", {"value": model}, at_once, len(sent)),
    ]


USED = """
SELECT turn_id::text AS id, count(*) AS requests, sum(input_tokens) AS input,
       sum(input_tokens - cache_read_tokens) AS fresh, max(input_tokens) AS longest
  FROM usage WHERE turn_id = ANY($1::uuid[]) GROUP BY turn_id
"""


async def _reading(here: Stand, sent: Sequence[Sent], at_once: int, raw: float) -> list[Row]:
    """What the model had to read, against what the systems said."""
    used = await here.rows(USED, [each.investigation_id for each in sent])

    def row(name: str, values: list[float], target: Target | None = None) -> Row:
        return Row(name, "", spread(values), at_once, len(values), target)

    once = [float(each["fresh"]) for each in used]
    most = Target("value", 2, at_least=True)
    return [
        Row("raw results a brief", "MB", {"value": raw / 1e6}, at_once, target=most),
        row("input tokens a brief, those from the cache left out", once, Target("p95", 15_000)),
        row("  of its longest request", [float(each["longest"]) for each in used]),
        row("  of all its requests", [float(each["input"]) for each in used]),
        row("  requests", [float(each["requests"]) for each in used]),
    ]


# -- webhooks ----------------------------------------------------------------------------------------------


async def _webhooks(here: Stand, systems: Monitored, size: Size) -> list[Row]:
    """Half of them fire for the first time, half again."""
    pages = storm(size.webhooks // 2, size.webhooks, name="Flood")
    async with _program(here, systems) as (app, sender):
        sent = await _watched(here, app, sender, pages, PER_SECOND)
    return _answers(sent, f"webhook → 202 at {PER_SECOND}/s")


async def _watched(
    here: Stand, app: App, sender: Sender, pages: Sequence[Page], per_second: float
) -> list[Sent]:
    used, began = here.cpu_seconds(app), asyncio.get_running_loop().time()
    sent = await sender.stream(pages, per_second)
    seconds = asyncio.get_running_loop().time() - began
    spent = {name: now - used[name] for name, now in here.cpu_seconds(app).items()}
    print(
        f"· {len(sent)} alerts in {seconds:.1f} s; cores used: "
        + ", ".join(f"{name} {each / seconds:.2f}" for name, each in spent.items())
        + f"; sent late by {spread([each.late for each in sent])['p95'] * 1000:.0f} ms p95",
        flush=True,
    )
    return sent


def _answers(sent: Sequence[Sent], name: str) -> list[Row]:
    milliseconds = [1000 * (each.answered_at - each.sent_at) for each in sent]
    return [
        Row(name, "ms", spread(milliseconds), None, len(sent), Target("p99", 50)),
        Row(
            "  not answered with 202",
            "",
            {"value": float(sum(each.status != 202 for each in sent))},
            target=Target("value", 0),
        ),
    ]


# -- a storm -----------------------------------------------------------------------------------------------


async def _storm(here: Stand, systems: Monitored, size: Size) -> list[Row]:
    pages = storm(size.alerts // 5, size.alerts, name="Storm")
    async with _program(here, systems) as (app, sender):
        async with Peak(app) as peak:
            sent = await _watched(here, app, sender, pages, size.alerts / size.storm_seconds)
            left = await settled(here, SETTLE_SECONDS)
        if left:
            print(f"· {left} investigations had not ended {SETTLE_SECONDS:.0f} s after the last alert")
        rows = await aftermath(here, sent, list(parts(here)))
    memory = Row("resident memory, at most", "MB", {"value": peak.mb}, target=Target("value", 400))
    return [*_answers(sent, "storm: webhook → 202"), *rows, memory]
