"""How reasons become a score: their weights are log odds, added to what a cause of its kind starts with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from app.investigations.evidence import Cause, CauseKind, Reason

MOST_ODDS = 30.0


def weighed(
    kind: CauseKind,
    service: str | None,
    statement: str,
    start: float,
    reasons: Sequence[Reason],
    *,
    change_id: str | None = None,
) -> Cause:
    """A cause from signed reasons; those of positive weight speak for it, the others against it, and both are
    kept with the heaviest first and their weight as a size."""
    ordered = sorted(reasons, key=lambda reason: (-abs(reason.weight), reason.text))
    return Cause(
        kind=kind,
        service=service,
        statement=statement,
        score=probability(start + sum(reason.weight for reason in ordered)),
        change_id=change_id,
        reasons_for=tuple(reason for reason in ordered if reason.weight > 0),
        reasons_against=tuple(
            replace(reason, weight=-reason.weight) for reason in ordered if reason.weight < 0
        ),
    )


def lowered(cause: Cause, reason: Reason) -> Cause:
    """The same cause with one more reason against it."""
    return replace(
        cause,
        score=probability(odds(cause.score) - reason.weight),
        reasons_against=(reason, *cause.reasons_against),
    )


def raised(cause: Cause, reason: Reason) -> Cause:
    """The same cause with one more reason for it."""
    return replace(
        cause,
        score=probability(odds(cause.score) + reason.weight),
        reasons_for=(*cause.reasons_for, reason),
    )


def probability(log_odds: float) -> float:
    return 1 / (1 + math.exp(-max(-MOST_ODDS, min(log_odds, MOST_ODDS))))


def odds(score: float) -> float:
    inside = min(max(score, 1e-12), 1 - 1e-12)
    return math.log(inside / (1 - inside))


def plain(name: str) -> str:
    """The name of a series in words."""
    return name.replace("_", " ")
