"""What more processes on one Postgres bring: the same turns by one, two and four, one after the other.

The model answers at once, so what is measured is the program, Postgres and this machine. All of them share
its cores with Slack and the model: turns a second stop growing where the cores end, and say nothing of a
larger machine. What a turn costs does: CPU of the program and the database, connections a process.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass

from benchmarks.asking import Asked, People, Thread, observe
from benchmarks.figures import Row, spread, table
from benchmarks.model import INSTANT
from benchmarks.stand import App, Stand, stand

AT_ONCE = 40
TURNS_A_THREAD = 5
CONCURRENCY = 10
PROCESSES = {"one": 1, "two": 2, "four": 4}
PARTS = tuple(PROCESSES)
SAMPLE_SECONDS = 0.25
SCRIPT = f"""\
model     answers at once; every third turn reads a file first
threads   {AT_ONCE} at once, {TURNS_A_THREAD} turns each, each asked when the one before is answered
program   `serve`, and beside it `worker`s, {CONCURRENCY} turns at once in each; Postgres with fsync
counted   CPU-seconds of all processes of the program; of the database what pg_stat_statements tells and the
          CPU-seconds of its processes; connections are the most that were open
apart     Slack (the playground, its rate limits off) in this process, the model in one of its own; all of
          them share the machine's cores, so turns a second are this machine's and no limit of the program
"""


@dataclass(frozen=True)
class Size:
    turns: int = 400


QUICK = Size(turns=80)
FULL = Size()

SPENT = """
SELECT coalesce(sum(total_exec_time + total_plan_time), 0)::float8 AS ms,
       coalesce(sum(calls), 0)::float8 AS calls,
       coalesce(sum(total_exec_time + total_plan_time)
                FILTER (WHERE query ~ 'procrastinate|queue_|LISTEN|pg_notify'), 0)::float8 AS queue
  FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid AND datname = current_database()
 WHERE query !~ 'pg_stat_statements|pg_stat_activity'
"""
KEPT = """
SELECT xact_commit::float8 AS commits, pg_database_size(current_database())::float8 AS bytes
  FROM pg_stat_database WHERE datname = current_database()
"""
OPEN = """
SELECT count(*) AS many FROM pg_stat_activity
 WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


async def run(size: Size, parts: tuple[str, ...]) -> list[Row]:
    rows: list[Row] = []
    async with stand() as here:
        people = People(here)
        await here.pace(INSTANT)
        async with here.serve():
            print("· migrated, mirrors made", flush=True)
        for part in parts:
            more = await _processes(here, people, PROCESSES[part], size)
            print(table(more), flush=True)
            rows.extend(more)
    return rows


@asynccontextmanager
async def _program(here: Stand, people: People, processes: int) -> AsyncIterator[list[App]]:
    """So many processes that carry out turns, after a few that do not count."""
    values = {"WORKER_CONCURRENCY": str(CONCURRENCY)}
    async with AsyncExitStack() as exits:
        apps = [await exits.enter_async_context(here.serve(**values))]
        more = [here.run("worker", **values) for _ in range(processes - 1)]
        apps += [await exits.enter_async_context(each) for each in more]
        await observe(here, await _asked(people, people.threads(8 * processes), 2))
        yield apps


async def _processes(here: Stand, people: People, processes: int, size: Size) -> list[Row]:
    async with _program(here, people, processes) as apps:
        threads = people.threads(size.turns // TURNS_A_THREAD)
        most = _Most(here)
        before, used = await _said(here), _used(here, apps)
        began = asyncio.get_running_loop().time()
        async with most:
            turns = await _asked(people, threads, TURNS_A_THREAD)
        seconds = asyncio.get_running_loop().time() - began
        spent = {name: now - used[name] for name, now in _used(here, apps).items()}
        after = await _said(here)
        await observe(here, turns)
    many = len(turns)
    print(
        f"· {processes} processes, {many} turns in {seconds:.0f} s; cores used: "
        + ", ".join(f"{name} {each / seconds:.2f}" for name, each in spent.items()),
        flush=True,
    )
    database = {name: (now - before[name]) / many for name, now in after.items()}
    ended = [1000 * (turn.stopped_at - turn.sent_at) for turn in turns if turn.stopped_at]
    waited = [1000 * (turn.waited or 0.0) for turn in turns]

    def row(name: str, unit: str, value: float) -> Row:
        return Row(f"{processes}: {name}", unit, {"value": value}, AT_ONCE, many)

    return [
        row("turns per CPU-second of the program", "1/s", many / spent["app"]),
        row("turns per second", "1/s", many / seconds),
        Row(f"{processes}: event → whole answer", "ms", spread(ended), AT_ONCE, len(ended)),
        Row(f"{processes}:   of that waiting for a worker", "ms", spread(waited), AT_ONCE, many),
        row("connections, at most", "", most.connections),
        row("database time of a turn", "ms", database["ms"]),
        row("  of that the queue", "ms", database["queue"]),
        row("statements of a turn", "", database["calls"]),
        row("transactions of a turn", "", database["commits"]),
        row("the database grows by, a turn", "kB", database["bytes"] / 1000),
        row("CPU of Postgres for a turn", "ms", 1000 * spent.get("postgres", 0.0) / many),
    ]


async def _said(here: Stand) -> dict[str, float]:
    """What the database tells of itself."""
    return {**dict((await here.rows(SPENT))[0]), **dict((await here.rows(KEPT))[0])}


def _used(here: Stand, apps: list[App]) -> dict[str, float]:
    """CPU-seconds so far; those of the program are of all its processes."""
    used = here.cpu_seconds(apps[0])
    used["app"] = sum(app.cpu_seconds() for app in apps)
    return used


async def _asked(people: People, threads: list[Thread], turns: int) -> list[Asked]:
    waiting, done = iter(threads), []

    async def person() -> None:
        for thread in waiting:
            done.extend([await people.ask(thread) for _ in range(turns)])

    await asyncio.gather(*(person() for _ in range(AT_ONCE)))
    return done


class _Most:
    """The most connections that were open while the block ran."""

    def __init__(self, here: Stand) -> None:
        self._here = here
        self.connections = 0.0

    async def _watch(self) -> None:
        while True:
            found = (await self._here.rows(OPEN))[0]["many"]
            self.connections = max(self.connections, float(found))
            await asyncio.sleep(SAMPLE_SECONDS)

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task
