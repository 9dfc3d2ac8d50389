"""Messages made such that they can be stored, and sent to a model again, as they are."""

from __future__ import annotations

import json
from dataclasses import fields

from pydantic_ai.messages import BaseToolCallPart, ModelMessage
from pydantic_core import to_json

from app.storage.characters import storable, storable_in


def make_whole(message: ModelMessage) -> None:
    """Change in place what no text may hold, so that the loop goes on from the very words that are stored.

    A model can write half a surrogate pair as an escape; the next request, its own arguments and the
    database would each refuse it.
    """
    for part in message.parts:
        for field in fields(part):
            before = getattr(part, field.name)
            if isinstance(part, BaseToolCallPart) and field.name == "args" and isinstance(before, str):
                whole = _arguments(before)
            else:
                whole = storable_in(before)
            if whole != before:
                setattr(part, field.name, whole)


def _arguments(written: str) -> str:
    """Arguments as JSON: what is no text may be in them as an escape. What is no JSON stays as it is."""
    written = storable(written)
    if "\\u" not in written:
        return written
    try:
        meant = json.loads(written)
    except ValueError:
        return written
    whole = storable_in(meant)
    return written if whole == meant else to_json(whole).decode()
