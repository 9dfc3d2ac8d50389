"""Reading a payload field by field, so that whoever sent it can be told which one is wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from app.web.webhooks.refusals import NotUnderstood

T = TypeVar("T")

TITLE = 1000
"""Characters of a line of text: a title, a label's value, an address."""

PROSE = 4000
"""Characters of an annotation."""

MOST_LABELS = 64


def cleaned(text: str, limit: int) -> str:
    """`text` as it can be stored and shown: no NUL, no halves of surrogate pairs, at most `limit` long."""
    text = text[: limit * 2]
    if not text.isascii() or "\0" in text:
        text = text.replace("\0", "").encode("utf-8", "ignore").decode()
    text = text.strip()
    return text if len(text) <= limit else text[: limit - 1] + "…"


class Fields:
    """One object of a payload, and where in the payload it stands.

    All methods raise `NotUnderstood`, naming the field by its path (`event.data.title`), when it has a type
    that its text, number or object cannot be read from. Null and blank count as absent.
    """

    def __init__(self, value: Any, path: str = "") -> None:
        if not isinstance(value, dict):
            raise NotUnderstood(f"{path or 'The body'} should be a JSON object.")
        self._value: Mapping[str, Any] = value
        self._path = path

    def text(self, name: str, limit: int = TITLE) -> str:
        """A text that must be there."""
        if (value := self.maybe(name, limit)) is None:
            raise self.missing(name)
        return value

    def maybe(self, name: str, limit: int = TITLE) -> str | None:
        """A text, or a number as text; None when absent."""
        return _scalar(self._value.get(name), self.path(name), limit)

    def first(self, *names: str) -> str | None:
        """The text of the first of these fields that has one."""
        return next((value for name in names if (value := self.maybe(name))), None)

    def one_of(self, name: str, meanings: Mapping[str, T]) -> T:
        """What a field's text means; it must be one of those known, in any case."""
        value = self.text(name).lower()
        if value not in meanings:
            raise NotUnderstood(f"{self.path(name)} should be one of {', '.join(meanings)}.")
        return meanings[value]

    def raw(self, name: str) -> Any:
        return self._value.get(name)

    def child(self, name: str) -> Fields:
        """An object that must be there."""
        if self._value.get(name) is None:
            raise self.missing(name)
        return Fields(self._value[name], self.path(name))

    def maybe_child(self, name: str) -> Fields:
        """An object; an empty one when absent."""
        return Fields({} if self._value.get(name) is None else self._value[name], self.path(name))

    def children(self, name: str) -> list[Fields]:
        """The objects of a list that must be there and must not be empty."""
        if not (values := self._list(name)):
            raise self.missing(name)
        return [Fields(value, f"{self.path(name)}[{at}]") for at, value in enumerate(values)]

    def maybe_children(self, name: str) -> list[Fields]:
        return self.children(name) if self._list(name) else []

    def listed(self, name: str) -> tuple[str, ...]:
        """The texts of a list; a lone text is a list of one."""
        value = self._value.get(name)
        if not isinstance(value, list):
            return (alone,) if (alone := self.maybe(name)) else ()
        read = [
            _scalar(each, f"{self.path(name)}[{at}]", TITLE) for at, each in enumerate(value[:MOST_LABELS])
        ]
        return tuple(each for each in read if each)

    def texts(self, name: str, limit: int = TITLE) -> dict[str, str]:
        """An object whose values are texts, as labels are; at most `MOST_LABELS` of them."""
        part = self.maybe_child(name)
        keys = list(part._value)[:MOST_LABELS]
        read = {named: part.maybe(key, limit) for key in keys if (named := cleaned(key, 200))}
        return {key: value for key, value in read.items() if value}

    def path(self, name: str) -> str:
        here = cleaned(name, 80)
        return f"{self._path}.{here}" if self._path else here

    def missing(self, name: str) -> NotUnderstood:
        return NotUnderstood(f"{self.path(name)} is missing.")

    def _list(self, name: str) -> list[Any]:
        value = self._value.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise NotUnderstood(f"{self.path(name)} should be a list.")
        return value


def _scalar(value: Any, path: str, limit: int) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return str(value).lower()
        case str():
            return cleaned(value, limit) or None
        case int() | float():
            return cleaned(str(value), limit)
        case _:
            raise NotUnderstood(f"{path} should be a text.")
