"""`./run drill [NAME …]`: brings faults upon the program under load, and prints who was answered."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import signal
import sys
from pathlib import Path

from drills import database, slack, workers
from drills.drill import Drill, carry_out
from drills.ground import own_folder, server
from drills.table import keep, kept, page, table
from drills.tally import Outcome

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / ".bench" / "drill.json"
PAGE = ROOT / "docs" / "drills.md"
DRILLS = {each.name: each for family in (workers, database, slack) for each in family.DRILLS}
FULL_SECONDS = 60.0
QUICK_SECONDS = 8.0
HELP = """\
Everything runs on loopback against servers of its own, which are removed at the end. Exit code 1 when anybody
was lost or answered twice. A drill that cannot take place here says why, and fails nothing.

examples:
  ./run drill                       all of them; half an hour
  ./run drill --quick               all of them, each fault for a few seconds
  ./run drill kill slack-429        two of them
  ./run drill postgres-full --seconds 20
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="./run drill",
        description=__doc__,
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help="which ones; all, without")
    parser.add_argument("--list", action="store_true", help="say which there are")
    parser.add_argument("--quick", action="store_true", help=f"faults last {QUICK_SECONDS:g} s")
    parser.add_argument(
        "--seconds", type=float, default=None, help=f"how long faults last  [{FULL_SECONDS:g}]"
    )
    parser.add_argument("--page", action="store_true", help=f"write what was kept of runs into {PAGE.name}")
    options = parser.parse_args(arguments)
    if options.list:
        width = max(map(len, DRILLS))
        print("\n".join(f"{name.ljust(width)}  {each.what}" for name, each in DRILLS.items()))
        return 0
    if options.page:
        PAGE.write_text(page(PAGE.read_text("utf-8"), kept(OUT), list(DRILLS)), "utf-8")
        print(f"written to {PAGE.relative_to(ROOT)}")
        return 0
    if unknown := [name for name in options.names if name not in DRILLS]:
        near = difflib.get_close_matches(unknown[0], DRILLS, n=1)
        hint = f"did you mean {near[0]}?" if near else "./run drill --list says which there are."
        parser.error(f"there is no drill {', '.join(unknown)}; {hint}")
    chosen = [DRILLS[name] for name in options.names or DRILLS]
    seconds = options.seconds or (QUICK_SECONDS if options.quick else FULL_SECONDS)
    # As with Ctrl-C, what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    outcomes = asyncio.run(run(chosen, seconds))
    print(f"\n{table(outcomes)}\n")
    keep(OUT, outcomes, seconds, sys.argv[1:])
    print(f"written to {OUT.relative_to(ROOT)}")
    return int(any(each.failed for each in outcomes))


async def run(drills: list[Drill], seconds: float) -> list[Outcome]:
    """One after the other, each told of as it ends."""
    outcomes = []
    async with own_folder() as folder, server(folder) as shared:
        for drill in drills:
            print(f"· {drill.name}: {drill.what}", flush=True)
            outcome = await carry_out(drill, shared, seconds, folder / drill.name)
            outcomes.append(outcome)
            print(f"  {told(outcome)}", flush=True)
    return outcomes


def told(outcome: Outcome) -> str:
    if outcome.not_run:
        return f"not run: {outcome.not_run}"
    told = (
        f"{outcome.accepted} accepted, {outcome.lost} lost, {outcome.twice} twice, "
        f"silent for {outcome.silence:.1f} s at most; took {outcome.took:.0f} s"
    )
    return "\n  ".join([told, *outcome.trouble])


if __name__ == "__main__":
    sys.exit(main())
