"""How outcomes are shown, and kept beside those of earlier runs: all drills together take long."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from shlex import quote
from typing import Any

from benchmarks.figures import aligned, machine
from benchmarks.stand import ROOT
from drills.tally import Outcome

BEGIN, END = "<!-- drills -->", "<!-- end of drills -->"
HEAD = ("drill", "accepted", "answered", "lost", "answered twice", "silence", "of pages", "held")


def table(outcomes: Sequence[Outcome]) -> str:
    return aligned([HEAD, *map(_cells, outcomes)])


def _cells(outcome: Outcome) -> tuple[str, ...]:
    empty = ("",) * (len(HEAD) - 2)
    if outcome.not_run is not None:
        return (outcome.name, *empty, f"not run: {outcome.not_run}")
    if outcome.failed_with is not None:
        return (outcome.name, *empty, f"NO: {outcome.failed_with}")
    figures = (outcome.accepted, outcome.answered, outcome.lost, outcome.twice)
    held = "yes" if outcome.held else "NO"
    silent = (f"{each:.1f} s" if each else "" for each in (outcome.silence, outcome.silence_of_pages))
    return (outcome.name, *map(str, figures), *silent, held)


@dataclass(frozen=True)
class Run:
    """What belongs to the figures of one run of the command."""

    seconds: float
    arguments: Sequence[str]
    machine: Mapping[str, str] = field(default_factory=machine)

    def told(self) -> dict[str, Any]:
        return {
            "command": " ".join(["./run", "drill", *map(quote, self.arguments)]),
            "commit": commit(),
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "fault_seconds": self.seconds,
            "machine": self.machine,
        }


def keep(file: Path, outcome: Outcome, run: Run) -> None:
    """Add it to the file, in place of what an earlier run of its drill left there."""
    held = None if outcome.not_run is not None else outcome.held
    row = {**asdict(outcome), "lost": outcome.lost, "held": held, "run": run.told()}
    rows = {**{each["name"]: each for each in kept(file)}, outcome.name: row}
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps({"rows": list(rows.values())}, indent=1, ensure_ascii=False) + "\n", "utf-8")


def kept(file: Path) -> list[dict[str, Any]]:
    """The rows of a file that `keep` wrote; none when there is no such file."""
    try:
        found: list[dict[str, Any]] = json.loads(file.read_text("utf-8"))["rows"]
    except FileNotFoundError:
        return []
    return found


def page(text: str, rows: Sequence[dict[str, Any]], order: Sequence[str]) -> str:
    """A page of documentation with the table of these rows between its two marks, and what has no row yet."""
    known = {row["name"]: row for row in rows}
    found = [known[name] for name in order if name in known]
    names = {each.name for each in fields(Outcome)}
    outcomes = [Outcome(**{name: value for name, value in row.items() if name in names}) for row in found]
    runs = {json.dumps(_of_machine(row["run"])): _of_machine(row["run"]) for row in found}
    said = "\n".join(f"{' · '.join(each)}  " for each in runs.values())
    missing = [name for name in order if name not in known]
    lacking = f"\n\nNo run of these was kept: {', '.join(missing)}." if missing else ""
    before, _, rest = text.partition(BEGIN)
    after = rest.partition(END)[2]
    return f"{before}{BEGIN}\n{said}\n\n{table(outcomes)}{lacking}\n{END}{after}"


def _of_machine(run: dict[str, Any]) -> list[str]:
    machine = ", ".join(f"{name} {value}" for name, value in run["machine"].items() if name != "load before")
    return [f"`{run['command']}`", f"commit {run['commit']}", run["at"][:10], machine]


def commit() -> str | None:
    """The commit of this checkout, where it is one."""
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    return said.stdout.strip() or None
