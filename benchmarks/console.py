"""How fast the console's pages are on a long history: read, rendered, and answered over HTTP on loopback.

The database is filled with what a busy installation has after a year; each page is asked for in turn, so that
none profits from its own last answer alone. The time is from the request to the last byte.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage import migrate
from app.storage.engine import READ_ONLY, create_engine
from app.web.console.access import Access
from app.web.console.app import add_console, console_app
from app.web.ops import ops_app
from app.web.server import WebServer, bind
from benchmarks.figures import Row, Target, spread
from benchmarks.stand import empty_database, execute, own_postgres

TOKEN = "a-token-of-the-benchmark"
TARGET = Target("p95", 300)
PARTS = ("pages", "export")
QUICK, FULL = 5, 60
"""How often each page is asked for."""
AUDIT_ROWS = 100_000
SCRIPT = f"""\
filled    {AUDIT_ROWS:,} audit rows of 900 characters over 400 days (200 people, 80 services), 10,000 threads
          with 25,000 turns, 50,000 tool calls and 60,000 requests to models, one thread of 1,000 turns,
          3,000 investigations with evidence, most with an outcome, 500 knowledge revisions
asked     each page in turn, over HTTP on loopback, by one reader; time to the last byte
"""
HISTORY = Path(__file__).with_suffix(".sql")


@asynccontextmanager
async def _database() -> AsyncIterator[str]:
    with tempfile.TemporaryDirectory(prefix="sre-agent-bench-") as folder:
        postgres = await own_postgres(Path(folder))
        url, drop = await empty_database(postgres)
        try:
            yield url
        finally:
            await drop()
            if postgres:
                await postgres.stop()


async def run(size: int, parts: Sequence[str]) -> list[Row]:
    async with _database() as url:
        await migrate.upgrade(url)
        await _fill(url)
        async with _reader(url) as browser:
            rows = await _pages(browser, size) if "pages" in parts else []
            return [*rows, *(await _exports(browser) if "export" in parts else ())]


async def _fill(url: str) -> None:
    began = time.perf_counter()
    await execute(url, HISTORY.read_text("utf-8"))
    await execute(url, "VACUUM ANALYZE")  # as autovacuum leaves it after some time
    print(f"filled in {time.perf_counter() - began:.0f} s", flush=True)


@asynccontextmanager
async def _reader(url: str) -> AsyncIterator[httpx.AsyncClient]:
    engine: AsyncEngine = create_engine(url, pool_size=2, server_settings=READ_ONLY)
    app = ops_app({}, draining=lambda: False)
    add_console(app, console_app(engine, Access(TOKEN)))
    server = WebServer(app, bind(0, "OPS_PORT", "127.0.0.1"))
    await server.start()
    headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html"}
    async with httpx.AsyncClient(
        base_url=f"http://127.0.0.1:{server.port}/console/", headers=headers, timeout=60
    ) as browser:
        yield browser
    await server.stop()
    await engine.dispose()


async def _pages(browser: httpx.AsyncClient, size: int) -> list[Row]:
    pages = await _addresses(browser)
    took: dict[str, list[float]] = {name: [] for name in pages}
    for turn in range(size + 2):
        for name, address in pages.items():
            began = time.perf_counter()
            answer = await browser.get(address)
            assert answer.status_code == 200, (name, answer.text)
            if turn >= 2:  # the first ones connect, prepare and compile
                took[name].append((time.perf_counter() - began) * 1000)
    return [Row(name, "ms", spread(times), target=TARGET, count=len(times)) for name, times in took.items()]


async def _addresses(browser: httpx.AsyncClient) -> dict[str, str]:
    """The pages by what they are; the deep ones begin behind a key that lies far back."""
    back = "2026-01-01T00:00:00Z"
    investigation = (await browser.get("investigations")).text.partition("/console/investigations/")[2][:36]
    return {
        "live": "",
        "sessions": "sessions",
        "sessions, far back": "sessions?before=100",
        "sessions of one service": "sessions?service=service-7",
        "a thread, found by its place": "sessions/2000",
        "the end of a thread of 1,000 turns": "sessions/10001",
        "investigations": "investigations",
        "one investigation": f"investigations/{investigation}",
        "accuracy & spend, 90 days": "figures?days=90",
        "accuracy & spend, 365 days": "figures?days=365",
        "knowledge": "knowledge",
        "audit": "audit",
        "audit, far back": f"audit?before={back}~1",
        "audit of one user": "audit?user=U7",
        "audit of one service": "audit?service=service-7",
        "audit of one user and service": "audit?user=U7&service=service-7",
        "audit of one action, far back": f"audit?action=message&before={back}~1",
        "audit of one day": "audit?since=2026-06-01&until=2026-06-02",
        "audit, a common text": "audit?text=brown+fox",
        "audit, a rare text, first page": "audit?text=needle-in-the-haystack",
        "audit, a rare text of one user": "audit?text=needle-in-the-haystack&user=U7",
    }


async def _exports(browser: httpx.AsyncClient) -> list[Row]:
    rows = []
    for form in ("csv", "ndjson"):
        began = time.perf_counter()
        answer = await browser.get(f"audit.{form}")
        assert answer.text.count("\n") >= AUDIT_ROWS
        taken = time.perf_counter() - began
        rows.append(Row(f"export of all as {form}", "rows/s", {"value": AUDIT_ROWS / taken}))
    pages, address = 0, "audit?text=needle-in-the-haystack"
    began = time.perf_counter()
    while address:
        page = (await browser.get(address)).text
        address = page.partition('rel="next" href="/console/')[2].partition('"')[0].replace("&amp;", "&")
        pages += 1
    assert "needle-in-the-haystack" in page.partition("<tbody")[2]
    rows.append(Row("a rare text: pages to the oldest row", "", {"value": float(pages)}))
    rows.append(
        Row("a rare text: time for all of them", "ms", {"value": (time.perf_counter() - began) * 1000})
    )
    return rows
