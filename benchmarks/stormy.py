"""What a storm leaves behind: what was lost, what was shown twice, what was looked into in which order."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any

import psutil

from benchmarks.figures import Row, Target, spread
from benchmarks.paging import Sent
from benchmarks.stand import App, Stand

EVERY_SECONDS = 0.2
SHORTLY = timedelta(seconds=1)
"""Two that came to wait at nearly the same time are in no order yet."""

OPEN = "SELECT count(*) AS n FROM investigations WHERE storm_id IS NULL AND finished_at IS NULL"
KNOWN = "SELECT incident_key, investigation_id::text AS id FROM incidents"
GROUPED = "SELECT id::text AS id, storm_id::text AS leader, status FROM investigations"
DIAGNOSED = """
SELECT i.service_name AS service, i.severity, i.status, i.looked_at, t.started_at, t.finished_at
  FROM investigations AS i JOIN turns AS t ON t.id = i.turn_id
 WHERE i.looked_at IS NOT NULL AND t.started_at IS NOT NULL
"""


class Peak:
    """The most memory a program had while the block ran, in MB."""

    def __init__(self, app: App) -> None:
        self._app = app
        self.mb = 0.0

    async def _watch(self) -> None:
        while True:
            with suppress(psutil.NoSuchProcess):
                self.mb = max(self.mb, self._app.rss_mb())
            await asyncio.sleep(EVERY_SECONDS)

    async def __aenter__(self) -> Peak:
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.cancel()


async def settled(here: Stand, seconds: float) -> int:
    """Wait until every investigation with a thread has ended; how many had not when the time was over."""
    for _ in range(round(seconds)):
        if not (await here.rows(OPEN))[0]["n"]:
            return 0
        await asyncio.sleep(1)
    return int((await here.rows(OPEN))[0]["n"])


async def aftermath(
    here: Stand, sent: Sequence[Sent], posted: Sequence[tuple[str, str, float, str]]
) -> list[Row]:
    leaders = {row["id"]: row["leader"] or row["id"] for row in await here.rows(GROUPED)}
    threads = {row["incident_key"]: leaders.get(row["id"]) for row in await here.rows(KNOWN)}
    roots: dict[str, list[tuple[float, str]]] = {}
    for id, part, at, ts in posted:
        if part == "root":
            roots.setdefault(id, []).append((at, ts))
    accepted = {each.page.key for each in sent if each.status == 202}
    lost = [key for key in accepted if threads.get(key) not in roots]
    twice = sum(len({ts for _, ts in found}) - 1 for found in roots.values())
    first = {key: threads[key] for key in accepted if key not in lost}
    opened = [
        roots[each.investigation_id][0][0] - each.sent_at
        for each in sent
        if each.became == "queued" and each.investigation_id in roots
    ]
    print(
        f"· {len(accepted)} incidents in {len(set(first.values()))} threads, "
        f"the largest of {max(Counter(first.values()).values(), default=0)}; "
        f"answers: {dict(Counter(str(each.became or each.status) for each in sent))}",
        flush=True,
    )
    diagnosed = await here.rows(DIAGNOSED)
    return [
        Row("  incidents lost", "", {"value": float(len(lost))}, None, len(sent), Target("value", 0)),
        Row("  threads opened twice", "", {"value": float(twice)}, target=Target("value", 0)),
        Row("  storm: page → thread", "s", spread(opened), None, len(opened)),
        Row(
            "  P3 diagnosed while a P1 waited",
            "",
            {"value": float(len(overtaken(diagnosed)))},
            None,
            len(diagnosed),
            Target("value", 0),
        ),
    ]


def overtaken(diagnosed: Sequence[Any]) -> list[tuple[Any, Any]]:
    """P3s that began while a P1 waited whose service was free."""
    return [
        (low, high)
        for low in diagnosed
        for high in diagnosed
        if (low["severity"], high["severity"]) == ("P3", "P1")
        and high["looked_at"] + SHORTLY < low["started_at"] < high["started_at"]
        and not any(_busy(each, high["service"], low["started_at"]) for each in diagnosed)
    ]


def _busy(each: Any, service: str | None, at: datetime) -> bool:
    ended = each["finished_at"]
    return each["service"] == service and each["started_at"] <= at and (ended is None or ended > at)
