"""The fixed sentences of an answer in the asker's language: a table a language, beside this module.

Quotes stay as their documents have them. English is what is said when the language is not certain, and the
table of a language is read when somebody first writes in it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import yaml

from app.agent.phrases.languages import ENGLISH, language_of

FOLDER = Path(__file__).parent
FIELD = re.compile(r"\{(\w+)\}")
LONGEST = 1000
"""Characters; what is longer is no sentence of ours."""
MADE_ELSEWHERE = "no_model"
"""From this phrase on a table holds what other rooms say in English, to be recognised; before it, what is
said by its name."""


@dataclass(frozen=True)
class Phrases:
    """Our words in one language."""

    language: str = ENGLISH

    @classmethod
    def like(cls, question: str) -> Phrases:
        return cls(language_of(question))

    def say(self, phrase: str, /, **values: object) -> str:
        """The phrase of a name with its values."""
        return fill(table(self.language)[phrase], {key: str(value) for key, value in values.items()})

    def tell(self, sentence: str) -> str:
        """A sentence that another room made in English, in this language; as it is when no table has it."""
        if self.language == ENGLISH or len(sentence) > LONGEST:
            return sentence
        for name, pattern in patterns():
            if found := pattern.fullmatch(sentence):
                values = found.groupdict()
                if "reason" in values:  # a sentence too
                    values["reason"] = self.tell(values["reason"])
                return fill(table(self.language)[name], values)
        return sentence


def fill(phrase: str, values: dict[str, str]) -> str:
    """A phrase with its values, which may hold braces of their own."""
    return FIELD.sub(lambda field: values[field[1]], phrase)


@lru_cache(maxsize=16)
def table(language: str) -> dict[str, str]:
    """The phrases of a language by name."""
    listed = yaml.safe_load((FOLDER / f"{language}.yaml").read_text("utf-8"))
    return {str(name): str(phrase) for name, phrase in listed.items()}


@lru_cache(maxsize=1)
def patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """What each English phrase looks like with its values; those that say most come first."""
    phrases = list(table(ENGLISH).items())
    others = phrases[list(table(ENGLISH)).index(MADE_ELSEWHERE) :]
    others.sort(key=lambda item: -len(FIELD.sub("", item[1])))
    return tuple((name, _pattern(phrase)) for name, phrase in others)


def _pattern(phrase: str) -> re.Pattern[str]:
    seen: set[str] = set()

    def group(field: str) -> str:
        if field in seen:
            return f"(?P={field})"
        seen.add(field)
        return f"(?P<{field}>.+?)"

    parts = FIELD.split(phrase)
    return re.compile("".join(group(part) if at % 2 else re.escape(part) for at, part in enumerate(parts)))
