"""How fast a conversation is: from a mention to its streamed answer, beside what it costs.

Every part runs on the same stand (see `benchmarks.stand`), one after the other.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.asking import Asked, People, Thread, observe
from benchmarks.figures import Row, Target, spread, table
from benchmarks.model import (
    ANSWER_TOKENS,
    FIRST_TOKEN_SECONDS,
    INSTANT,
    TOKENS_PER_SECOND,
    TOOL_CALL_EVERY,
    Pace,
)
from benchmarks.stand import WORKER_CONCURRENCY, App, Stand, stand

SCRIPT = f"""\
model     {FIRST_TOKEN_SECONDS * 1000:.0f} ms to the first token, {TOKENS_PER_SECOND:.0f} tokens/s, \
answers of {ANSWER_TOKENS} tokens; every {TOOL_CALL_EVERY}rd turn reads a file first
context   the example organisation, checkout's blueprint lengthened until it fills the 8,000 tokens packed
threads   ten to a channel; all ask within one second, wait until all are answered, and ask again
program   `serve` over Socket Mode, {WORKER_CONCURRENCY} turns at once, logs to a file; Postgres with fsync
apart     Slack (the playground) in this process, the model in one of its own, loopback only; Slack's rate
          limits are off, for 100 streams begun in a second are more than it allows a workspace in a minute
counted   from the moment the event is sent until the call arrives at Slack, so the playground's and the
          network's time are in; so is this machine's shortage: all four processes share its cores
"""
PARTS = ("start", "paced", "instant", "age")
SETTLE_SECONDS = 3.0


@dataclass(frozen=True)
class Size:
    """How much of each part is run."""

    starts: int = 5
    rounds: dict[int, int] = field(default_factory=lambda: {1: 21, 10: 9, 100: 6})
    instant_turns: int = 500
    instant_at_once: int = 20
    sessions: int = 1000
    age: int = 1000


QUICK = Size(starts=2, rounds={1: 3, 10: 3, 100: 3}, instant_turns=60, sessions=100, age=100)
FULL = Size()


async def run(size: Size, parts: tuple[str, ...]) -> list[Row]:
    """All rows of one run; each part is shown as it ends, for a run may be cut."""
    rows: list[Row] = []

    def found(more: list[Row]) -> None:
        print(table(more), flush=True)
        rows.extend(more)

    async with stand() as here:
        people = People(here)
        async with here.serve():
            print("· migrated, mirrors made", flush=True)
        if "start" in parts:
            found(await _starts(here, size))
        if "paced" in parts:
            async with _warm(here, people) as app:
                for threads, rounds in size.rounds.items():
                    found(await _paced(here, people, app, threads, rounds))
        if "instant" in parts:
            found(await _instant(here, people, size))
        if "age" in parts:
            found(await _age(here, people, size))
    return rows


@asynccontextmanager
async def _warm(here: Stand, people: People) -> AsyncIterator[App]:
    """The program after one turn that does not count: names looked up, connections made."""
    await here.pace(INSTANT)
    async with here.serve() as app:
        thread = people.threads(1)[0]
        await observe(here, [await people.ask(thread), await people.ask(thread), await people.ask(thread)])
        yield app


# -- start and memory ------------------------------------------------------------------------------------


async def _starts(here: Stand, size: Size) -> list[Row]:
    ready, memory = [], []
    for _ in range(size.starts):
        async with here.serve() as app:
            ready.append(app.ready_seconds)
            await asyncio.sleep(SETTLE_SECONDS)
            memory.append(app.rss_mb())
    print(f"· {size.starts} starts", flush=True)
    return [
        Row(
            "serve: start → ready",
            "s",
            spread(ready),
            count=len(ready),
            target=Target("p95", 3),
        ),
        Row("resident memory, idle", "MB", {"value": max(memory)}, target=Target("value", 200)),
    ]


# -- at the pace of a real model -------------------------------------------------------------------------


async def _paced(here: Stand, people: People, app: App, threads: int, rounds: int) -> list[Row]:
    await here.pace(Pace())
    asking, turns = people.threads(threads), []
    lags: list[float] = []
    watch = asyncio.create_task(_watch_own_lag(lags))
    used, busy = here.cpu_seconds(app), 0.0
    for _ in range(rounds):
        began = asyncio.get_running_loop().time()
        turns += await asyncio.gather(*(_later(people, each, n / threads) for n, each in enumerate(asking)))
        busy += asyncio.get_running_loop().time() - began
        await asyncio.sleep(0.5)
    watch.cancel()
    shares = {name: (now - used[name]) / busy for name, now in here.cpu_seconds(app).items()}
    notes = await observe(here, turns)
    print(
        f"· {threads} at once, {len(turns)} turns; cores used: "
        + ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
        + f"; this process late by {spread(lags).get('p95', 0) * 1000:.0f} ms p95",
        flush=True,
    )
    return [*_latencies(turns, threads), *_prompts(notes, threads)]


async def _later(people: People, thread: Thread, seconds: float) -> Asked:
    await asyncio.sleep(seconds)
    return await people.ask(thread)


async def _watch_own_lag(lags: list[float]) -> None:
    """How late this process's own event loop is: what Slack's side adds to every figure."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + 0.02
        await asyncio.sleep(0.02)
        lags.append(loop.time() - due)


