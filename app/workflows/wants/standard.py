"""What a tier owes, read from its page in `tiers/`: the rows of its table and its checklist. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from app.workflows.in_words import seconds

ROW = re.compile(r"^\s*\|(.+)\|\s*$")
RULE = re.compile(r"^[\s|:-]+$")
CHECK = re.compile(r"^\s*[-*]\s+\[[ xX]\]\s+(.+)$")
PERCENT = re.compile(r"(\d+(?:\.\d+)?)\s*%")
TIME = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|min)\b")


@dataclass(frozen=True)
class Standard:
    """`rows` are what the tier requires by matter; targets are in percent and seconds, None for none."""

    tier: int | None = None
    rows: Mapping[str, str] = field(default_factory=dict)
    checklist: tuple[str, ...] = ()
    availability: float | None = None
    latency_share: float | None = None
    latency_seconds: float | None = None

    @property
    def named(self) -> str:
        return f"tier {self.tier}" if self.tier else "no tier"


def standard_of(tier: int | None, text: str) -> Standard:
    """The standard that a tier's page states; what it does not state is None."""
    rows = {cells[0]: cells[1] for cells in table_rows(text) if len(cells) == 2}
    named = {name.lower(): said for name, said in rows.items()}
    availability = next((said for name, said in named.items() if name.startswith("availability")), "")
    latency = next((said for name, said in named.items() if name.startswith("latency")), "")
    time = TIME.search(latency)
    return Standard(
        tier,
        rows,
        tuple(match[1].strip() for line in text.splitlines() if (match := CHECK.match(line))),
        _percent(availability),
        _percent(latency),
        seconds(f"{time[1]}{'m' if time[2] == 'min' else time[2]}") if time else None,
    )


def table_rows(text: str) -> Iterator[tuple[str, ...]]:
    """The rows of all tables of a markdown text, without their heads."""
    for _, cells in tables(text):
        yield from cells


def tables(text: str) -> Iterator[tuple[tuple[str, ...], list[tuple[str, ...]]]]:
    """The tables of a markdown text: head and rows."""
    head: tuple[str, ...] = ()
    rows: list[tuple[str, ...]] = []
    for line in [*text.splitlines(), ""]:
        match = ROW.match(line)
        if match is None:
            if head and rows:
                yield head, rows
            head, rows = (), []
        elif RULE.match(line):
            continue
        elif head:
            rows.append(_cells(match[1]))
        else:
            head = _cells(match[1])


def _cells(row: str) -> tuple[str, ...]:
    return tuple(re.sub(r"[*_`]{1,2}", "", cell).strip() for cell in re.split(r"(?<!\\)\|", row))


def _percent(said: str) -> float | None:
    match = PERCENT.search(said)
    return float(match[1]) if match else None
