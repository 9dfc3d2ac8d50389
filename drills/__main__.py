"""`./run drill [NAME …]`: brings faults upon the program under load, and prints who was answered."""

from __future__ import annotations

import argparse
import asyncio
import difflib
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from drills import database, dying, machine_faults, model_faults, slack, surroundings, versions, workers
from drills.drill import Drill, Terms, carry_out
from drills.ground import own_folder, server
from drills.table import Run, keep, kept, page, table
from drills.tally import Outcome

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / ".bench" / "drill.json"
PAGE = ROOT / "docs" / "drills.md"
FAMILIES = (workers, versions, dying, database, slack, model_faults, surroundings, machine_faults)
DRILLS = {each.name: each for family in FAMILIES for each in family.DRILLS}
GROUPS = {each.family for each in DRILLS.values() if each.family}
FULL_SECONDS = 60.0
QUICK_SECONDS = 8.0
HELP = """\
Everything runs on loopback against servers of its own, which are removed at the end. Exit code 1 when anybody
was lost or answered twice. A drill that cannot take place here says why, and fails nothing.

examples:
  ./run drill                       all of them; an hour
  ./run drill --quick               all of them, each fault for a few seconds
  ./run drill kill slack-429        two of them
  ./run drill postgres-full --seconds 20
  ./run drill kill-page             a worker dies at each moment of an investigation
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
    parser.add_argument(
        "--against", metavar="COMMIT", help="the version before, for `versions`  [last tag, or parent]"
    )
    parser.add_argument("--at-once", type=int, default=1, metavar="N", help="how many side by side  [1]")
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
    if unknown := [name for name in options.names if name not in DRILLS.keys() | GROUPS]:
        near = difflib.get_close_matches(unknown[0], [*GROUPS, *DRILLS], n=1)
        hint = f"did you mean {near[0]}?" if near else "./run drill --list says which there are."
        parser.error(f"there is no drill {', '.join(unknown)}; {hint}")
    wanted = options.names or list(DRILLS)
    chosen = [each for each in DRILLS.values() if {each.name, each.family} & set(wanted)]
    seconds = options.seconds or (QUICK_SECONDS if options.quick else FULL_SECONDS)
    # What hangs on purpose is cut off at the end of its drill.
    logging.getLogger("uvicorn.error").addFilter(lambda _: False)
    # As with Ctrl-C, what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    how = Run(seconds, sys.argv[1:] if arguments is None else arguments)

    def ended(outcome: Outcome) -> None:
        print(f"· {outcome.name}: {DRILLS[outcome.name].what}\n  {told(outcome)}", flush=True)
        keep(OUT, outcome, how)

    try:
        outcomes = asyncio.run(run(chosen, Terms(seconds, options.against), options.at_once, ended))
    except KeyboardInterrupt:
        print(f"Cut short; {OUT.relative_to(ROOT)} has what had ended.")
        return 130
    print(f"\n{table(outcomes)}\n\nwritten to {OUT.relative_to(ROOT)}")
    return int(any(each.failed for each in outcomes))


async def run(
    drills: Sequence[Drill],
    terms: Terms,
    at_once: int = 1,
    ended: Callable[[Outcome], None] = lambda _: None,
) -> list[Outcome]:
    """Their outcomes in their order; `ended` hears of each as it ends."""
    places = asyncio.Semaphore(at_once)

    async def one(number: int, drill: Drill) -> Outcome:
        async with places:
            outcome = await carry_out(drill, shared, terms, folder / str(number))
        ended(outcome)
        return outcome

    async with own_folder() as folder, server(folder) as shared:
        return list(await asyncio.gather(*(one(number, each) for number, each in enumerate(drills))))


def told(outcome: Outcome) -> str:
    if outcome.not_run:
        return f"not run: {outcome.not_run}"
    if outcome.failed_with:
        return "\n  ".join([f"failed: {outcome.failed_with}", *outcome.trouble])
    told = (
        f"{outcome.accepted} accepted, {outcome.lost} lost, {outcome.twice} twice, "
        f"silent for {outcome.silence:.1f} s at most, {outcome.silence_of_pages:.1f} s in a page's thread; "
        f"took {outcome.took:.0f} s"
    )
    return "\n  ".join([told, *outcome.trouble])


if __name__ == "__main__":
    sys.exit(main())