def _latencies(turns: list[Asked], threads: int) -> list[Row]:
    acks = [ack for turn in turns for ack in turn.acks]
    eyes = [turn.eyes_at - turn.sent_at for turn in turns if turn.eyes_at]
    seen = [turn for turn in turns if turn.first_text_at and turn.first_text_from_model is not None]
    whole = [turn.first_text_at - turn.sent_at for turn in seen if turn.first_text_at]
    model = [turn.first_text_from_model or 0.0 for turn in seen]
    waited = [turn.waited or 0.0 for turn in seen]
    own = [a - b - c for a, b, c in zip(whole, model, waited, strict=True)]
    with_wait = [a - b for a, b in zip(whole, model, strict=True)]
    ended = [turn.stopped_at - turn.sent_at for turn in turns if turn.stopped_at]

    def row(name: str, seconds: list[float], targets: dict[int, Target] | None = None) -> Row:
        figures = spread([1000 * each for each in seconds])
        return Row(name, "ms", figures, threads, len(seconds), (targets or {}).get(threads))

    return [
        row("event → ack", acks, {10: Target("p95", 50), 100: Target("p95", 150)}),
        row("event → 👀", eyes, {10: Target("p95", 150), 100: Target("p95", 400)}),
        row("event → first text", whole),
        row("  of that the model", model),
        row("  of that waiting for a worker", waited),
        row("  of that our own", own, {1: Target("p50", 60), 100: Target("p95", 400)}),
        row("  our own and the waiting", with_wait),
        row("event → whole answer", ended),
    ]


def _prompts(notes: list[dict[str, Any]], threads: int) -> list[Row]:
    compared = [note["extends"] for note in notes if note["extends"] is not None]
    late = [note["usage"] for note in notes if note["turn"] >= 3 and note["usage"]]
    read = sum(usage["cache_read_input_tokens"] for usage in late)
    total = sum(sum(usage[name] for name in usage if name.endswith("input_tokens")) for usage in late)
    return [
        Row(
            "requests whose prompt does not begin with the one before",
            "",
            {"value": float(len(compared) - sum(compared))},
            threads,
            len(compared),
            Target("value", 0),
        ),
        Row(
            "input tokens read from the cache, from turn 3",
            "%",
            {"value": 100 * read / max(total, 1)},
            threads,
        ),
        Row("input tokens of a request, turn 3 on", "", {"value": total / max(len(late), 1)}, threads),
    ]


# -- as fast as it goes ----------------------------------------------------------------------------------


