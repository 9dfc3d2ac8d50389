"""The way back to a whole result: what the model is told to ask for is what the journal calls it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from pydantic_ai.messages import ModelRequest, UserPromptPart
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.agent.run import run
from app.conversations import repository
from app.conversations.accept import accept
from app.conversations.results import StoredResults
from app.conversations.transcript import SessionTranscript
from app.storage.engine import begin
from app.storage.tables import tool_calls
from app.tools import read_result
from app.tools.catalogue import Catalogue
from tests.agent.stage import Stage, stage
from tests.conversations.test_accept import message
from tests.fakes.anthropic import tool_results
from tests.fakes.script import call, conclude, say

__all__ = ["stage"]

LOG = "\n".join(f"{number:04} request served" for number in range(2000))


@dataclass
class Parts:
    results: StoredResults


async def test_a_clipped_result_names_the_call_by_which_the_journal_finds_all_of_it(
    stage: Stage, engine: AsyncEngine
) -> None:
    stage.shelf.files |= {"a.log": LOG, "b.log": LOG.replace("request", "query")}
    # Some services number the calls of every response from zero.
    stage.server.script.add(
        say("", call("read_file", id="call_0", path="a.log")),
        say("", call("read_file", id="call_0", path="b.log")),
        say("", call("read_result", id="call_1", call="call_0#2", words="1000")),
        say("Done.", conclude()),
    )
    accepted = await accept(engine, message())
    assert accepted is not None
    async with begin(engine) as connection:
        turn = await repository.begin_turn(connection, accepted.turn_id)
    assert turn is not None
    transcript = SessionTranscript(engine, turn)
    await transcript.append(ModelRequest([UserPromptPart("what is in the logs?")]), kind="question")
    reader = read_result.tool(Parts(StoredResults(engine)))
    assert reader is not None
    request = replace(
        stage.request,
        turn_id=turn.id,
        session_id=turn.session.id,
        attempt=turn.attempt,
        scope=replace(stage.request.scope, session_id=turn.session.id),
    )

    await run(
        request,
        model=stage.model,
        transcript=transcript,
        progress=stage.progress,
        means=replace(stage.means, tools=Catalogue([stage.shelf.tool(), reader])),
    )

    digests = [tool_results(stage.server.requests[number])[0] for number in (1, 2)]
    named = [re.findall(r"call=(\S+)]$", digest)[0] for digest in digests]
    async with begin(engine) as connection:
        journaled = await connection.execute(select(tool_calls.c.call_id).order_by(tool_calls.c.id))
        assert journaled.scalars().all() == [*named, "call_1"]
    assert named == ["call_0", "call_0#2"]
    assert "1000 query served" in tool_results(stage.server.requests[3])[0]
    assert await StoredResults(engine).full("call_0", turn.session.id) == LOG
