"""Figures and how they are shown: percentiles, rows with their targets, the table, the machine."""

from __future__ import annotations

import math
import os
import platform
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import psutil

Figure = Literal["p50", "p95", "p99", "value"]


@dataclass(frozen=True)
class Target:
    """`figure` of a row is to be at most (or at least) `bound`."""

    figure: Figure
    bound: float
    at_least: bool = False

    def met(self, row: Row) -> bool | None:
        found = row.figures.get(self.figure)
        if found is None:
            return None
        return found >= self.bound if self.at_least else found <= self.bound

    def __str__(self) -> str:
        name = "" if self.figure == "value" else f"{self.figure} "
        return f"{name}{'≥' if self.at_least else '≤'} {self.bound:g}"


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, under how many threads, and its figures by name."""

    name: str
    unit: str
    figures: Mapping[Figure, float]
    threads: int | None = None
    count: int = 0
    target: Target | None = None
    note: str = ""

    @property
    def key(self) -> tuple[str, int | None]:
        return self.name, self.threads


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of all do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(values: Sequence[float]) -> dict[Figure, float]:
    if not values:
        return {}
    return {"p50": percentile(values, 0.50), "p95": percentile(values, 0.95), "p99": percentile(values, 0.99)}


def median_of(runs: Sequence[Sequence[Row]]) -> list[Row]:
    """Each figure's median over the runs; rows in the order of the first."""
    merged = []
    for row in runs[0]:
        same = [each for run in runs for each in run if each.key == row.key]
        figures = {
            name: statistics.median(each.figures[name] for each in same if name in each.figures)
            for name in row.figures
        }
        merged.append(replace(row, figures=figures, count=sum(each.count for each in same)))
    return merged


HEAD = ("", "threads", "unit", "p50", "p95", "p99", "target", "")


def table(rows: Iterable[Row]) -> str:
    """A missed target is marked."""
    return aligned([HEAD, *(_cells(row) for row in rows)])


def aligned(cells: Sequence[Sequence[str]]) -> str:
    """A markdown table that reads well unrendered too; the first line is its head."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |"
        for line in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _cells(row: Row) -> tuple[str, ...]:
    single = row.figures.get("value")
    shown = (
        (_number(single), "", "")
        if single is not None
        else tuple(_number(row.figures.get(name)) for name in ("p50", "p95", "p99"))
    )
    met = row.target.met(row) if row.target else None
    mark = {None: "", True: "met", False: "MISSED"}[met]
    name = f"{row.name} ({row.note})" if row.note else row.name
    return (name, str(row.threads or ""), row.unit, *shown, str(row.target or ""), mark)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def machine() -> dict[str, str]:
    return {
        "cores": str(os.cpu_count()),
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[0]:.2f}",
    }
