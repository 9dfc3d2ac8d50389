"""How often the agent was right: briefs against what people said it was.

Everything is shown with how many cases it rests on, and shares with their 95 % interval (Wilson 1927: it
keeps its promise for few cases and near 0 and 1). Below `ENOUGH` cases nothing is concluded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from math import sqrt
from statistics import median
from typing import cast

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.investigations.brief import Confidence
from app.investigations.incidents import BY_HAND_MARK
from app.investigations.times import lasting

ENOUGH = 5
LEVELS: tuple[Confidence, ...] = ("high", "medium", "low")
Z = 1.959964
"""The 97.5 % quantile of the normal distribution."""

JUDGED = text("""
SELECT brief.told ->> 'confidence_level' AS level,
       CAST(brief.told ->> 'confidence' AS double precision) AS confidence,
       NOT starts_with(brief.told #>> '{likely_cause,text}', 'Not established') AS named,
       outcome.correct,
       CAST(extract(epoch FROM investigation.looked_at - investigation.created_at) AS double precision),
       CAST(extract(epoch FROM investigation.finished_at - investigation.created_at) AS double precision),
       spent.usd, investigation.created_at
  FROM investigations AS investigation
 CROSS JOIN LATERAL (SELECT coalesce(nullif(investigation.brief, 'null'),
                                     nullif(investigation.evidence_brief, 'null')) AS told) AS brief
  LEFT JOIN LATERAL (SELECT correct FROM outcomes
                      WHERE investigation_id = investigation.id AND correct IS NOT NULL
                      ORDER BY (user_id IS NOT NULL) DESC, id DESC LIMIT 1) AS outcome ON true
  LEFT JOIN LATERAL (SELECT sum(usd) AS usd FROM usage WHERE turn_id = investigation.turn_id) AS spent ON true
 WHERE investigation.created_at >= :since AND investigation.status <> 'joined'
   AND brief.told IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM incidents WHERE incidents.id = investigation.incident_id
                                             AND strpos(incidents.incident_key, :by_hand) > 0)
 ORDER BY investigation.created_at
""")
"""One row a brief: the final one, else that of the evidence core. A person's outcome counts before a note's,
and the newest one. What somebody looked into from a shell was no page, and nobody is asked about it there."""


@dataclass(frozen=True)
class Judged:
    """One brief. `correct` is None while nobody has said; `named` is whether it names a cause at all.

    Seconds are since the page, which came `at`; `usd` is None when no model was asked or its price is not
    known.
    """

    level: Confidence
    confidence: float
    named: bool
    correct: bool | None = None
    seconds_to_evidence: float | None = None
    seconds_to_brief: float | None = None
    usd: Decimal | None = None
    at: datetime | None = None


@dataclass(frozen=True)
class Share:
    """`right` of `cases`; no share is given for too few."""

    right: int
    cases: int

    @property
    def share(self) -> float | None:
        return self.right / self.cases if self.cases >= ENOUGH else None

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's score interval at 95 %: https://doi.org/10.1080/01621459.1927.10502953"""
        if not self.cases:
            return 0.0, 1.0
        n, p, z2 = self.cases, self.right / self.cases, Z * Z
        middle, half = p + z2 / (2 * n), Z * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
        return max(0.0, (middle - half) / (1 + z2 / n)), min(1.0, (middle + half) / (1 + z2 / n))


@dataclass(frozen=True)
class Accuracy:
    """What can be said of a set of briefs.

    `diagnoses` are the judged briefs that named a cause, by level in `by_level`. `false_high` is how many of
    those with high confidence were wrong, `coverage` how many briefs named a cause, `outcomes` how many
    people judged. `brier` is the mean square of (confidence - right); 0 is best, .25 is what always saying
    50 % gives; `stated` is the mean confidence of a level. None stands for too few cases.
    """

    briefs: int
    outcomes: Share
    diagnoses: Share
    by_level: Mapping[Confidence, Share]
    stated: Mapping[Confidence, float]
    false_high: Share
    coverage: Share
    brier: float | None
    seconds_to_evidence: float | None
    seconds_to_brief: float | None
    usd_per_brief: Decimal | None

    @property
    def enough(self) -> bool:
        return self.diagnoses.cases >= ENOUGH


