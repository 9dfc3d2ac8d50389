"""One request to a model: what it is offered, and which model is asked.

The model layer's own agent would do this too, at a fifth of the processor time of a turn.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Literal

from pydantic import BaseModel
from pydantic_ai import exceptions as fault
from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import (
    InstructionPart,
    ModelMessage,
    ModelResponse,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from app.agent.answer import CONCLUDE, Conclusion
from app.agent.models import ChosenModel
from app.tools.catalogue import Tool

FALLBACK_ON = (
    fault.ModelRateLimitError,
    fault.ModelUnavailableError,
    fault.ModelServerError,
    fault.ModelNotFoundError,
    fault.ModelTimeoutError,
)
"""What another model of the same account may not suffer from; a refused key or a dead line it would."""
INSTEAD_OF = "instead_of"
"""In the metadata of a response: the model that was to give it."""


def offer(
    instructions: str, tools: Sequence[Tool[BaseModel]], ending: type[BaseModel]
) -> ModelRequestParameters:
    """`tools` in their order, then the conclusion; prose alone is an end where that is a `Conclusion`."""
    return ModelRequestParameters(
        function_tools=[_definition(tool.name, tool.description, tool.input) for tool in tools],
        output_tools=[_definition(CONCLUDE, inspect.getdoc(ending) or "", ending, "output")],
        output_mode="tool",
        allow_text_output=ending is Conclusion,
        instruction_parts=[InstructionPart(instructions)],
    )


def prose(instructions: str) -> ModelRequestParameters:
    """Nothing but an answer in words."""
    return ModelRequestParameters(instruction_parts=[InstructionPart(instructions)])


async def ask(
    model: ChosenModel,
    messages: Sequence[ModelMessage],
    offered: ModelRequestParameters,
    hear: Callable[[ModelResponseStreamEvent], Awaitable[None]],
) -> ModelResponse:
    """The response, each of its events told to `hear`. Another model takes over before the first of them, and
    goes on in a conversation it has answered in: its copy of the prompt is the cached one.

    Raises:
        AgentRunError: as the model layer does; of the model asked first, when the other fails as well. A
            model that is silent for longer than it may be is a `ModelTimeoutError`.
    """
    failed: fault.AgentRunError | None = None
    for candidate in _in_order(await model.candidates(), messages):
        heard = False

        async def listen(event: ModelResponseStreamEvent) -> None:
            nonlocal heard
            heard = True
            await hear(event)

        try:
            response = await _asked(candidate, model, messages, offered, listen)
            if candidate.model_name != model.name:
                response.metadata = {**(response.metadata or {}), INSTEAD_OF: model.name}
            return response
        except FALLBACK_ON as error:
            if heard:
                raise
            failed = failed or error
    assert failed is not None
    raise failed


async def _asked(
    candidate: Model,
    model: ChosenModel,
    messages: Sequence[ModelMessage],
    offered: ModelRequestParameters,
    hear: Callable[[ModelResponseStreamEvent], Awaitable[None]],
) -> ModelResponse:
    """The response of one model. What keeps a connection busy (`ping` events, say) breaks no silence."""
    now, longest = asyncio.get_running_loop().time, model.silence_seconds
    try:
        async with (
            asyncio.timeout(longest) as silence,
            model_request_stream(
                candidate, messages, model_settings=model.settings, model_request_parameters=offered
            ) as stream,
        ):
            async for event in stream:
                # Whoever hears it may take their time.
                silence.reschedule(None)
                await hear(event)
                silence.reschedule(now() + longest)
            return stream.get()
    except TimeoutError as error:
        if not silence.expired():
            raise
        raise fault.ModelTimeoutError(candidate.model_name, f"It was silent for {longest:g} s.") from error


def words_of(event: ModelResponseStreamEvent) -> str:
    """The prose an event of the stream adds, empty for every other kind."""
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _in_order(candidates: Sequence[Model], messages: Sequence[ModelMessage]) -> Sequence[Model]:
    responses = (each for each in reversed(messages) if isinstance(each, ModelResponse))
    said = next((each.metadata or {} for each in responses), {})
    return candidates[::-1] if said.get(INSTEAD_OF) == candidates[0].model_name else candidates


@lru_cache(maxsize=256)
def _definition(
    name: str, description: str, given: type[BaseModel], kind: Literal["function", "output"] = "function"
) -> ToolDefinition:
    """Made once: it is asked for in every step of every run."""
    schema = given.model_json_schema()
    return ToolDefinition(name=name, description=description, parameters_json_schema=schema, kind=kind)
