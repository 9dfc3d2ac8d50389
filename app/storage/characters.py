"""Characters that come in as JSON escapes and that no text may hold: NUL, and halves of surrogate pairs.

Postgres stores neither (https://www.postgresql.org/docs/current/datatype-json.html), UTF-8 knows no halves.
"""

from __future__ import annotations

from typing import Any


def storable(text: str) -> str:
    """`text` without NUL; halves that belong together become their character, others U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", "")
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def storable_in(value: Any) -> Any:
    """`value` with every text in its lists, tuples and dictionaries made storable."""
    if isinstance(value, str):
        return storable(value)
    if isinstance(value, dict):
        return {storable_in(key): storable_in(each) for key, each in value.items()}
    if type(value) in (list, tuple):
        return type(value)(storable_in(each) for each in value)
    return value
