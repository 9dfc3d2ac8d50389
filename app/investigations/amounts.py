"""Measured values in words: `0.0312` of unit `ratio` is “3.1 %”, `0.42` of unit `seconds` is “420 ms”."""

from __future__ import annotations

import math
from collections.abc import Sequence

Scale = tuple[float, str]
"""What a value is divided by, and what is written behind it."""

SCALES: dict[str, Sequence[Scale]] = {
    "ratio": ((0.01, " %"),),
    "percent": ((1, " %"),),
    "seconds": ((3600, " h"), (60, " min"), (1, " s"), (1e-3, " ms"), (1e-6, " µs")),
    "bytes": ((2**40, " TiB"), (2**30, " GiB"), (2**20, " MiB"), (2**10, " KiB"), (1, " B")),
    "1/s": ((1e9, "G/s"), (1e6, "M/s"), (1e3, "k/s"), (1, "/s")),
    "": ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1, "")),
}
"""By unit of a `Series`, the largest first."""

SECONDS_KEPT = 120
"""Below two minutes, seconds say more than minutes."""


def scale(unit: str, highest: float) -> Scale:
    """The scale in which a chart whose largest magnitude is `highest` reads well."""
    scales = SCALES.get(unit, SCALES[""])
    highest = highest or 1
    if unit == "seconds" and 1 <= abs(highest) < SECONDS_KEPT:
        return 1, " s"
    return next((each for each in scales if abs(highest) >= each[0]), scales[-1])


def amount(value: float, unit: str) -> str:
    """One value with at most three significant digits, never in powers of ten; `-` when it is no number."""
    if not math.isfinite(value):
        return "-"
    by, suffix = scale(unit, value)
    return digits(value / by) + suffix


def digits(number: float) -> str:
    size = abs(number)
    if size >= 100 or size == 0:
        return f"{number:,.0f}"
    places = 1 if size >= 10 else 2 if size >= 0.01 else min(9, 1 - math.floor(math.log10(size)))
    written = f"{number:.{places}f}".rstrip("0").rstrip(".")
    return "0" if written in ("-0", "") else written
