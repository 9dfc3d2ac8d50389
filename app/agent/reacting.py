"""What a response of a model is answered with: the results of its calls, or what it has to do again.

How often it may be sent back is counted over the rows of its turn, so an attempt that goes on counts on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Literal, TypeGuard

from pydantic import BaseModel, ValidationError
from pydantic_ai import exceptions as fault
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    RetryFeedbackPart,
    RetryInfo,
    ToolCallPart,
    ToolReturnPart,
)

from app.agent.answer import CONCLUDE, Conclusion
from app.agent.calls import Desk, carry_out
from app.agent.tally import text_of
from app.tools.execute import faults

MOST_CONCLUSIONS_AGAIN = 2
MOST_CALLS_AGAIN = 3
CONCLUDED = "The answer is concluded."
NOT_RUN = "Not run: the answer was concluded in the same response."
CLOSED = "Not run: no tool is on offer any more. Answer with what you have and say what is missing."
NO_TEXT = "There is no answer yet. Write the answer as text, then call conclude after it."
NO_CONCLUSION = "Call conclude: nothing else ends this."


async def react(rows: Sequence[ModelMessage], desk: Desk, ending: type[BaseModel]) -> ModelRequest:
    """The answer to the last of a turn's `rows`, a response that does not end it.

    A conclusion that fits ends the turn, and what was called beside it is not run; otherwise all calls are
    carried out at the same time.

    Raises:
        UnexpectedModelBehavior: the model was sent back as often as it may be, or has nothing to say.
    """
    response = rows[-1]
    assert isinstance(response, ModelResponse)
    if not response.tool_calls:
        return ModelRequest([_nothing_in(response, rows, ending)])
    told = {
        id(each): _concluded(each, rows, ending) for each in response.tool_calls if each.tool_name == CONCLUDE
    }
    others = [each for each in response.tool_calls if id(each) not in told]
    if any(part.outcome == "success" for part in told.values()):
        results = [ToolReturnPart(each.tool_name, NOT_RUN, each.tool_call_id) for each in others]
    else:
        results = await _together(_result(each, rows, desk) for each in others)
    told |= {id(each): part for each, part in zip(others, results, strict=True)}
    return ModelRequest([told[id(each)] for each in response.tool_calls])


def _nothing_in(
    response: ModelResponse, rows: Sequence[ModelMessage], ending: type[BaseModel]
) -> RetryFeedbackPart:
    if response.finish_reason == "content_filter":
        raise fault.ContentFilterError("The model declined.")
    if response.finish_reason == "length":
        raise fault.OutputTokenLimitExceeded("The response was cut before there was anything in it.")
    _count(_conclusions_again(rows), MOST_CONCLUSIONS_AGAIN)
    said = NO_TEXT if ending is Conclusion else NO_CONCLUSION
    return RetryFeedbackPart(said, retry=RetryInfo("model_retry"))


def _concluded(asked: ToolCallPart, rows: Sequence[ModelMessage], ending: type[BaseModel]) -> ToolReturnPart:
    wrong = _wrong_with(asked, rows, ending)
    if wrong is None:
        return ToolReturnPart(CONCLUDE, CONCLUDED, asked.tool_call_id)
    _count(_conclusions_again(rows), MOST_CONCLUSIONS_AGAIN)
    return _again(asked, wrong)


def _wrong_with(asked: ToolCallPart, rows: Sequence[ModelMessage], ending: type[BaseModel]) -> str | None:
    try:
        ending.model_validate(asked.args_as_dict(raise_if_invalid=True))
    except ValidationError as error:
        return f"The arguments of {CONCLUDE} do not fit: {faults(error)}"
    except ValueError:
        return _no_json(asked)
    return NO_TEXT if ending is Conclusion and not text_of(rows) else None


async def _result(asked: ToolCallPart, rows: Sequence[ModelMessage], desk: Desk) -> ToolReturnPart:
    try:
        arguments = asked.args_as_dict(raise_if_invalid=True)
    except ValueError:
        wrong: str | None = _no_json(asked)
    else:
        wrong = None if desk.open else CLOSED
    if wrong is None:
        return await carry_out(desk, asked, arguments)
    _count(_calls_again(rows), MOST_CALLS_AGAIN)
    return _again(asked, wrong)


def _no_json(asked: ToolCallPart) -> str:
    return f"The arguments of {asked.tool_name} are not a JSON object; they may have been cut."


def _again(asked: ToolCallPart, wrong: str) -> ToolReturnPart:
    retry: RetryInfo[Literal["validation_error"]] = RetryInfo("validation_error")
    return ToolReturnPart(asked.tool_name, wrong, asked.tool_call_id, outcome="retried", retry=retry)


def _count(times: int, most: int) -> None:
    if times >= most:
        raise fault.UnexpectedModelBehavior(f"The model was sent back {times} times.")


def _conclusions_again(rows: Sequence[ModelMessage]) -> int:
    return sum(
        isinstance(part, RetryFeedbackPart) or (_is_again(part) and part.tool_name == CONCLUDE)
        for row in rows
        if isinstance(row, ModelRequest)
        for part in row.parts
    )


def _calls_again(rows: Sequence[ModelMessage]) -> int:
    return sum(
        any(_is_again(part) and part.tool_name != CONCLUDE for part in row.parts)
        for row in rows
        if isinstance(row, ModelRequest)
    )


def _is_again(part: object) -> TypeGuard[ToolReturnPart]:
    return isinstance(part, ToolReturnPart) and part.outcome == "retried"


async def _together(results: Iterable[Awaitable[ToolReturnPart]]) -> list[ToolReturnPart]:
    """All of them; when one raises, the others are ended before it is raised."""
    tasks = [asyncio.ensure_future(each) for each in results]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
