"""Older turns of a long session told in one summary, so the cost of a turn does not grow with its thread."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_ai.messages import ModelMessage, ToolCallPart

CHARACTERS_PER_TOKEN = 3.5
"""On the careful side: English prose has about 4 characters a token, code and JSON about 3.2."""


def tokens_in(messages: Sequence[ModelMessage]) -> int:
    """The size of messages in tokens, estimated from their characters."""
    return round(sum(map(_characters, messages)) / CHARACTERS_PER_TOKEN)


def _characters(message: ModelMessage) -> int:
    total = 0
    for part in message.parts:
        if isinstance(part, ToolCallPart):
            total += len(part.tool_name) + len(part.args_as_json_str())
        else:
            total += len(str(getattr(part, "content", "")))
    return total
