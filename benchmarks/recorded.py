"""Recorded incidents of two public data sets, as `Observations` with what the cause really was.

PetShop (amazon-science): 5-minute metrics with a call graph; the answer is a node. Its normal days were
recorded months apart from its issues, so they are moved in time to end a day before an issue's chart begins:
what an agent that keeps history would have. RootCauseBench (edgedelta): metrics, logs, traces and changes
of a frozen incident; the answer is a commit, or that no commit did it.
"""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from app.investigations.evidence import Observations
from app.signals.models import Change, LogLine, Series, Span

NONE = "none"
Points = dict[tuple[str, str], list[tuple[float, float]]]


@dataclass(frozen=True)
class Case:
    """One incident; `answer` is a node, a commit or `none`, `decoys` are commits that did not do it."""

    name: str
    observations: Observations
    answer: str
    decoys: frozenset[str] = frozenset()


def petshop(folder: Path) -> Iterator[Case]:
    for target in sorted(folder.glob("*/*/issue_*/target.json")):
        issue = target.parent
        traffic = issue.parent.parent
        told = json.loads(target.read_text("utf-8"))
        symptom = told["target"]
        chart = _petshop_metrics(issue / "metrics.csv")
        history = _petshop_metrics(traffic / "noissue" / "metrics.csv")
        series = tuple(
            Series(name, tuple(_with_history(points, history.get((node, name)))), node, {}, _unit(name))
            for (node, name), points in chart.items()
        )
        name = f"{symptom['metric']}_{symptom['agg']}"
        yield Case(
            "/".join(issue.relative_to(folder).parts),
            Observations(
                service=symptom["node"],
                alerted_at=float(symptom["timestamp"]),
                title=f"{symptom['metric']} of {symptom['node']}",
                symptom=next(
                    (each for each in series if (each.service, each.name) == (symptom["node"], name)), None
                ),
                series=series,
                depends_on=_graph(traffic / "graph.csv"),
                sources_asked=frozenset({"prometheus"}),
            ),
            told["root_cause"]["node"],
        )


def _unit(name: str) -> str:
    return "seconds" if name.startswith("latency") else "percent" if name.startswith("avail") else "count"


def _with_history(
    points: list[tuple[float, float]], history: list[tuple[float, float]] | None
) -> list[tuple[float, float]]:
    if not history:
        return points
    moved = points[0][0] - history[-1][0] - 24 * 3600
    return [*((at + moved, value) for at, value in history), *points]


@lru_cache(maxsize=8)
def _petshop_metrics(file: Path) -> Points:
    """Columns are (node, metric, statistic) in three header lines, rows are times; a blank is no sample."""
    with file.open(encoding="utf-8", newline="") as source:
        rows = list(csv.reader(source))
    nodes, metrics, statistics = rows[:3]
    found: Points = defaultdict(list)
    for row in rows[4:]:
        for column, value in enumerate(row[1:], 1):
            if value:
                key = nodes[column], f"{metrics[column]}_{statistics[column]}"
                found[key].append((float(row[0]), float(value)))
    return {key: sorted(points) for key, points in found.items()}


@lru_cache(maxsize=8)
def _graph(file: Path) -> Mapping[str, tuple[str, ...]]:
    """An adjacency matrix: the row's node calls the column's."""
    with file.open(encoding="utf-8", newline="") as source:
        head, *rows = list(csv.reader(source))
    return {
        row[0]: tuple(node for node, edge in zip(head[1:], row[1:], strict=True) if float(edge))
        for row in rows
    }


def root_cause_bench(folder: Path) -> Iterator[Case]:
    for truth in sorted(folder.glob("*/ground_truth.json")):
        told = json.loads(truth.read_text("utf-8"))
        data = truth.parent / "data"
        alert = json.loads((data / "alert.json").read_text("utf-8"))
        series = _bench_metrics(data / "metrics.csv")
        symptom = next(
            (each for each in series if (each.service, each.name) == (alert["service"], alert["metric"])),
            None,
        )
        yield Case(
            truth.parent.name,
            Observations(
                service=alert["service"],
                alerted_at=_time(alert["fired_at"]),
                title=" ".join(str(alert.get(key, "")) for key in ("monitor", "summary", "detail")).strip(),
                symptom=symptom,
                series=series,
                logs=tuple(_log(json.loads(line)) for line in _lines(data / "logs.ndjson")),
                spans=tuple(_spans(_list(data / "traces.json"))),
                changes=tuple(_changes(data / "context")),
                sources_asked=frozenset({"prometheus", "loki", "tempo", "deploys", "github", "flags"}),
            ),
            told["root_cause_commit"],
            frozenset(told.get("decoy_deploy_commits", ())),
        )


def _bench_metrics(file: Path) -> tuple[Series, ...]:
    found: Points = defaultdict(list)
    with file.open(encoding="utf-8", newline="") as source:
        for row in csv.DictReader(source):
            found[row["service"], row["metric"]].append((_time(row["timestamp"]), float(row["value"])))
    return tuple(Series(name, tuple(sorted(points)), service) for (service, name), points in found.items())


def _log(row: Mapping[str, Any]) -> LogLine:
    known = {"timestamp", "service", "severity_text", "msg", "trace_id"}
    return LogLine(
        at=_time(row["timestamp"]),
        text=str(row.get("msg", "")),
        service=row.get("service"),
        level=str(row.get("severity_text", "")).lower(),
        trace_id=row.get("trace_id"),
        labels={key: str(value) for key, value in row.items() if key not in known},
    )


def _spans(rows: list[Mapping[str, Any]]) -> Iterator[Span]:
    known = {"trace_id", "span_id", "parent_id", "service", "name", "start", "duration_ms", "status", "error"}
    trace = ""
    for row in rows:
        # "same" stands for the trace of the row above.
        trace = trace if row["trace_id"] == "same" and trace else row["trace_id"]
        attributes = {**row, **row.get("attributes", {})}
        yield Span(
            trace_id=trace,
            span_id=row["span_id"],
            service=row["service"],
            name=row["name"],
            start=_time(row["start"]),
            duration_ms=float(row["duration_ms"]),
            parent_id=row.get("parent_id"),
            failed=row.get("status") == "ERROR",
            error=row.get("error"),
            attributes={key: str(value) for key, value in attributes.items() if key not in known},
        )


def _changes(folder: Path) -> Iterator[Change]:
    for row in _list(folder / "commits.json"):
        yield Change(
            kind="commit",
            id=row["sha"],
            at=_time(row["timestamp"]),
            title=row["message"],
            author=row.get("author"),
            files=tuple(row.get("files_changed") or ()),
            diff=row.get("diff"),
        )
    for row in _list(folder / "deploys.json"):
        yield Change(
            kind="deploy",
            id=row["version"],
            at=_time(row["timestamp"]),
            title=f"{row['version']} of {row['service']}",
            service=row["service"],
            commits=(row["commit_sha"],),
        )
    for row in _list(folder / "flags.json"):
        yield Change(
            kind="flag",
            id=row["flag"],
            at=_time(row["timestamp"]),
            title=f"{row['flag']} {row.get('change', '')}".strip(),
            service=row.get("service"),
            author=row.get("actor"),
        )


def _list(file: Path) -> list[Mapping[str, Any]]:
    return list(json.loads(file.read_text("utf-8"))) if file.exists() else []


def _lines(file: Path) -> list[str]:
    return [line for line in file.read_text("utf-8").splitlines() if line.strip()] if file.exists() else []


def _time(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()
