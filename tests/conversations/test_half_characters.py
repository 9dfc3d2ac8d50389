"""Halves of characters and NUL, written by a model or found by a tool, cost neither a retry nor a row."""

from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic_ai.messages import ModelRequest, ModelResponse, ToolCallPart, UserPromptPart
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent.answer import Answer
from app.agent.run import run
from app.conversations import repository
from app.conversations.accept import accept
from app.conversations.transcript import SessionTranscript
from app.conversations.whole import make_whole
from app.storage.characters import storable, storable_in
from app.storage.engine import begin
from app.storage.tables import audit_log, tool_calls
from tests.agent.stage import Stage, stage
from tests.conversations.test_accept import message
from tests.fakes.anthropic import tool_results
from tests.fakes.script import call, conclude, say

__all__ = ["stage"]


async def answered(stage: Stage, engine: AsyncEngine) -> tuple[Answer, SessionTranscript]:
    """One turn through the loop, its rows in the database."""
    accepted = await accept(engine, message())
    assert accepted is not None
    async with begin(engine) as connection:
        turn = await repository.begin_turn(connection, accepted.turn_id)
    assert turn is not None
    transcript = SessionTranscript(engine, turn)
    await transcript.append(ModelRequest([UserPromptPart("what is \ud83d this?\0")]), kind="question")
    request = replace(stage.request, turn_id=turn.id, session_id=turn.session.id, attempt=turn.attempt)
    answer = await run(
        request, model=stage.model, transcript=transcript, progress=stage.progress, means=stage.means
    )
    assert stage.waits == []
    return answer, SessionTranscript(engine, turn)


async def test_half_a_character_in_what_a_model_writes_costs_no_retry(
    stage: Stage, engine: AsyncEngine
) -> None:
    stage.server.script.add(
        say("It is half \ud83d a", call("read_file", path="README.md")),
        say("smile \ude00\0.", conclude(missing=["the other \ud83d half"])),
    )

    answer, stored = await answered(stage, engine)

    assert answer.text == "It is half \ufffd a\n\nsmile \ufffd."
    assert answer.missing == ("the other \ufffd half",)
    assert len(stage.server.requests) == 2
    assert [row.parts for row in await stored.history()][1][0].content == "It is half \ufffd a"


async def test_half_a_character_in_a_tool_s_arguments_reaches_the_tool_whole(
    stage: Stage, engine: AsyncEngine
) -> None:
    stage.shelf.files["a\ufffdb.md"] = "Found."
    stage.server.script.add(say("", call("read_file", path="a\ud83db.md")), say("Done.", conclude()))

    answer, _ = await answered(stage, engine)

    assert stage.shelf.runs == ["a\ufffdb.md"]
    assert tool_results(stage.server.requests[1]) == ["Found."]
    assert stage.server.requests[1]["messages"][-2]["content"][0]["input"] == {"path": "a\ufffdb.md"}
    assert answer.text == "Done."


async def test_half_a_character_that_a_tool_found_is_stored_and_read(
    stage: Stage, engine: AsyncEngine
) -> None:
    stage.shelf.files["README.md"] = "half \ud83d here\0, whole \ud83d\ude00 there"
    stage.server.script.add(say("", call("read_file", path="README.md")), say("Done.", conclude()))

    await answered(stage, engine)

    read = "half \ufffd here, whole \U0001f600 there"
    assert tool_results(stage.server.requests[1]) == [read]
    async with begin(engine) as connection:
        assert (await connection.execute(select(tool_calls.c.result))).scalars().all() == [read]
        audited = await connection.execute(
            select(audit_log.c.response_text).where(audit_log.c.action == "tool_call")
        )
        assert audited.scalars().all() == [read]


async def test_a_failure_told_with_half_a_character_is_read_too(stage: Stage, engine: AsyncEngine) -> None:
    stage.server.script.add(say("", call("read_file", path="\udc00")), say("Done.", conclude()))

    await answered(stage, engine)

    assert tool_results(stage.server.requests[1]) == ["There is no file \ufffd."]


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ("plain", "plain"),
        ("näive", "näive"),
        ("\0", ""),
        ("\ud83d", "\ufffd"),
        ("\ude00\ud83d", "\ufffd\ufffd"),
        ("a \ud83d\ude00 b", "a \U0001f600 b"),
        ("\U0001f600\ud83d", "\U0001f600\ufffd"),
    ],
)
def test_a_text_without_halves_and_nul(written: str, stored: str) -> None:
    assert storable(written) == stored
    assert storable_in({written: [written, (written, 1, None)]}) == {stored: [stored, (stored, 1, None)]}


@pytest.mark.parametrize(
    ("written", "stored"),
    [
        ('{"a": "\\u00e9"}', '{"a": "\\u00e9"}'),
        ('{"a": "\\ud83d\\ude00"}', '{"a": "\\ud83d\\ude00"}'),
        ('{"a": "\\ud83d", "b": 1}', '{"a":"\ufffd","b":1}'),
        ('{"a": "\\u0000"}', '{"a":""}'),
        ('{"a": "\\ud83d', '{"a": "\\ud83d'),
        ({"a": ["\ud83d"]}, {"a": ["\ufffd"]}),
    ],
)
def test_arguments_are_made_whole_where_they_are_not(written: object, stored: object) -> None:
    response = ModelResponse([ToolCallPart("read_file", written)])  # type: ignore[arg-type]
    make_whole(response)
    assert response.tool_calls[0].args == stored