async def judged(connection: AsyncConnection, since: datetime) -> tuple[Judged, ...]:
    """Every brief of a page since then, oldest first."""
    rows = await connection.execute(JUDGED, {"since": since, "by_hand": BY_HAND_MARK})
    return tuple(
        Judged(
            level=cast("Confidence", level if level in LEVELS else "low"),
            confidence=confidence or 0.0,
            named=bool(named),
            correct=correct,
            seconds_to_evidence=to_evidence,
            seconds_to_brief=to_brief,
            usd=usd,
            at=at,
        )
        for level, confidence, named, correct, to_evidence, to_brief, usd, at in rows
    )


def accuracy(rows: Sequence[Judged]) -> Accuracy:
    told = [each for each in rows if each.named and each.correct is not None]
    by_level = {level: [each for each in told if each.level == level] for level in LEVELS}
    priced = [each.usd for each in rows if each.usd is not None]
    return Accuracy(
        briefs=len(rows),
        outcomes=Share(sum(each.correct is not None for each in rows), len(rows)),
        diagnoses=_right(told),
        by_level={level: _right(each) for level, each in by_level.items()},
        stated={level: _mean([one.confidence for one in each]) for level, each in by_level.items() if each},
        false_high=Share(sum(not each.correct for each in by_level["high"]), len(by_level["high"])),
        coverage=Share(sum(each.named for each in rows), len(rows)),
        brier=_mean([(each.confidence - bool(each.correct)) ** 2 for each in told])
        if len(told) >= ENOUGH
        else None,
        seconds_to_evidence=_median(rows, lambda each: each.seconds_to_evidence),
        seconds_to_brief=_median(rows, lambda each: each.seconds_to_brief),
        usd_per_brief=sum(priced, Decimal(0)) / len(priced) if priced else None,
    )


def table(told: Accuracy, *, since: datetime) -> str:
    """For a terminal: two columns, a line to each figure."""
    lines = [("briefs", f"{told.briefs} since {since:%Y-%m-%d}"), *_figures(told)]
    width = max(len(name) for name, _ in lines)
    body = "\n".join(f"{name:<{width}}  {value}" for name, value in lines)
    return body if told.enough else f"{body}\n\n{_not_enough(told)}"


def post(told: Accuracy) -> str:
    """For the place where investigations are shown, once a week: the same figures, a line to each."""
    if not told.briefs:
        return "No investigations this week."
    said = f"{told.briefs} {'brief' if told.briefs == 1 else 'briefs'} this week."
    if not told.enough:
        said = f"{said} {_not_enough(told)}"
    return "\n".join([said, *(f"• {name.strip()}: {value}" for name, value in _figures(told))])


def _figures(told: Accuracy) -> tuple[tuple[str, str], ...]:
    return (
        ("with an outcome", _of(told.outcomes)),
        ("a cause was named", _of(told.coverage)),
        ("diagnosis right", _of(told.diagnoses)),
        *((f"  {level} confidence", _level(told, level)) for level in LEVELS),
        ("high but wrong", _of(told.false_high)),
        ("Brier score", "-" if told.brier is None else f"{told.brier:.3f} (0 best; .25 is guessing)"),
        ("page → evidence brief", _lasting(told.seconds_to_evidence)),
        ("page → final brief", _lasting(told.seconds_to_brief)),
        ("cost per brief", "-" if told.usd_per_brief is None else f"{told.usd_per_brief:.4f} USD"),
    )


def _not_enough(told: Accuracy) -> str:
    return (
        f"Not enough outcomes to say how accurate it is: {told.diagnoses.cases} of at least {ENOUGH}. "
        "Press “correct” or “wrong” under a brief."
    )


def _of(share: Share) -> str:
    """“18 of 24: 75% (55%–88%)”; without the share when the cases are too few."""
    counted = f"{share.right} of {share.cases}"
    if share.share is None:
        return counted if share.cases else "-"
    low, high = share.interval
    return f"{counted}: {share.share:.0%} ({low:.0%}–{high:.0%})"


def _level(told: Accuracy, level: Confidence) -> str:
    stated = told.stated.get(level)
    return _of(told.by_level[level]) + ("" if stated is None else f", stated {stated:.0%}")


def _right(told: Sequence[Judged]) -> Share:
    return Share(sum(bool(each.correct) for each in told), len(told))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _median(rows: Sequence[Judged], of: Callable[[Judged], float | None]) -> float | None:
    known = [value for each in rows if (value := of(each)) is not None]
    return median(known) if known else None


def _lasting(seconds: float | None) -> str:
    return "-" if seconds is None else lasting(seconds)
