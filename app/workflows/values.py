"""An answer in somebody's words as the value of a field, or the reason why it is none, with an example."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from app.errors import AgentError
from app.workflows.document import LONGEST_VALUE, MOST_ITEMS, Field
from app.workflows.in_words import SECONDS, seconds, text_of

Value = str | int | float | bool | list[str]
ServiceNames = Callable[[str], str | None]
"""The catalog's name of a service however it is spelled, None for none."""

LONGEST_ITEM = 300
LONGEST_WORDS = 1_000
"""Characters of an answer that is no text and no list."""
LARGEST_NUMBER = 1e15
EXAMPLES = {
    "text": "a sentence",
    "number": "250",
    "percent": "99.9",
    "duration": "300ms",
    "list": "pay, search, log in",
    "yes_no": "yes",
    "service": "checkout",
}
YES = frozenset(["yes", "y", "yep", "yeah", "true", "on", "ja", "oui", "sí", "si"])
NO = frozenset(["no", "n", "nope", "false", "off", "nein", "non"])
UNITS = {
    "ms": "ms", "msec": "ms", "msecs": "ms", "millisecond": "ms", "milliseconds": "ms",
    "s": "s", "sec": "s", "secs": "s", "second": "s", "seconds": "s",
    "m": "m", "min": "m", "mins": "m", "minute": "m", "minutes": "m",
    "h": "h", "hr": "h", "hrs": "h", "hour": "h", "hours": "h",
    "d": "d", "day": "d", "days": "d",
    "w": "w", "week": "w", "weeks": "w",
}  # fmt: skip
NONE = re.compile(
    r"(?:no|none|nothing|nope|n/a|no (?:others?|more)|nothing else)(?: of (?:them|these|those|it))?", re.I
)
BETWEEN = re.compile(r"(?: ?[;,] ?(?:and )?| and (?=[^,;]*$))(?![^()]{0,200}\))")
"""What parts the entries of a list in one line; not what stands in parentheses."""
AMOUNT = re.compile(r"([-+]?\d[\d,]*(?:\.\d+)?|[-+]?\.\d+|[-+]?\d+,\d{1,2})")
DURATION = re.compile(r"(\d+(?:[.,]\d+)?)\s*([a-zA-Z]+)")
BULLET = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s+")
THOUSANDS = re.compile(r"^[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?$")


class Invalid(AgentError):
    """An answer is not taken; the sentence says why, with an example."""

    code = "answer_invalid"
    status = 422


def anything(name: str) -> str | None:
    """`ServiceNames` without a catalog: whatever looks like a name."""
    return name if re.fullmatch(r"[A-Za-z0-9][\w./-]{0,99}", name) else None


def parse(field: Field, said: Any, services: ServiceNames = anything) -> Value:
    """The value of a field from an answer: text, or what a model or a form has read out of one.

    Raises:
        Invalid: it is none; the reason says what would be one.
    """
    longest = LONGEST_VALUE if field.type in ("text", "list") else LONGEST_WORDS
    if isinstance(said, str) and len(said.strip()) > longest:
        raise Invalid(
            f"That has {len(said.strip()):,} characters, at most {longest:,} are kept. Please put it shorter"
            f"{', or give a link' if field.type == 'text' else ''}."
        )
    if field.type == "list" and says_none(field, said):
        if field.required:
            raise Invalid(f"At least one entry is needed. {example(field)}")
        return []
    read = READERS[field.type]
    value = read(field, said, services)
    if value in ("", []):
        raise Invalid(f"That is empty. {example(field)}")
    bounded(field, value)
    return value


def says_none(field: Field, said: Any) -> bool:
    """Whether an answer to a list is that there is nothing to list."""
    if said == []:
        return True
    if not isinstance(said, str) or not NONE.fullmatch(said.strip(" .!\n")):
        return False
    return said.strip(" .!\n").casefold() not in {each.value.casefold() for each in field.choices}


def example(field: Field) -> str:
    """`For example: 99.9`."""
    if field.example:
        shown = field.example
    elif field.choices:
        shown = field.choices[0].value
    else:
        shown = EXAMPLES.get(field.type, "")
        if field.type in ("number", "percent") and field.minimum is not None:
            shown = text_of(field.minimum)
        shown = f"{shown} {field.unit}".strip()
    return f"For example: {shown}"


def bounded(field: Field, value: Value) -> None:
    """Raises `Invalid` outside of the field's bounds."""
    amount, what = amount_of(field, value)
    low, high = field.minimum, field.maximum
    if field.type == "percent":
        low, high = 0 if low is None else low, 100 if high is None else high
    if low is not None and amount < low:
        raise Invalid(f"{what} is below {bound(field, low)}, the least there may be. {example(field)}")
    if high is not None and amount > high:
        raise Invalid(f"{what} is above {bound(field, high)}, the most there may be. {example(field)}")


def bound(field: Field, value: float) -> str:
    """A bound as people would answer it."""
    if field.type == "duration":
        return _shortest(round(value * 1000))
    return f"{text_of(value)}{unit_of(field)}"


