"""A postmortem is drafted where somebody orders one, and only in the thread of an investigation."""

from __future__ import annotations

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from app.investigations import repository
from app.investigations.drafting import Postmortems, orders
from app.investigations.intake import Intake
from app.storage.engine import begin
from tests.investigations.test_repository import diagnosing


@pytest.mark.parametrize(
    "words",
    [
        "write a postmortem",
        "Write the postmortem.",
        "draft the postmortem",
        "draft a post-mortem for this incident",
        "please draft a blameless post mortem",
        "Can you write up the postmortem?",
        "could you please prepare a first draft of the postmortem",
        "let's start the postmortem",
        "Thanks! Now write the postmortem please",
        "ok, give me a postmortem",
        "I need a postmortem",
        "we'd like a postmortem",
        "make a postmortem",
        "postmortem please",
        "Postmortem",
        "a postmortem for this, please!",
    ],
)
def test_an_order_for_a_postmortem(words: str) -> None:
    assert orders(words)


@pytest.mark.parametrize(
    "words",
    [
        "what did the last postmortem say?",
        "where is the postmortem?",
        "do we need a postmortem?",
        "who writes the postmortem?",
        "don't write a postmortem yet",
        "the postmortem of Monday says the pool was full",
        "write to the owner of the postmortem",
        "was there a postmortem after the last time?",
        "make the postmortem shorter",
        "what about the database?",
        "I wrote a postmortem, is the onset right?",
        "please " * 1700,
        "",
    ],
)
def test_no_order_for_a_postmortem(words: str) -> None:
    assert not orders(words)


async def test_what_is_not_over_has_no_draft_yet_and_another_thread_none(
    engine: AsyncEngine, intake: Intake
) -> None:
    taken = await diagnosing(engine, intake)
    assert taken.session_id is not None
    drafts = Postmortems(engine)

    early = await drafts.asked_for(taken.session_id, "write a postmortem")
    async with begin(engine) as connection:
        await repository.finish(connection, taken, "failed", error_code="internal")
    late = await drafts.asked_for(taken.session_id, "write a postmortem")

    assert early is not None
    assert late is not None
    assert (early.content, "still diagnosing" in early.said) == (b"", True)
    assert late.content.startswith(b"# Postmortem (draft): ")
    assert "Nobody has said yet what it really was" in late.said
    assert await drafts.asked_for(taken.session_id + 1, "write a postmortem") is None
    assert await drafts.asked_for(taken.session_id, "what about the database?") is None
