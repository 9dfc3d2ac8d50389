"""Targets to propose for a journey and why: the lower of what the tier asks and what it delivered. Pure.

`standards/slos.md`: “the target is the lower of the two”.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.workflows.wants.counts import DAY, Counts, seconds_of, step_down
from app.workflows.wants.saying import amount_of, percent, period, time_of
from app.workflows.wants.standard import Standard

ENOUGH_SECONDS = 7 * DAY
"""Below a week nothing is known of weekends, and the tier's target is proposed."""
ENOUGH_A_WEEK = 1000.0
"""Valid events that a target needs (standards/slos.md)."""


@dataclass(frozen=True)
class Proposal:
    """A target in percent, None when neither tier nor history give one, and why."""

    target: float | None
    reason: str


@dataclass(frozen=True)
class Threshold:
    """A latency in seconds as Prometheus writes durations, with the share below it."""

    threshold: str | None
    share: Proposal


def availability(standard: Standard, history: Counts, of: str = "were answered well") -> Proposal:
    """The target for the share of requests that must succeed."""
    asked, delivered = standard.availability, history.delivered
    return _lower(standard, asked, delivered, history, of)


def latency(standard: Standard, delivered: Mapping[str, float], history: Counts) -> Threshold:
    """The threshold, at a bound of a bucket where there are buckets, and the share that must be below it."""
    wanted, share = standard.latency_seconds, standard.latency_share
    bound = _bound(wanted, share, delivered)
    if bound is None:
        known = None if wanted is None else time_of(wanted)
        return Threshold(known, Proposal(share, f"{standard.named} asks for it." if share else ""))
    at = seconds_of(bound)
    found = _lower(standard, share, delivered[bound], history, f"took at most {time_of(at)}")
    if wanted is not None and abs(at - wanted) > 1e-9:
        found = Proposal(
            found.target,
            f"{found.reason} The tier's {time_of(wanted)} is no bound of a bucket of the histogram, "
            f"{time_of(at)} is one.",
        )
    return Threshold(time_of(at), found)


def _bound(wanted: float | None, share: float | None, delivered: Mapping[str, float]) -> str | None:
    """The tier's own threshold, else the highest bound below it that keeps the share, else the next above."""
    if not delivered:
        return None
    bounds = sorted(delivered, key=seconds_of)
    least = share or 99.0
    if wanted is None:
        return next((each for each in bounds if delivered[each] >= least), bounds[-1])
    if same := [each for each in bounds if abs(seconds_of(each) - wanted) < 1e-9]:
        return same[0]
    kept = [each for each in bounds if seconds_of(each) < wanted and delivered[each] >= least]
    above = [each for each in bounds if seconds_of(each) > wanted]
    return kept[-1] if kept else above[0] if above else bounds[-1]


def _lower(
    standard: Standard, asked: float | None, delivered: float | None, history: Counts, of: str
) -> Proposal:
    wish = f"{standard.named} asks for {percent(asked)}" if asked is not None else ""
    if delivered is None:
        said = "There is no history of it in Prometheus"
        return Proposal(
            asked, f"{said}; {wish}." if wish else f"{said}, and no tier that asks for something."
        )
    over = f"Over {period(history)} {percent(delivered)} of {amount_of(history.valid)} requests {of}"
    if history.a_week < ENOUGH_A_WEEK:
        over += "; that is fewer than 1,000 a week, so one failure weighs much: consider a probe"
    if asked is None:
        return Proposal(step_down(delivered), f"{over}; no tier asks for more.")
    if history.measured < ENOUGH_SECONDS:
        return Proposal(asked, f"{over}, which is less than a week and proves little; {wish}.")
    if delivered >= asked:
        return Proposal(asked, f"{over}; {wish}, and it kept that.")
    lower = step_down(delivered)
    return Proposal(
        lower,
        f"{over}; {wish}, but a target that is missed from the first day helps nobody: "
        f"begin with {percent(lower)} and raise it when it holds.",
    )


def together(targets: Mapping[str, float | None]) -> str:
    """What a service can promise at most that waits for all of these; empty for none that is known."""
    known = {name: target for name, target in targets.items() if target is not None}
    if not known:
        return ""
    product = 1.0
    for target in known.values():
        product *= target / 100
    listed = ", ".join(f"{name} {percent(target)}" for name, target in known.items())
    return (
        f"Its dependencies promise, by their tiers: {listed}. A journey that waits for all of them cannot "
        f"promise more than {percent(100 * product)}; what has a fallback does not count."
    )
