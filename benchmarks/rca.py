"""How well causes are ranked without a model: PetShop's nodes, and the commits of RootCauseBench.

    ./run bench rca [--data FOLDER] [--show]

Every case is ranked as recorded, with the alert 60 s and 120 s later than it came, with each kind of source
dropped, with the culprit taken away, and with every service renamed at random (which must change nothing).
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from app.investigations.evidence import Observations, Ranking
from app.investigations.ranking import rank
from app.investigations.ranking.ordering import names
from benchmarks.figures import Row, Target, machine, spread, table
from benchmarks.recorded import NONE, Case, petshop, root_cause_bench

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT.parent / "shared" / "data"
OUT = ROOT / ".bench"
LATE = (0, 60, 120)
RUNS = 3
SOURCES = ("series", "logs", "spans", "diffs", "calls")


@dataclass(frozen=True)
class Answer:
    """What the ranking said about a case; `place` is that of the true node, 1 for the best."""

    case: str
    expected: str
    said: str
    right: bool
    blamed_decoy: bool
    unknown: bool
    place: int
    milliseconds: float
    ranking: Ranking


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="./run bench rca", description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--data", type=Path, default=DATA, help="the folder with petshop/ and rootcausebench/"
    )
    parser.add_argument("--show", action="store_true", help="each case with its first causes and why")
    options = parser.parse_args(arguments)
    nodes, commits = (
        list(petshop(options.data / "petshop")),
        list(root_cause_bench(options.data / "rootcausebench")),
    )
    if not nodes and not commits:
        print(
            f"There are no recorded incidents in {options.data}; petshop/ and rootcausebench/ belong there."
        )
        return 1
    before = machine()
    print("machine   " + ", ".join(f"{name} {value}" for name, value in before.items()))
    rows, shown = measure(nodes, commits)
    if options.show:
        show(shown)
    print(f"\n{table(rows)}\n")
    keep(before, rows, shown)
    return 0


def measure(nodes: Sequence[Case], commits: Sequence[Case]) -> tuple[list[Row], list[Answer]]:
    """All rows of the table, and the answers to the cases as they were recorded."""
    rows: list[Row] = []
    shown: list[Answer] = []
    for late in LATE:
        note = "as recorded" if not late else f"alert {late} s late"
        runs = 1 if late else RUNS
        on_nodes = [answer(case, later(late), runs=runs) for case in nodes]
        on_commits = [answer(case, later(late), runs=runs) for case in commits]
        rows += _node_rows(on_nodes, note, aim=True) + _commit_rows(on_commits, note, aim=True)
        shown += [] if late else [*on_nodes, *on_commits]
    rows.append(
        Row("time of a case", "ms", spread([each.milliseconds for each in shown]), target=Target("p99", 100))
    )
    for source in SOURCES:
        rows += _node_rows([answer(case, without(source)) for case in nodes], f"without {source}")
        rows += _commit_rows([answer(case, without(source)) for case in commits], f"without {source}")
    blamed = sum(blames_without_culprit(case) for case in commits)
    count = sum(case.answer != NONE for case in commits)
    note = f"of {count} cases"
    rows.append(Row("commits blamed when the culprit is taken away", "", {"value": blamed}, note=note))
    changed = sum(renamed_differs(case) for case in [*nodes, *commits])
    rows.append(
        Row(
            "rankings that change when everything is renamed",
            "",
            {"value": changed},
            target=Target("value", 0),
        )
    )
    return rows, shown


def answer(
    case: Case, change: Callable[[Observations], Observations] = lambda seen: seen, *, runs: int = 1
) -> Answer:
    """Rank one case; the time told is the median of `runs`."""
    observations = change(case.observations)
    milliseconds = []
    for _ in range(runs):
        start = time.perf_counter()
        ranking = rank(observations)
        milliseconds.append((time.perf_counter() - start) * 1000)
    said = commit_named(ranking, case.observations)
    is_node = not case.observations.changes
    place = ranking.services.index(case.answer) + 1 if case.answer in ranking.services else 10**6
    return Answer(
        case=case.name,
        expected=case.answer,
        said=(next(iter(ranking.services), "unknown") if is_node else said),
        right=place == 1 if is_node else said == case.answer,
        blamed_decoy=not is_node and said in case.decoys,
        unknown=ranking.verdict == "unknown",
        place=place,
        milliseconds=median(milliseconds),
        ranking=ranking,
    )


def commit_named(ranking: Ranking, seen: Observations) -> str:
    """The commit a ranking blames, `none` when it says that it was none of the changes, else `unknown`.

    A flag or a component that is blamed is the answer that no commit did it.
    """
    if ranking.verdict == "unknown" or not ranking.causes:
        return "unknown"
    if ranking.verdict == "none_of_the_changes":
        return NONE
    blamed = ranking.causes[0].change_id
    commits = {change.id for change in seen.changes if change.kind == "commit"}
    carried = {change.id: change.commits for change in seen.changes if change.kind == "deploy"}
    if blamed in commits:
        return str(blamed)
    return next(iter(carried.get(str(blamed), ())), NONE)


def later(seconds: float) -> Callable[[Observations], Observations]:
    return lambda seen: replace(seen, alerted_at=seen.alerted_at + seconds)


def without(source: str) -> Callable[[Observations], Observations]:
    """Without one kind of source; the symptom's own series stays, for it is what pages."""

    def drop(seen: Observations) -> Observations:
        kept = () if seen.symptom is None else (seen.symptom,)
        return {
            "series": replace(seen, series=kept),
            "logs": replace(seen, logs=()),
            "spans": replace(seen, spans=()),
            "diffs": replace(seen, changes=tuple(replace(each, diff=None) for each in seen.changes)),
            "calls": replace(seen, depends_on={}),
        }[source]

    return drop


