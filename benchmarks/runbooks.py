"""Whether the runbook of an alert is found by what the alert says, without its name; how fast, in how much.

Reads `../shared/data/runbooks` beside this checkout: pages under `docs/`, and `queries.json` with a text and
the page that answers it. Nothing is fitted to these: the method has no constant but those of
`app.context.ranking` and the weight of a title, and the rows by half a text show how it holds on less.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import psutil

from app.context.runbooks import Runbook, Runbooks, runbooks_of
from app.knowledge.models import Document, Knowledge
from app.knowledge.pages import take_apart
from benchmarks.figures import Row, Target, spread

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data" / "runbooks"


@dataclass(frozen=True)
class Query:
    alert: str
    text: str
    runbook: str


PARTS = ("recall", "speed")
QUICK, FULL = 1, 5
"""How often each query is timed."""
SCRIPT = f"""\
asked     every query of {DATA.parent.name}/{DATA.name}: by its text alone, by halves of it, by name and text
counted   whether the page meant stands first (R@1) or among three (R@3)
"""


async def run(size: int, parts: Sequence[str]) -> list[Row]:
    """Without the data there is nothing to measure, and no row."""
    if not (DATA / "queries.json").is_file():
        print(f"{DATA} is not there: nothing to measure.")
        return []
    queries = [Query(**each) for each in json.loads((DATA / "queries.json").read_text("utf-8"))]
    index, making = made(knowledge_of(DATA / "docs"))
    rows = found(index, queries) if "recall" in parts else []
    return [*rows, *(timed(index, queries, size) if "speed" in parts else ()), *making]


def made(pages: Knowledge) -> tuple[Runbooks, list[Row]]:
    process = psutil.Process()
    gc.collect()
    before = process.memory_info().rss
    began = time.perf_counter()
    index = runbooks_of(pages)
    index.find(None, "warm up")
    built = (time.perf_counter() - began) * 1000
    gc.collect()
    grown = max(0.0, (process.memory_info().rss - before) / 2**20)
    return index, [
        Row(f"making the index of {len(index)} runbooks", "ms", {"value": built}),
        Row("memory of the index", "MB", {"value": grown}, target=Target("value", 50)),
    ]


def found(index: Runbooks, queries: Sequence[Query]) -> list[Row]:
    return [
        *recall(index, queries, lambda query: (None, query.text), "the alert's text", (0.93, 0.96)),
        *recall(index, queries, lambda query: (None, halves(query)[0]), "its first sentence"),
        *recall(index, queries, lambda query: (None, halves(query)[1]), "its other sentences"),
        *recall(index, queries, lambda query: (query.alert, query.text), "its name and text", (1, 1)),
    ]


def knowledge_of(docs: Path) -> Knowledge:
    """The pages as the knowledge repo would hold them."""
    pages = []
    for path in sorted(docs.rglob("*.md")):
        page = take_apart(path.read_text("utf-8"))
        pages.append(Document(f"runbooks/{path.name}", page.title or path.stem, page.body))
    return Knowledge("bench", Document("system-prompt.md", "", ""), runbooks=tuple(pages))


def recall(
    index: Runbooks,
    queries: Sequence[Query],
    asked: Callable[[Query], tuple[str | None, str]],
    by: str,
    targets: tuple[float, float] | None = None,
) -> list[Row]:
    places = [place(index, *asked(query), query.runbook) for query in queries]
    return [
        Row(
            f"R@{most} by {by}",
            "",
            {"value": sum(at < most for at in places) / len(places)},
            target=Target("value", targets[most == 3], at_least=True) if targets else None,
            count=len(places),
        )
        for most in (1, 3)
    ]


def place(index: Runbooks, alert: str | None, text: str, wanted: str) -> int:
    """Where among three the wanted page stands, from 0; 3 when it does not."""
    found = [file_of(each.runbook) for each in index.find(alert, text)]
    return found.index(wanted) if wanted in found else 3


def file_of(runbook: Runbook) -> str:
    return PurePosixPath(runbook.path).name


def halves(query: Query) -> tuple[str, str]:
    first, _, rest = query.text.partition(". ")
    return first, rest or first


def timed(index: Runbooks, queries: Sequence[Query], rounds: int) -> list[Row]:
    times = []
    for query in [*queries] * rounds:
        began = time.perf_counter()
        index.find(None, query.text)
        times.append((time.perf_counter() - began) * 1000)
    return [Row("a query", "ms", spread(times), target=Target("p99", 1), count=len(times))]