def amount_of(field: Field, value: Value) -> tuple[float, str]:
    """What the bounds are about, and how it is called."""
    if isinstance(value, list):
        return len(value), f"A list of {len(value)}"
    if field.type == "duration":
        return seconds(value), text_of(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value, f"{text_of(value)}{unit_of(field, bare=True)}"
    return len(text_of(value)), f"A text of {len(text_of(value))} characters"


def unit_of(field: Field, *, bare: bool = False) -> str:
    if field.type == "percent":
        return " %"
    if field.type == "list":
        return "" if bare else " entries"
    if field.type in ("text", "choice", "service"):
        return "" if bare else " characters"
    return f" {field.unit}" if field.unit else ""


# -- readers -------------------------------------------------------------------------------------------------


def _words(said: Any) -> str:
    text = text_of(said).strip()
    if len(text) >= 2 and text[0] + text[-1] in ('""', "''", "“”", "``"):
        text = text[1:-1].strip()
    return text


def text(field: Field, said: Any, services: ServiceNames) -> str:
    return _words(said)


def number(field: Field, said: Any, services: ServiceNames) -> int | float:
    if isinstance(said, bool):
        raise Invalid(f"I need a number{_in_unit(field)}. {example(field)}")
    words = _words(said)
    units = {"%", "percent"} if field.type == "percent" else {field.unit.lower()} if field.unit else set()
    found = AMOUNT.findall(words)
    rest = AMOUNT.sub(" ", words).lower().split()
    ordinary = {"about", "around", "roughly", "approximately", "ca.", "~", "is", "it's", "say", "."}
    if len(found) != 1 or [word for word in rest if word not in units | ordinary]:
        if len(found) > 1:
            raise Invalid(f"I see several numbers there and need one{_in_unit(field)}. {example(field)}")
        raise Invalid(f"I need a number{_in_unit(field)} and could not read one. {example(field)}")
    written = found[0]
    if "," in written:
        written = written.replace(",", "") if THOUSANDS.match(written) else written.replace(",", ".")
    try:
        value = float(written)
    except ValueError:
        raise Invalid(f"I need a number{_in_unit(field)} and could not read one. {example(field)}") from None
    if abs(value) > LARGEST_NUMBER:
        raise Invalid(f"{written} is more than I can reckon with. {example(field)}")
    return int(value) if value == int(value) else value


def _in_unit(field: Field) -> str:
    return " in percent" if field.type == "percent" else f" in {field.unit}" if field.unit else ""


def duration(field: Field, said: Any, services: ServiceNames) -> str:
    """As Prometheus writes it, in the largest unit that leaves whole numbers: 500ms, 90m, 1h."""
    words = _words(said).lower()
    parts = DURATION.findall(words)
    rest = DURATION.sub(" ", words).replace("and", " ").strip(" ,~.")
    if not parts and re.fullmatch(r"\d+(?:\.\d+)?", words) and field.unit in UNITS:
        parts, rest = [(words, field.unit)], ""
    unknown = next((unit for _, unit in parts if unit not in UNITS), None)
    if not parts or unknown or rest:
        which = f"“{unknown}” is no unit of time I know" if unknown else "I could not read a duration there"
        raise Invalid(f"{which}; I know ms, s, m, h, d and w. {example(field)}")
    if any(float(amount.replace(",", ".")) > 1e12 for amount, _ in parts):
        raise Invalid(f"That is longer than I can reckon with. {example(field)}")
    total = round(
        sum(float(amount.replace(",", ".")) * SECONDS[UNITS[unit]] * 1000 for amount, unit in parts)
    )
    return _shortest(total)


def _shortest(milliseconds: int) -> str:
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def choice(field: Field, said: Any, services: ServiceNames) -> str:
    words = _plain(_words(said))
    by_number = words.rstrip(".)")
    if by_number.isdecimal() and 1 <= int(by_number) <= len(field.choices):
        named = [each for each in field.choices if words == _plain(each.value)]
        return (named or [field.choices[int(by_number) - 1]])[0].value
    exact = [each for each in field.choices if words in (_plain(each.value), _plain(each.label))]
    within = [
        each
        for each in field.choices
        if any(f" {_plain(name)} " in f" {words} " for name in (each.value, each.label))
    ]
    begun = [each for each in field.choices if words and _plain(each.label).startswith(words)]
    for found in (exact, within, begun):
        if len(found) == 1:
            return found[0].value
    offered = ", ".join(each.value for each in field.choices)
    raise Invalid(f"Please choose one of these: {offered}. {example(field)}")


def _plain(words: str) -> str:
    return " ".join(re.sub(r"[^\w%./+-]+", " ", words.casefold()).split())


def items(field: Field, said: Any, services: ServiceNames) -> list[str]:
    if isinstance(said, list | tuple):
        found = [text_of(each).strip() for each in said]
    else:
        words = _words(said)
        lines = [" ".join(BULLET.sub("", line).split()) for line in words.splitlines()]
        several = len([line for line in lines if line]) > 1
        found = lines if several else BETWEEN.split("".join(lines))
    named = list(dict.fromkeys(each.strip(" .") for each in found if each.strip(" .")))
    if len(named) > MOST_ITEMS:
        raise Invalid(f"That is a list of {len(named)}; at most {MOST_ITEMS} are taken. {example(field)}")
    if longest := next((each for each in named if len(each) > LONGEST_ITEM), None):
        raise Invalid(
            f"“{longest[:40]}…” is longer than {LONGEST_ITEM} characters for one entry of a list. "
            f"{example(field)}"
        )
    if field.choices:
        return list(dict.fromkeys(choice(field, each, services) for each in named))
    return named


def yes_no(field: Field, said: Any, services: ServiceNames) -> bool:
    if isinstance(said, bool):
        return said
    words = _plain(_words(said)).split()
    if words and words[0] in YES:
        return True
    if words and words[0] in NO:
        return False
    raise Invalid(f"I need a yes or a no. {example(field)}")


def service(field: Field, said: Any, services: ServiceNames) -> str:
    words = _words(said)
    if (name := services(words)) is not None:
        return name
    raise Invalid(f"I know no service “{words[:80]}” in the catalog. {example(field)}")


READERS: dict[str, Callable[[Field, Any, ServiceNames], Value]] = {
    "text": text,
    "number": number,
    "percent": number,
    "duration": duration,
    "choice": choice,
    "list": items,
    "yes_no": yes_no,
    "service": service,
}