def blames_without_culprit(case: Case) -> bool:
    """Whether another commit is named when the one that did it is not among the changes."""
    if case.answer == NONE:
        return False
    left = tuple(
        each
        for each in case.observations.changes
        if each.id != case.answer and case.answer not in each.commits
    )
    seen = replace(case.observations, changes=left)
    return commit_named(rank(seen), seen) not in (NONE, "unknown")


def renamed_differs(case: Case) -> bool:
    """Whether the ranking changes when services get random names."""
    chance = random.Random(case.name)
    seen = case.observations
    others = {
        service: "".join(chance.choices("bcdfghjklmnpqrstvwxz", k=12)) for service in sorted(_services(seen))
    }
    plain, renamed = rank(seen), rank(_renamed(seen, others))
    return (
        plain.verdict != renamed.verdict
        or [others.get(each, each) for each in plain.services[:1]] != list(renamed.services[:1])
        or [each.change_id for each in plain.causes[:1]] != [each.change_id for each in renamed.causes[:1]]
    )


def _services(seen: Observations) -> frozenset[str]:
    return names(
        (each.service for each in seen.series),
        (each.service for each in seen.logs),
        (each.service for each in seen.spans),
        (each.service for each in seen.changes),
        seen.depends_on,
        (callee for callees in seen.depends_on.values() for callee in callees),
    )


def _renamed(seen: Observations, others: Mapping[str, str]) -> Observations:
    def new(text: str) -> str:
        # The longest first, for one name may begin another.
        for name in sorted(others, key=len, reverse=True):
            text = text.replace(name, others[name])
        return text

    def named(service: str | None) -> str | None:
        return others.get(service, service) if service else service

    return replace(
        seen,
        service=named(seen.service),
        title=new(seen.title),
        symptom=replace(seen.symptom, service=named(seen.symptom.service)) if seen.symptom else None,
        series=tuple(replace(each, service=named(each.service)) for each in seen.series),
        logs=tuple(replace(each, service=named(each.service), text=new(each.text)) for each in seen.logs),
        spans=tuple(replace(each, service=others[each.service], name=new(each.name)) for each in seen.spans),
        changes=tuple(
            replace(each, service=named(each.service), title=new(each.title)) for each in seen.changes
        ),
        depends_on={
            others[caller]: tuple(others[callee] for callee in callees)
            for caller, callees in seen.depends_on.items()
        },
    )


def _node_rows(answers: Sequence[Answer], note: str, *, aim: bool = False) -> list[Row]:
    if not answers:
        return []
    first = sum(each.place == 1 for each in answers)
    third = sum(each.place <= 3 for each in answers)
    count = len(answers)
    return [
        Row(
            f"PetShop AC@1 of {count}", "", {"value": first}, note=note, target=_share(count, 12, 16, aim=aim)
        ),
        Row(
            f"PetShop AC@3 of {count}", "", {"value": third}, note=note, target=_share(count, 15, 16, aim=aim)
        ),
    ]


def _commit_rows(answers: Sequence[Answer], note: str, *, aim: bool = False) -> list[Row]:
    if not answers:
        return []
    count = len(answers)
    right = sum(each.right for each in answers)
    blamed = sum(each.blamed_decoy for each in answers)
    unknown = sum(each.unknown for each in answers)
    return [
        Row(
            f"RootCauseBench right of {count}",
            "",
            {"value": right},
            note=note,
            target=_share(count, 6, 8, aim=aim),
        ),
        Row("  decoys blamed", "", {"value": blamed}, note=note, target=Target("value", 0) if aim else None),
        Row("  “do not know”", "", {"value": unknown}, note=note),
    ]


def _share(count: int, wanted: int, of: int, *, aim: bool) -> Target | None:
    return Target("value", round(count * wanted / of), at_least=True) if aim else None


def show(answers: Sequence[Answer]) -> None:
    for each in answers:
        mark = "right" if each.right else "BLAMED A DECOY" if each.blamed_decoy else "wrong"
        found = each.ranking
        print(f"\n{each.case}: {mark} · said {each.said[:40]} · expected {each.expected[:40]}")
        print(f"  {found.verdict} {found.confidence} · services {', '.join(found.services[:4])}")
        for cause in each.ranking.causes[:4]:
            print(f"  {cause.score:.2f} {cause.statement}")
            for sign, reasons in (("+", cause.reasons_for), ("-", cause.reasons_against)):
                for reason in reasons:
                    print(f"       {sign}{reason.weight:.2f} {reason.text}")


def keep(before: Mapping[str, str], rows: Sequence[Row], answers: Sequence[Answer]) -> None:
    OUT.mkdir(exist_ok=True)
    file = OUT / "rca.json"
    whole = {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": dict(before),
        "rows": [
            {
                "name": row.name,
                "note": row.note,
                "figures": {str(name): value for name, value in row.figures.items()},
            }
            for row in rows
        ],
        "cases": [
            {
                "case": each.case,
                "expected": each.expected,
                "said": each.said,
                "right": each.right,
                "blamed_decoy": each.blamed_decoy,
                "milliseconds": round(each.milliseconds, 2),
            }
            for each in answers
        ],
    }
    file.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"written to {file.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
