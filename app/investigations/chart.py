"""The chart of a symptom: what is drawn, the words that stand for it, and the child process that draws it."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.errors import AgentError
from app.investigations.amounts import amount
from app.investigations.drawing import Drawing
from app.settings import inherited
from app.signals.models import Change, Series

SECONDS = 10.0
"""How long a chart may take, waiting for its turn included: the brief does not need it."""
AT_ONCE = 2
MOST_POINTS = 4000
MOST_MARKS = 12
PASSED_ON = frozenset({"PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "MPLCONFIGDIR", "LD_LIBRARY_PATH"})
"""The variables a child that draws has a use for; our secrets are not among them."""

ROOT = Path(__file__).parents[2]
NAMED = {
    "error_rate": "Error rate",
    "request_rate": "Requests",
    "latency_p50": "Latency, median",
    "latency_p95": "Latency, p95",
    "latency_p99": "Latency, p99",
    "cpu": "CPU",
    "memory": "Memory",
    "connections": "Connections",
}


class ChartFailed(AgentError):
    """There is no chart; everything else goes on."""

    code = "chart_failed"


def drawing(
    symptom: Series,
    *,
    onset: float | None = None,
    changes: Sequence[Change] = (),
    title: str | None = None,
    unit: str | None = None,
) -> Drawing:
    """What the chart of `symptom` shows; changes nearest before the onset are named first. Pure."""
    shown = _marked(symptom, onset, changes)
    return Drawing(
        title=title or title_of(symptom),
        unit=symptom.unit if unit is None else unit,
        points=symptom.points[-MOST_POINTS:],
        onset=onset,
        marks=tuple((change.at, _name(change)) for change in shown),
    )


def title_of(symptom: Series) -> str:
    """“Error rate of checkout”."""
    said = NAMED.get(symptom.name) or symptom.name.replace("_", " ").strip().capitalize() or "Symptom"
    return f"{said} of {symptom.service}" if symptom.service else said


def alt_text(drawn: Drawing) -> str:
    """The chart as a sentence, from the same data. Pure."""
    if not drawn.points:
        return f"{drawn.title}: no data."
    first, last = drawn.points[0][0], drawn.points[-1][0]
    said = [f"{drawn.title}, {clock(first)} to {clock(last)} UTC: {_course(drawn)}."]
    marks = [f"{label} at {clock(at)}" for at, label in sorted(drawn.marks[:4]) if first <= at <= last]
    said += [f"Changes marked: {', '.join(marks)}."] if marks else ["No change is marked."]
    return " ".join(said)


async def render(drawn: Drawing, *, seconds: float = SECONDS) -> bytes:
    """A PNG of 1800 × 720 pixels, to be shown at half that size.

    Raises:
        ChartFailed: nothing to draw, too slow, or the child process failed.
    """
    if not drawn.points:
        raise ChartFailed("There are no points to draw a chart of.")
    try:
        async with asyncio.timeout(seconds), _turns:
            return await _in_a_child(drawn.to_json())
    except TimeoutError as error:
        raise ChartFailed(f"The chart was not drawn within {seconds:g} s.") from error
    except OSError as error:
        raise ChartFailed(f"The process that draws charts did not start ({error}).") from error


async def drawn(title: str, unit: str, points: Sequence[tuple[float, float]]) -> bytes:
    """The picture of points that are no symptom.

    Raises:
        ChartFailed: as `render`.
    """
    return await render(Drawing(title, unit, tuple(points)[-MOST_POINTS:]))


_turns = asyncio.Semaphore(AT_ONCE)


async def _in_a_child(given: bytes) -> bytes:
    child = _started()
    try:
        png, said = await asyncio.to_thread(child.communicate, given)
    finally:
        child.kill()  # and the thread, if this was cancelled, hears that it is over
    if child.returncode or not png.startswith(b"\x89PNG"):
        lines = said.decode(errors="replace").strip().splitlines() or ["no picture"]
        raise ChartFailed(f"The chart could not be drawn: {lines[-1][:200]}.")
    return png


def _started() -> subprocess.Popen[bytes]:
    """Not by the event loop: that one forks, which copies this process's tables of pages, for 30 ms in which
    it answers nobody."""
    return subprocess.Popen(
        [sys.executable, "-m", "app.investigations.drawing"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={name: value for name, value in inherited().items() if name in PASSED_ON},
        cwd=ROOT,
    )


# -- words -----------------------------------------------------------------------------------------------


def clock(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%H:%M}"


def _marked(symptom: Series, onset: float | None, changes: Sequence[Change]) -> list[Change]:
    if not symptom.points:
        return []
    first, last = symptom.points[0][0], symptom.points[-1][0]
    inside = [change for change in changes if first <= change.at <= last]
    since = onset if onset is not None else last
    return sorted(inside, key=lambda change: (change.at > since, abs(change.at - since)))[:MOST_MARKS]


def _name(change: Change) -> str:
    known = change.id[:8] if _is_revision(change.id) else change.id
    where = f"{change.service} " if change.service and change.service not in known else ""
    return f"{change.kind} {where}{known}".strip()


def _is_revision(name: str) -> bool:
    return len(name) >= 12 and all(sign in "0123456789abcdef" for sign in name.lower())


def _course(drawn: Drawing) -> str:
    values = [value for _, value in drawn.points]
    onset = drawn.onset
    before = [value for at, value in drawn.points if onset is not None and at < onset]
    after = [value for at, value in drawn.points if onset is not None and at >= onset]
    if onset is None or not before or not after:
        return (
            f"about {amount(statistics.median(values), drawn.unit)}, between "
            f"{amount(min(values), drawn.unit)} and {amount(max(values), drawn.unit)}"
        )
    return (
        f"about {amount(statistics.median(before), drawn.unit)} until {clock(onset)}, then about "
        f"{amount(statistics.median(after), drawn.unit)} (lowest {amount(min(after), drawn.unit)}, highest "
        f"{amount(max(after), drawn.unit)})"
    )
