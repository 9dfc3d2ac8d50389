"""The answer of a turn rebuilt from its rows alone, so a resumed turn says what its first attempt said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_ai.messages import ModelMessage, ModelResponse, ToolReturnPart

from app.agent.answer import CONCLUDE, Answer, Conclusion, named_sources
from app.agent.failures import is_cut_by_window
from app.context.models import Source

C = TypeVar("C", bound=BaseModel)

CUT_BY_LENGTH = "The answer was cut at the longest length allowed (MODEL_MAX_TOKENS)."
CUT_BY_WINDOW = (
    "The answer was cut: with what it rests on it is as long as the model can read. Write again for the "
    "rest; what came before is summarised then."
)


def answer_from(
    rows: Sequence[ModelMessage],
    *,
    text: str,
    given: tuple[Source, ...],
    model: str,
    max_tokens: int | None,
    notices: tuple[str, ...],
) -> Answer:
    """The answer of a turn that is over. `text` is its prose, `given` the sources it was handed, `max_tokens`
    the longest that one response may be.

    Its sources are those the conclusion names; when it names none we know, what the tools found.
    """
    conclusion, found = conclusion_in(rows, Conclusion), found_in(rows)
    responses = [row for row in rows if isinstance(row, ModelResponse)]
    if is_cut_by_window(responses[-1], max_tokens):
        notices += (CUT_BY_WINDOW,)
    elif responses[-1].finish_reason == "length":
        notices += (CUT_BY_LENGTH,)
    answered_by = responses[-1].model_name or model
    if conclusion is None:
        return Answer(text, sources=found, model=answered_by, notices=notices)
    return Answer(
        text,
        confidence=conclusion.confidence,
        sources=named_sources(conclusion.sources, (*given, *found)) or found,
        missing=tuple(conclusion.missing),
        tag_sre=conclusion.tag_sre,
        model=answered_by,
        notices=notices,
    )


def conclusion_in(rows: Sequence[ModelMessage], ending: type[C]) -> C | None:
    """The newest conclusion that fits its type."""
    for row in reversed(rows):
        if isinstance(row, ModelResponse):
            for call in row.tool_calls:
                if call.tool_name == CONCLUDE and (read := _read(call.args_as_dict(), ending)):
                    return read
    return None


def found_in(rows: Sequence[ModelMessage]) -> tuple[Source, ...]:
    """What the tools found, each source once."""
    sources: dict[Source, None] = {}
    for row in rows:
        for part in row.parts:
            if isinstance(part, ToolReturnPart) and isinstance(part.metadata, dict):
                for each in part.metadata.get("sources", ()):
                    sources[Source.model_validate(each)] = None
    return tuple(sources)


def _read(arguments: dict[str, object], ending: type[C]) -> C | None:
    try:
        return ending.model_validate(arguments)
    except ValidationError:
        return None
