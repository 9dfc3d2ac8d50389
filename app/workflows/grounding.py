"""Whether somebody has said what a model has read out of their message: figures, names and words of it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.workflows.document import Field
from app.workflows.in_words import SECONDS
from app.workflows.values import DURATION, NO, UNITS, YES, Invalid, ServiceNames, parse

WORD = re.compile(r"\d+(?:[.,]\d+)*|\w+")
DECIMAL_COMMA = re.compile(r"(\d+),(\d{1,2})")
LONGEST_ENDING = 3
SHORTEST_STEM = 3
LONGEST_NAME = 4
"""Words of the name of a service."""
MOST_WORDS = 200
"""Of a message in which another name of a service is looked for."""
SMALL = frozenset({
    "a", "an", "the", "of", "to", "and", "or", "in", "on", "at", "for", "with", "by", "as", "from", "into",
    "is", "are", "be", "it", "its", "that", "this", "then", "there", "they", "we", "our", "i", "so", "which",
})  # fmt: skip
"""What holds words together; a reading may have others of these than the message."""


def is_said(field: Field, value: str, message: str, services: ServiceNames) -> bool:
    """Whether all there is to a value stands in the message, in whatever spelling. Small words and endings
    may differ; a figure, a name, a "not" may not."""
    try:
        read = parse(field, value, services)
    except Invalid:
        return False
    match field.type:
        case "yes_no":
            said = bool(set(words(message)) & (YES if read else NO))
        case "service":
            said = _stands_in(value, message) or any(services(each) == read for each in _names(message))
        case "duration":
            said = sum(_spans(str(read), in_parts=True)) in set(_spans(message))
        case "number" | "percent":
            said = set(figures(value)) <= set(figures(message))
        case _:
            entries = read if isinstance(read, list) and read else [str(read) if field.choices else value]
            said = all(_is_named(field, each, message) for each in entries)
    return said


def words(text: str) -> list[str]:
    return [_figure(each) if each[0].isdigit() else each for each in WORD.findall(text.casefold())]


def figures(text: str) -> list[str]:
    return [each for each in words(text) if each[0].isdigit()]


def _figure(written: str) -> str:
    """One spelling of a number: 1,200 and 1200, 99,5 and 99.5, 99.50 and 99.5 are the same."""
    plain = DECIMAL_COMMA.sub(r"\1.\2", written) if DECIMAL_COMMA.fullmatch(written) else written
    plain = plain.replace(",", "")
    return plain.rstrip("0").rstrip(".") if plain.count(".") == 1 else plain


def _stands_in(text: str, message: str) -> bool:
    said = set(words(message))
    return all(each in SMALL or _is_among(each, said) for each in words(text))


def _is_among(word: str, said: set[str]) -> bool:
    if word in said:
        return True
    if any(letter.isdigit() for letter in word):
        return False
    return any(_same_stem(*sorted((word, each), key=len)) for each in said)


def _same_stem(short: str, long: str) -> bool:
    return len(short) >= SHORTEST_STEM and long.startswith(short) and len(long) - len(short) <= LONGEST_ENDING


def _is_named(field: Field, value: str, message: str) -> bool:
    """A choice also by its label."""
    labels = (each.label for each in field.choices if each.value == value)
    return any(_stands_in(name, message) for name in (value, *labels))


def _names(message: str) -> Iterator[str]:
    """What may be a service's name: up to some words in a row."""
    said = [each.strip(".,:;!?()\"'“”`*_") for each in message.split()][:MOST_WORDS]
    for start in range(len(said)):
        for length in range(1, LONGEST_NAME + 1):
            yield " ".join(said[start : start + length])


def _spans(message: str, *, in_parts: bool = False) -> Iterator[int]:
    """The durations that a message names, in milliseconds; those that follow each other, as in 1h30m, also as
    one, unless they are wanted in parts."""
    said = message.lower()
    together, behind = 0, 0
    for found in DURATION.finditer(said):
        if found[2] not in UNITS:
            continue
        span = round(float(found[1].replace(",", ".")) * SECONDS[UNITS[found[2]]] * 1000)
        goes_on = behind and said[behind : found.start()].strip(" ,") in ("", "and")
        together, behind = (together if goes_on else 0) + span, found.end()
        yield span
        if not in_parts:
            yield together
