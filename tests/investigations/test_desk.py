"""What people decide by a button: the first press stands, the work is queued, everything is audited."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.escalation.escalation import Escalation
from app.investigations import repository
from app.investigations.desk import StillUnderWay, StoredDesk
from app.investigations.intake import Intake
from app.investigations.intents import StoredIntents
from app.investigations.models import NoSuchInvestigation
from app.settings import Settings
from app.storage.engine import begin
from app.tools.masking import mask
from tests.investigations.conftest import Rows
from tests.investigations.test_repository import diagnosing

SECRET = "ghp_" + "canary7Qx2Vb9Lm4Np6Rt8Yw1Zc3Df5Gh7Jk9"


@pytest.fixture
def desk(engine: AsyncEngine) -> StoredDesk:
    settings = Settings.load(env_file=None).escalation
    return StoredDesk(engine, lambda key: Escalation(settings, StoredIntents(engine, key), mask=mask))


async def ended(engine: AsyncEngine, intake: Intake) -> UUID:
    taken = await diagnosing(engine, intake)
    async with begin(engine) as connection:
        await repository.finish(connection, taken, "done")
    return taken.id


async def test_the_first_verdict_stands_and_every_persons_word_is_kept(
    engine: AsyncEngine, intake: Intake, desk: StoredDesk, rows: Rows
) -> None:
    key = await ended(engine, intake)
    first = await desk.outcome(key, "U1", correct=True, cause=None)
    second = await desk.outcome(key, "U2", correct=False, cause="The pool was full")
    assert (first.accepted, first.by, first.said) == (True, "U1", "confirmed this cause")
    assert (second.accepted, second.by) == (False, "U1")
    assert await rows("SELECT user_id, correct, cause, source FROM outcomes ORDER BY user_id") == [
        ("U1", True, None, "button"),
        ("U2", False, "The pool was full", "modal"),
    ]
    assert await rows("SELECT count(*) FROM audit_log WHERE action = 'outcome'") == [(2,)]


async def test_the_cause_a_person_tells_is_said_without_its_secrets(
    engine: AsyncEngine, intake: Intake, desk: StoredDesk
) -> None:
    told = await desk.outcome(
        await ended(engine, intake), "U1", correct=False, cause=f"The token {SECRET} leaked"
    )
    assert told.said.startswith("said it was: The token")
    assert SECRET not in told.said


async def test_digging_deeper_waits_for_the_diagnosis_under_way(
    engine: AsyncEngine, intake: Intake, desk: StoredDesk, rows: Rows
) -> None:
    taken = await diagnosing(engine, intake)
    with pytest.raises(StillUnderWay):
        await desk.dig_deeper(taken.id, "U1")
    async with begin(engine) as connection:
        await repository.finish(connection, taken, "done")
    pressed = await desk.dig_deeper(taken.id, "U1")
    assert pressed.accepted
    with pytest.raises(StillUnderWay):
        await desk.dig_deeper(taken.id, "U2")
    assert await rows("SELECT round, status FROM investigations") == [(2, "looked")]
    assert await rows("SELECT count(*) FROM turns") == [(2,)]


async def test_a_button_of_an_investigation_that_is_gone_says_so(desk: StoredDesk) -> None:
    with pytest.raises(NoSuchInvestigation, match="no longer kept"):
        await desk.outcome(uuid4(), "U1", correct=True, cause=None)
    with pytest.raises(NoSuchInvestigation):
        await desk.escalate(uuid4(), "U1")
