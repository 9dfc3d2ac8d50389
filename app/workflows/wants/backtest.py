"""What a target would have meant: budget used, when it was spent, and which pages would have gone out. Pure.

Burn rates are those of `standards/alerting.md`: share of the budget × 28 days / long window. Short windows
are not looked at: the history is too coarse for them, and they only end an alert sooner.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from app.workflows.wants.counts import DAY, Count, Counts

WINDOW = 28 * DAY
PAGES = ((0.02, 3600.0), (0.05, 6 * 3600.0))
"""Share of the budget, and the window in which it is burnt, that page."""
TICKET = (0.10, 3 * DAY)


@dataclass(frozen=True)
class Tested:
    """`used` is the share of the budget that is gone (1 is all); `spent_at` when it was first gone, None if
    never; `pages` and `tickets` are how often an alert would have begun; `worst` is the worst day (its
    beginning) and the share of the budget it took."""

    target: float
    delivered: float
    used: float
    spent_at: float | None
    pages: int
    tickets: int
    worst: tuple[float, float] | None
    left: tuple[tuple[float, float], ...]
    """(time, share of the budget that is left), for the chart."""

    @property
    def kept(self) -> bool:
        return self.used <= 1


def backtest(history: Counts, target: float) -> Tested | None:
    """The history against a target in percent; None without a request, or without a budget (100 %)."""
    budget = history.valid * (1 - target / 100)
    if history.valid <= 0 or budget <= 0:
        return None
    left, gone, spent_at = [], 0.0, None
    for each in history.counts:
        gone += each.bad
        left.append((each.at, 1 - gone / budget))
        if spent_at is None and gone > budget * (1 + 1e-9):
            spent_at = each.at
    return Tested(
        target=target,
        delivered=100 * (1 - history.bad / history.valid),
        used=gone / budget,
        spent_at=spent_at,
        pages=_times(history, target, PAGES),
        tickets=_times(history, target, (TICKET,)),
        worst=_worst(history, budget),
        left=tuple(left),
    )


def _times(history: Counts, target: float, alerts: Sequence[tuple[float, float]]) -> int:
    """How often any of the alerts began."""
    burning = [
        any(burns) for burns in zip(*(_burning(history, target, *each) for each in alerts), strict=True)
    ]
    return sum(now and not before for before, now in zip([False, *burning], burning, strict=False))


def _burning(history: Counts, target: float, share: float, window: float) -> Iterator[bool]:
    """For each count whether the window that ends there burns fast enough."""
    limit = share * WINDOW / window * (1 - target / 100)
    first, valid, bad = 0, 0.0, 0.0
    for each in history.counts:
        valid, bad = valid + each.valid, bad + each.bad
        while history.counts[first].at <= each.at - window + 1e-6:
            valid, bad = valid - history.counts[first].valid, bad - history.counts[first].bad
            first += 1
        # A window of which little was measured says little.
        enough = (each.at - history.counts[0].at + history.step) >= min(window, 3600.0) - 1e-6
        yield enough and valid > 1e-9 and bad / valid > limit


def _worst(history: Counts, budget: float) -> tuple[float, float] | None:
    days: dict[float, list[Count]] = {}
    for each in history.counts:
        days.setdefault(math.floor((each.at - history.step) / DAY) * DAY, []).append(each)
    taken = {day: math.fsum(each.bad for each in counts) / budget for day, counts in days.items()}
    day = max(taken, key=lambda each: taken[each], default=None)
    return (day, taken[day]) if day is not None and taken[day] > 0 else None
