"""Values that became others between two lines: numbers with their units, versions, switches."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

SECONDS = {
    **dict.fromkeys(("ns", "nanosecond"), 1e-9),
    **dict.fromkeys(("us", "microsecond"), 1e-6),
    **dict.fromkeys(("ms", "milli", "millisecond"), 1e-3),
    **dict.fromkeys(("s", "sec", "second"), 1.0),
    **dict.fromkeys(("m", "min", "minute"), 60.0),
    **dict.fromkeys(("h", "hour"), 3600.0),
    **dict.fromkeys(("d", "day"), 86400.0),
}
BYTES = {"b": 1.0, "kb": 1e3, "mb": 1e6, "gb": 1e9, "k": 1e3, "g": 1e9, "t": 1e12}
BINARY = {"ki": 2.0**10, "kib": 2.0**10, "mi": 2.0**20, "mib": 2.0**20, "gi": 2.0**30, "gib": 2.0**30}
UNITS = {**BYTES, **BINARY, **SECONDS}
NUMBER = re.compile(
    r"(?<![\w.])-?(\d+(?:_\d{3})*(?:\.\d+)?)(?:\s*\*?\s*(?:time\.|Duration\.)?([A-Za-z]+)\b)?(?![\w.])"
)
SWITCH = re.compile(r"\b(?:true|false|on|off|yes|no|enabled?|disabled?|none|null|nil)\b", re.IGNORECASE)
QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`")
NAME = re.compile(r"[A-Za-z_][\w.-]*")
VERSION = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?")
KEYWORDS = frozenset(
    {"const", "let", "var", "val", "final", "static", "public", "private", "return", "export"}
)


@dataclass(frozen=True)
class Value:
    """`name` is the last name before the value; `weight` 0–1 grows with how far apart the two are."""

    name: str
    before: str
    after: str
    weight: float
    is_text: bool = False


def changed_values(lines: Sequence[str], others: Sequence[str]) -> tuple[Value, ...]:
    """The values in which a line of one side differs from one of the other that is else the same."""
    found: dict[tuple[str, str, str], Value] = {}
    for pattern in (NUMBER, SWITCH, QUOTED):
        counterparts: dict[str, str] = {}
        for other in others:
            counterparts.setdefault(_skeleton(pattern, other), other)
        for line in lines:
            other_line = counterparts.get(_skeleton(pattern, line))
            value = _first_difference(pattern, line, other_line) if other_line is not None else None
            if value is not None:
                found.setdefault((value.name, value.before, value.after), value)
    return tuple(found.values())


def _first_difference(pattern: re.Pattern[str], line: str, other: str) -> Value | None:
    for was, now in zip(pattern.finditer(line), pattern.finditer(other), strict=False):
        if was[0] != now[0]:
            name = _name_before(line[: was.start()])
            before, after = was[0].strip()[:60], now[0].strip()[:60]
            return Value(name, before, after, _weight(pattern, was, now), is_text=pattern is QUOTED)
    return None


def version_weight(removed: Sequence[str], added: Sequence[str]) -> float:
    """How much a bump of versions may change: a patch next to nothing, a major release a lot."""
    pairs = list(zip(_versions(removed), _versions(added), strict=False))
    return max((_bump(was, now) for was, now in pairs), default=0.2)


def _versions(lines: Sequence[str]) -> list[tuple[int, ...]]:
    return [tuple(int(part or 0) for part in found.groups()) for line in lines if (found := _last(line))]


def _last(line: str) -> re.Match[str] | None:
    return next(reversed(list(VERSION.finditer(line[:500]))), None)


def _bump(was: tuple[int, ...], now: tuple[int, ...]) -> float:
    if was[0] != now[0]:
        return 0.5
    return 0.25 if was[1] != now[1] else 0.1


def _skeleton(pattern: re.Pattern[str], line: str) -> str:
    return "".join(pattern.sub("§", line).split())


def _name_before(text: str) -> str:
    names = [name for name in NAME.findall(text) if name.lower() not in KEYWORDS]
    return names[-1] if names else "a value"


def _weight(pattern: re.Pattern[str], was: re.Match[str], now: re.Match[str]) -> float:
    if pattern is SWITCH:
        return 0.75
    if pattern is QUOTED:
        return 0.5
    before, after = _number(was), _number(now)
    if before == after:
        return 0.05
    if before <= 0 or after <= 0:
        return 0.85
    # Twice as much or half as much is tuning; ten times is another behaviour.
    return min(0.4 + 0.2 * abs(math.log2(after / before)), 0.95)


def _number(found: re.Match[str]) -> float:
    value = float(found[1].replace("_", "")[:300])
    unit = (found[2] or "").lower()
    return value * UNITS.get(unit, UNITS.get(unit.removesuffix("s"), 1.0))