async def _instant(here: Stand, people: People, size: Size) -> list[Row]:
    """Throughput on fresh threads of five turns, then many sessions once each, in one process."""
    async with _warm(here, people) as app:
        used, began = here.cpu_seconds(app), asyncio.get_running_loop().time()
        threads = people.threads(size.instant_turns // 5)
        turns = await _all(people, threads, 5, size.instant_at_once)
        seconds = asyncio.get_running_loop().time() - began
        spent = {name: now - used[name] for name, now in here.cpu_seconds(app).items()}
        await observe(here, turns)
        print(
            f"· instant model, {len(turns)} turns in {seconds:.0f} s, "
            f"{size.instant_at_once} at once; cores used: "
            + ", ".join(f"{name} {each / seconds:.2f}" for name, each in spent.items()),
            flush=True,
        )
        await observe(here, await _all(people, people.threads(size.sessions), 1, size.instant_at_once))
        await asyncio.sleep(SETTLE_SECONDS)
        memory = app.rss_mb()
        print(f"· {size.sessions} sessions touched", flush=True)
    at_once = size.instant_at_once
    return [
        Row(
            "turns per CPU-second of the program, instant model",
            "1/s",
            {"value": len(turns) / spent["app"]},
            at_once,
            len(turns),
            Target("value", 20, at_least=True),
        ),
        Row("turns per second, instant model", "1/s", {"value": len(turns) / seconds}, at_once, len(turns)),
        Row(
            f"resident memory, {size.sessions + len(threads)} sessions touched",
            "MB",
            {"value": memory},
            target=Target("value", 300),
        ),
    ]


async def _all(people: People, threads: list[Thread], turns: int, at_once: int) -> list[Asked]:
    """Every thread its turns one after the other, `at_once` threads at a time."""
    waiting, done = iter(threads), []

    async def person() -> None:
        for thread in waiting:
            done.extend([await people.ask(thread) for _ in range(turns)])

    await asyncio.gather(*(person() for _ in range(at_once)))
    return done


# -- a thread that grows old -----------------------------------------------------------------------------

SPENT = """
SELECT coalesce(sum(total_exec_time + total_plan_time), 0)::float8 AS ms
  FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid AND datname = current_database()
 WHERE query !~ 'pg_stat_statements|queue_rescue|procrastinate_(fetch_job|update_heartbeat|get_stalled)'
   AND query !~ 'procrastinate_(prune|unregister|register|finish|workers)|^(LISTEN|UNLISTEN)'
"""
WINDOW = 10


async def _age(here: Stand, people: People, size: Size) -> list[Row]:
    """Database time per turn as one thread goes on, each figure the mean of ten turns around it; messages of
    equal length. The first turns, which bring the documents, are left out."""
    if not await here.rows("SELECT 1 FROM pg_extension WHERE extname = 'pg_stat_statements'"):
        print("· age left out: the server has no pg_stat_statements", flush=True)
        return []
    windows: list[float] = []
    async with _warm(here, people):
        thread = people.threads(1)[0]
        await observe(here, [await people.ask(thread) for _ in range(WINDOW // 2)])
        while thread.turns < size.age:
            before = (await here.rows(SPENT))[0]["ms"]
            turns = [await people.ask(thread) for _ in range(WINDOW)]
            await asyncio.sleep(0.1)  # the last turn's own end comes after its ✅
            windows.append(((await here.rows(SPENT))[0]["ms"] - before) / WINDOW)
            await observe(here, turns)
    young, old = windows[0], windows[-1]
    print(
        "· database ms per turn, every ten turns: " + " ".join(f"{each:.1f}" for each in windows), flush=True
    )
    last = size.age
    return [
        Row("database time of turn 10 of a thread", "ms", {"value": young}),
        Row(f"database time of turn {last} of a thread", "ms", {"value": old}),
        Row(f"  turn {last} against turn 10", "×", {"value": old / young}, target=Target("value", 1.2)),
        Row("  the dearest ten turns against turn 10", "×", {"value": max(windows) / young}),
    ]


def load_is_high() -> bool:
    return os.getloadavg()[0] > 0.7
