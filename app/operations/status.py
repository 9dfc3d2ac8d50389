"""From figures and answers to a verdict with golden signals. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from app.agent.budget import WindowLimits
from app.operations.models import (
    Errors,
    Figures,
    Health,
    Latency,
    RoomOf,
    Saturation,
    Signals,
    Traffic,
    Verdict,
)

ENOUGH = 5
"""Cases below which a share says nothing."""
FAILED_SHARE = 0.05
WAITING_SECONDS = 60.0
"""A job that waits this long though it could run: there are too few workers, or none."""
BUDGET_SHARE = 0.9


def share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole >= ENOUGH else None


def latency(figures: Figures) -> Latency:
    return Latency(
        turn_seconds=figures.turns.seconds,
        page_to_evidence_seconds=figures.investigations.seconds_to_evidence,
        page_to_brief_seconds=figures.investigations.seconds_to_brief,
    )


def saturation(figures: Figures, here: Mapping[str, RoomOf], limits: WindowLimits) -> Saturation:
    windows = figures.windows
    return Saturation(
        waiting=figures.waiting,
        oldest_seconds=round(figures.oldest_seconds, 1),
        workers=figures.workers,
        here=dict(here),
        hour_usd_share=_used(windows.hour_usd, float(limits.usd_per_hour)),
        day_usd_share=_used(windows.day_usd, float(limits.usd_per_day)),
    )


def signals(figures: Figures, here: Mapping[str, RoomOf], limits: WindowLimits) -> Signals:
    turns, alerts = figures.turns, figures.investigations
    failed = turns.by_status.get("failed", 0)
    return Signals(
        traffic=Traffic(
            turns=turns.accepted,
            investigations=alerts.begun,
            model_requests=figures.rolling_hour.requests,
        ),
        errors=Errors(
            turns_failed=failed,
            turns_failed_share=share(failed, turns.accepted),
            investigations_failed=alerts.failed,
            investigations_expired=alerts.expired,
        ),
        latency=latency(figures),
        saturation=saturation(figures, here, limits),
    )


def verdict(health: Health, told: Signals | None, *, draining: bool) -> tuple[Verdict, tuple[str, ...]]:
    """The verdict, and a sentence for each thing that keeps it from being healthy."""
    critical = tuple(
        f"{each.name}: {each.detail}"
        for each in health.dependencies
        if each.critical and each.status == "failing"
    )
    rest = tuple(
        f"{each.name}: {each.detail}"
        for each in health.dependencies
        if not each.critical and each.status == "failing"
    )
    worries = (*rest, *(worry for worry in _worries(told)), *(("This process drains.",) if draining else ()))
    if critical:
        return "unhealthy", (*critical, *worries)
    return ("degraded" if worries else "healthy"), worries


def _worries(told: Signals | None) -> Iterator[str]:
    if told is None:
        yield "The database does not give its figures."
        return
    failed, waits = told.errors.turns_failed_share, told.saturation.oldest_seconds
    if failed is not None and failed > FAILED_SHARE:
        yield f"{failed:.0%} of the last hour's turns failed; /ops/errors groups them."
    if told.errors.investigations_failed:
        yield f"{told.errors.investigations_failed} of the last hour's investigations failed."
    if told.errors.investigations_expired:
        yield (
            f"{told.errors.investigations_expired} of the last hour's investigations waited longer than "
            "ALERT_QUEUE_TTL_SECONDS for their diagnosis."
        )
    if waits > WAITING_SECONDS:
        yield f"A job that could run has been waiting for {waits:.0f} s: there are too few workers."
    for window, used in (("hour", told.saturation.hour_usd_share), ("day", told.saturation.day_usd_share)):
        if used is not None and used >= BUDGET_SHARE:
            yield f"{used:.0%} of this {window}'s budget is used (COST_LIMIT_PER_{window.upper()}_USD)."


def _used(spent: float, limit: float) -> float | None:
    return round(spent / limit, 4) if limit else None
