"""What a page's thread says while the diagnosis waits for its model."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent.waiting import STEP
from app.conversations.reply import NotReached
from app.investigations.awaiting import ANSWERED, IN_VAIN, TAKEN_OVER, Awaited
from app.investigations.intake import Intake
from app.investigations.models import Investigation
from tests.investigations.conftest import STARTED
from tests.investigations.test_repository import diagnosing
from tests.investigations.test_wrapping import Heard

NOW = STARTED + timedelta(minutes=14, seconds=5)
SILENT = (
    "⏳ The diagnosis has been waiting for the model since 02:13 UTC: it says nothing. "
    "It waits until 02:20 UTC at most; then what stands above counts."
)


@pytest.fixture
async def taken(engine: AsyncEngine, intake: Intake) -> Investigation:
    return await diagnosing(engine, intake)


def awaited(taken: Investigation, thread: Heard) -> Awaited:
    def clock() -> datetime:
        return NOW

    return Awaited(taken, thread, clock)


async def waiting(progress: Awaited, seconds: int = 10, trouble: str = "") -> None:
    await progress.task(STEP, f"Waiting for the model claude: {seconds} s", "in_progress", trouble)


async def test_a_wait_is_told_with_its_beginning_its_end_and_why(taken: Investigation) -> None:
    thread = Heard()
    progress = awaited(taken, thread)
    async with progress.told(300):
        await waiting(progress)
    assert thread.waiting == [SILENT]

    async with progress.told(300):
        await waiting(progress, 20, "The model claude is overloaded.")
    assert thread.waiting[1] == SILENT.replace("it says nothing.", "The model claude is overloaded.")


async def test_when_the_model_answers_the_note_says_so_and_stays_so(taken: Investigation) -> None:
    thread = Heard()
    progress = awaited(taken, thread)
    async with progress.told(300):
        await waiting(progress)
        await asyncio.sleep(0)
        await progress.task(STEP, "The model claude answered after 25 s", "complete")
    await progress.over(answered=True)

    assert thread.waiting == [SILENT, "✅ The model claude answered after 25 s; the diagnosis goes on."]


async def test_who_is_given_up_is_named(taken: Investigation) -> None:
    thread = Heard()
    progress = awaited(taken, thread)
    async with progress.told(300):
        await progress.task(STEP, "The model claude is overloaded.", "error")
    await progress.over(answered=False)

    assert thread.waiting == ["⚠️ The model claude is overloaded; the diagnosis ends without it."]


@pytest.mark.parametrize(("answered", "last"), [(False, IN_VAIN), (True, ANSWERED)])
async def test_a_wait_that_was_cut_is_over_with_the_brief(
    taken: Investigation, answered: bool, last: str
) -> None:
    thread = Heard()
    progress = awaited(taken, thread)

    async def silent_model() -> None:
        async with progress.told(300):
            await waiting(progress)
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(silent_model(), 0.2)
    await progress.over(answered=answered)

    assert thread.waiting == [SILENT, last]


async def test_a_successor_takes_back_what_its_predecessor_has_told(taken: Investigation) -> None:
    thread, second = Heard(), taken.model_copy(update={"tries": 2})
    async with awaited(taken, thread).told(300):
        pass
    assert thread.waiting == []
    async with awaited(second, thread).told(300):
        pass
    assert thread.waiting == []

    thread.waiting = [SILENT]
    progress = awaited(second, thread)
    async with progress.told(300):
        pass
    await progress.over(answered=True)
    assert thread.waiting == [SILENT, TAKEN_OVER, ANSWERED]


async def test_nothing_else_of_a_run_is_told(taken: Investigation) -> None:
    thread = Heard()
    progress = awaited(taken, thread)
    async with progress.told(300):
        await progress.task("promql-1", "Asked Prometheus", "complete")
        await progress.text("words")
        await progress.reset("words")
    await progress.over(answered=True)

    assert thread.waiting == []


class Slow(Heard):
    """A place that takes its time for the first note."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = asyncio.Event()

    async def waits(self, sentence: str, *, round: int = 1) -> None:
        await super().waits(sentence, round=round)
        await self.answers.wait()


async def test_no_run_waits_for_the_place_and_the_newest_words_count(taken: Investigation) -> None:
    thread = Slow()
    progress = awaited(taken, thread)
    async with progress.told(300):
        await waiting(progress)
        await asyncio.sleep(0)
        await waiting(progress, 20, "The model claude is overloaded.")
        await progress.task(STEP, "The model claude answered after 25 s", "complete")
        assert thread.waiting == [SILENT]
        thread.answers.set()

    assert thread.waiting == [SILENT, "✅ The model claude answered after 25 s; the diagnosis goes on."]


class Away(Heard):
    async def waits(self, sentence: str, *, round: int = 1) -> None:
        raise NotReached("Slack is away.")


async def test_a_place_that_is_away_costs_the_note_alone(taken: Investigation) -> None:
    progress = awaited(taken, Away())
    async with progress.told(300):
        await waiting(progress)
