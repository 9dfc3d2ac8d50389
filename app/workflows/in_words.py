"""Values in the words of people, and the filters by which templates change them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any


class _Missing:
    """What a scope answers for a name that has no value yet."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "MISSING"


MISSING = _Missing()


def text_of(value: Any) -> str:
    """A value as people write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10f}".rstrip("0").rstrip(".")
    if isinstance(value, list | tuple):
        return ", ".join(key_of(each) if isinstance(each, Mapping) else text_of(each) for each in value)
    if isinstance(value, Mapping):
        return key_of(value)
    return str(value)


BREAKS = re.compile("\r\n|[\r\x85\u2028\u2029]")
HIDDEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff\U000e0000-\U000e007f]"
)
"""Controls, which end a YAML file, and what shows a text otherwise than it is, or not at all."""


def legible(text: str) -> str:
    """A text as people see it: one kind of line break, and nothing that reorders or hides."""
    return HIDDEN.sub("", BREAKS.sub("\n", text))


def legible_in(value: Any) -> Any:
    """`value` with every text in its lists and mappings made legible."""
    if isinstance(value, str):
        return legible(value)
    if isinstance(value, list | tuple):
        return [legible_in(each) for each in value]
    if isinstance(value, Mapping):
        return {legible_in(key): legible_in(each) for key, each in value.items()}
    return value


def key_of(item: Any) -> str:
    """What an item is known by: its name, or the text it is."""
    if isinstance(item, Mapping):
        named = item.get("name", item.get("id"))
        return text_of(named if named is not None else next(iter(item.values()), ""))
    return text_of(item)


def dig(value: Any, path: Sequence[str]) -> Any:
    """The value below a mapping, or `MISSING`."""
    for name in path:
        if not isinstance(value, Mapping) or value.get(name) is None:
            return MISSING
        value = value[name]
    return value


def listed(value: Any) -> Sequence[Any]:
    if value is MISSING or value is None or value == "":
        return ()
    return value if isinstance(value, list | tuple) else (value,)


def slug(value: Any) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text_of(value).lower()).strip("-") or "unnamed"


SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}


def seconds(value: Any) -> float:
    """The seconds of a duration as Prometheus writes it, such as 1h30m; of a number, itself."""
    if isinstance(value, int | float):
        return float(value)
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdwy])", text_of(value))
    return sum(float(number) * SECONDS[unit] for number, unit in parts)


def _number(value: Any) -> float:
    try:
        return float(text_of(value))
    except ValueError:
        return 0.0


def _neat(value: float) -> float | int:
    if not math.isfinite(value):
        return 0
    value = round(value, 10)
    return int(value) if value == int(value) else value


FILTERS: Mapping[str, Callable[[Any], Any]] = {
    "slug": slug,
    "lower": lambda value: text_of(value).lower(),
    "upper": lambda value: text_of(value).upper(),
    "bullets": lambda value: "\n".join(f"- {text_of(each)}" for each in listed(value)),
    "numbered": lambda value: "\n".join(f"{n}. {text_of(each)}" for n, each in enumerate(listed(value), 1)),
    "count": lambda value: len(listed(value)),
    "json": lambda value: json.dumps(value, ensure_ascii=False, default=str),
    "seconds": lambda value: _neat(seconds(value)),
    "ms": lambda value: _neat(seconds(value) * 1000),
    "ratio": lambda value: _neat(_number(value) / 100),
    "budget": lambda value: _neat((100 - _number(value)) / 100),
}
"""`ratio` of 99.9 (percent) is 0.999, `budget` is what that leaves: 0.001."""
