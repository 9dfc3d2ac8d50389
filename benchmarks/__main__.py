"""`python -m benchmarks [NAME]`: measures the program on this machine and prints a table."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import console, conversation, investigation, rca, retention, runbooks, scale, workflows
from benchmarks.figures import Row, machine, median_of, table

OUT = Path(__file__).resolve().parent.parent / ".bench"
BENCHMARKS: dict[str, Any] = {
    "console": console,
    "conversation": conversation,
    "investigation": investigation,
    "retention": retention,
    "runbooks": runbooks,
    "scale": scale,
    "workflows": workflows,
}
HELP = f"""\
benchmarks:
  console        the pages of /console on 100,000 audit rows and what goes with them; parts pages and export.
                 Two minutes.
  conversation   from a mention in Slack to its streamed answer: ack, 👀, first text, turns per CPU-second,
                 memory, start, and what a thread costs when it is old. About ten minutes a run.
  investigation  from a page to its thread, its evidence brief and its final brief, webhooks at 200/s, and a
                 storm of 5,000 alerts, with systems at 200 ms of which one hangs. About ten minutes a run.
  rca            whether causes are ranked right without a model, on the recorded incidents of ../shared/data;
                 --show says why. Half a minute.
  retention      how fast a million old messages go, and what turns notice of it. Under four minutes.
  runbooks       whether an alert's text finds its runbook among those of ../shared/data/runbooks, how fast,
                 in how much memory. Two seconds; its parts are recall and speed.
  scale          the same turns by one, two and four processes on one Postgres: turns per CPU-second, latency,
                 connections, database time a turn. Two minutes; its parts are one, two and four.
  workflows      how long a workflow takes from a message to the next question, without model and database
                 (half a minute; parts usual and largest), and whether 1,000 sessions survive kill -9 (part
                 killed; some minutes).

parts of conversation, for --only:
  start     how long `serve` takes until it is ready, and its memory then
  paced     latencies at 1, 10 and 100 threads at once with a model of real speed; the prompt cache
  instant   turns per CPU-second with a model that answers at once; memory after 1,000 sessions
  age       database time of turn 1,000 of a thread against turn 10

parts of investigation, for --only:
  page      one page alone and three at once, with a model of real speed; what the model has to read
  webhook   answers at 200 alerts a second, half of them new
  storm     5,000 alerts of 1,000 incidents over 40 services in a minute: lost, shown twice, order, memory

examples:
  ./run bench                              the conversation
  ./run bench conversation --quick         a look, in about two minutes; its figures are no measurement
  ./run bench conversation --runs 3        each figure is the median of three runs
  ./run bench conversation --only paced
  ./run bench investigation --only page

Everything runs on loopback against servers of its own, which are removed at the end; DATABASE_URL, when set,
names a server where a database is created and dropped. A missed target is marked, and the exit code stays 0:
a benchmark reports. The figures also go to {OUT.name}/NAME.json.
"""


def main() -> int:
    if sys.argv[1:2] == ["rca"]:
        return rca.main(sys.argv[2:])  # with options of its own
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description=__doc__,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", default="conversation", choices=sorted(BENCHMARKS), metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="a short run, to see that it works")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="repeat, and report the medians")
    parser.add_argument("--only", action="append", metavar="PART", help="one part; may be repeated")
    options = parser.parse_args()
    measured = BENCHMARKS[options.name]
    parts = tuple(options.only or measured.PARTS)
    if unknown := set(parts) - set(measured.PARTS):
        parser.error(f"{options.name} has no part {', '.join(unknown)}; it has {', '.join(measured.PARTS)}")
    # As with Ctrl-C, what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    size = measured.QUICK if options.quick else measured.FULL
    before = machine()
    print(measured.SCRIPT)
    print("machine   " + ", ".join(f"{name} {value}" for name, value in before.items()))
    if conversation.load_is_high():
        print("          this machine is busy with something else: the figures will be worse than they are")
    runs: list[list[Row]] = []
    for number in range(options.runs):
        print(f"\nrun {number + 1} of {options.runs}", flush=True)
        runs.append(asyncio.run(measured.run(size, parts)))
    rows = median_of(runs)
    print(f"\n{table(rows)}\n")
    _keep(options.name, before, runs, rows)
    return 0


def _keep(name: str, before: dict[str, str], runs: list[list[Row]], rows: list[Row]) -> None:
    OUT.mkdir(exist_ok=True)
    file = OUT / f"{name}.json"
    whole = {
        "command": " ".join(["python", "-m", "benchmarks", *sys.argv[1:]]),
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": before,
        "rows": [_told(row) for row in rows],
        "runs": [[_told(row) for row in run] for run in runs],
    }
    file.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"written to {file.relative_to(OUT.parent)}")


def _told(row: Row) -> dict[str, object]:
    met = row.target.met(row) if row.target else None
    return {**asdict(row), "target": str(row.target) if row.target else None, "met": met}


if __name__ == "__main__":
    sys.exit(main())
