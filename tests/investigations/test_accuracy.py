"""How often it was right: what is computed, what is withheld, and that the database gives the right rows."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.investigations.accuracy import Judged, Share, accuracy, judged, post, table
from app.investigations.alert import Alert
from app.investigations.brief import Brief, Cited, Confidence
from app.investigations.by_hand import open_by_hand
from app.investigations.intake import Intake
from app.investigations.intents import NoInvestigation, StoredIntents
from app.storage.engine import as_json, begin

SINCE = datetime(2026, 11, 14, tzinfo=UTC)


def case(level: Confidence, confidence: float, correct: bool | None, *, named: bool = True) -> Judged:
    return Judged(level, confidence, named, correct, 4.0, 28.0, Decimal("0.02"))


MANY = (
    *[case("high", 0.9, True)] * 8,
    *[case("high", 0.8, False)] * 2,
    *[case("medium", 0.5, True)] * 3,
    *[case("medium", 0.5, False)] * 3,
    case("low", 0.2, False),
    *[case("low", 0.0, True, named=False)] * 2,
    *[case("high", 0.9, None)] * 5,
)


def test_shares_are_of_diagnoses_that_somebody_judged() -> None:
    told = accuracy(MANY)

    assert told.briefs == 24
    assert (told.diagnoses.right, told.diagnoses.cases) == (11, 17)
    assert (told.by_level["high"].right, told.by_level["high"].cases) == (8, 10)
    assert (told.false_high.right, told.false_high.cases) == (2, 10)
    assert (told.coverage.right, told.coverage.cases) == (22, 24)
    assert (told.outcomes.right, told.outcomes.cases) == (19, 24)
    assert told.stated["high"] == pytest.approx(0.88)
    assert told.brier == pytest.approx((8 * 0.01 + 2 * 0.64 + 6 * 0.25 + 0.04) / 17)
    assert (told.seconds_to_evidence, told.seconds_to_brief, told.usd_per_brief) == (
        4.0,
        28.0,
        Decimal("0.02"),
    )


def test_few_cases_give_no_share_and_the_reader_is_told_so() -> None:
    told = accuracy(MANY[:2])

    assert told.diagnoses.share is None
    assert told.brier is None
    assert "Not enough outcomes to say how accurate it is: 2 of at least 5." in table(told, since=SINCE)
    assert "%" not in table(told, since=SINCE).split("diagnosis right")[1].split("\n")[0]
    assert "Not enough outcomes" in post(told)
    assert "• high confidence: 2 of 2, stated 90%\n" in post(told)


def test_nothing_at_all_is_said_plainly() -> None:
    told = accuracy(())

    assert post(told) == "No investigations this week."
    assert "briefs" in table(told, since=SINCE)
    assert (told.seconds_to_brief, told.usd_per_brief) == (None, None)


def test_the_table_shows_what_each_figure_rests_on() -> None:
    shown = table(accuracy(MANY), since=SINCE)

    assert "briefs                 24 since 2026-11-14" in shown
    assert "  high confidence      8 of 10: 80% (49%–94%), stated 88%" in shown
    assert "  low confidence       0 of 1, stated 20%" in shown
    assert "high but wrong         2 of 10: 20%" in shown
    assert "page → final brief     28 s" in shown
    assert "cost per brief         0.0200 USD" in shown


def test_the_weekly_post_has_every_figure_of_the_table() -> None:
    assert post(accuracy(MANY)).split("\n") == [
        "24 briefs this week.",
        "• with an outcome: 19 of 24: 79% (60%–91%)",
        "• a cause was named: 22 of 24: 92% (74%–98%)",
        "• diagnosis right: 11 of 17: 65% (41%–83%)",
        "• high confidence: 8 of 10: 80% (49%–94%), stated 88%",
        "• medium confidence: 3 of 6: 50% (19%–81%), stated 50%",
        "• low confidence: 0 of 1, stated 20%",
        "• high but wrong: 2 of 10: 20% (6%–51%)",
        "• Brier score: 0.171 (0 best; .25 is guessing)",
        "• page → evidence brief: 4 s",
        "• page → final brief: 28 s",
        "• cost per brief: 0.0200 USD",
    ]


@pytest.mark.parametrize(
    ("right", "cases", "low", "high"),
    [(0, 0, 0, 1), (0, 10, 0, 0.278), (10, 10, 0.722, 1), (5, 10, 0.237, 0.763), (8, 10, 0.490, 0.943)],
)
def test_intervals_are_wilson_s(right: int, cases: int, low: float, high: float) -> None:
    assert Share(right, cases).interval == pytest.approx((low, high), abs=0.001)


def brief(confidence: float, level: Confidence, cause: str = "The pool.") -> Brief:
    return Brief(
        headline="h",
        impact=Cited(text="i"),
        since="s",
        likely_cause=Cited(text=cause),
        confidence=confidence,
        confidence_level=level,
    )


async def investigation(intake: Intake, key: str) -> UUID:
    # Far enough apart in service and time that none joins another.
    alert = Alert(source="pagerduty", incident_key=key, title=f"Alert {key}", started_at=SINCE)
    accepted = await intake.accept(alert)
    assert accepted.investigation_id is not None
    return accepted.investigation_id


async def finish(engine: AsyncEngine, of: UUID, told: Brief | None, *, evidence: Brief | None = None) -> None:
    async with begin(engine) as connection:
        await connection.execute(
            text(
                "UPDATE investigations SET created_at = :at, looked_at = :looked, finished_at = :finished, status = 'done', "
                "brief = CAST(:brief AS jsonb), evidence_brief = CAST(:evidence AS jsonb) WHERE id = :id"
            ),
            {
                "id": of,
                "at": SINCE + timedelta(hours=1),
                "looked": SINCE + timedelta(hours=1, seconds=4),
                "finished": SINCE + timedelta(hours=1, seconds=25),
                "brief": as_json(told.model_dump(mode="json")) if told else "null",
                "evidence": as_json(evidence.model_dump(mode="json")) if evidence else None,
            },
        )


async def say(engine: AsyncEngine, of: UUID, user: str | None, *, correct: bool | None) -> None:
    async with begin(engine) as connection:
        await connection.execute(
            text("INSERT INTO outcomes (investigation_id, user_id, correct) VALUES (:id, :user, :correct)"),
            {"id": of, "user": user, "correct": correct},
        )


async def test_the_rows_of_a_week_come_from_briefs_and_what_people_said(
    intake: Intake, engine: AsyncEngine
) -> None:
    final, plain, open_, old = [await investigation(intake, key) for key in "abcd"]
    await finish(engine, final, brief(0.9, "high"), evidence=brief(0.5, "medium"))
    await finish(engine, plain, None, evidence=brief(0.6, "medium"))
    await finish(engine, open_, brief(0.1, "low", "Not established. Nothing stands out."))
    await say(engine, final, None, correct=False)
    await say(engine, final, "U1", correct=True)
    await say(engine, plain, "U1", correct=False)

    async with begin(engine) as connection:
        rows = await judged(connection, SINCE)

    assert sorted(
        (each.level, each.confidence, each.named, each.correct) for each in rows[:3] if each.named
    ) == [
        ("high", 0.9, True, True),
        ("medium", 0.6, True, False),
    ]
    assert [each.named for each in rows].count(False) == 1
    assert {each.seconds_to_brief for each in rows} == {25.0}
    assert {each.usd for each in rows} == {None}
    assert len(rows) == 3  # the one without any brief is not counted


async def test_what_was_looked_into_from_a_shell_is_not_counted(intake: Intake, engine: AsyncEngine) -> None:
    paged = await investigation(intake, "a")
    tried = await open_by_hand(intake, Alert(source="test", incident_key="b", title="b", started_at=SINCE))
    await finish(engine, paged, brief(0.9, "high"))
    await finish(engine, tried, brief(0.3, "low"))

    async with begin(engine) as connection:
        assert [each.level for each in await judged(connection, SINCE)] == ["high"]


async def test_intents_are_kept_once_whoever_comes_second(intake: Intake, engine: AsyncEngine) -> None:
    kept = StoredIntents(engine, await investigation(intake, "a"))
    key = "i-1/failure"

    assert await kept.find(key) is None
    assert (await kept.begin(key, {"level": 2})).plan == {"level": 2}
    assert (await kept.begin(key, {"level": 3})).plan == {"level": 2}
    await kept.finish(key, {"status": "paged"})
    await kept.begin("i-1/timeout", {"level": 9})
    stored = await kept.find(key)

    assert stored is not None
    assert (stored.plan, stored.outcome) == ({"level": 2}, {"status": "paged"})


async def test_an_intent_of_no_investigation_calls_nobody(engine: AsyncEngine) -> None:
    with pytest.raises(NoInvestigation):
        await StoredIntents(engine, UUID(int=1)).begin("k", {})
