"""Every setting with what .env.example says of it and what app/settings.py takes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic.fields import FieldInfo

from app.settings import secret_variables, variables

ROOT = Path(__file__).parents[1]
HEADING = re.compile(r"# --- (.+?) -+")
SHOWN = re.compile(r"# ([A-Z][A-Z0-9_]*)=(.*)")


@dataclass(frozen=True)
class Setting:
    """One variable: `shown` is its default or an example, `said` what it is for. Those that follow one
    another without a word between them share it."""

    name: str
    section: str
    said: str
    shown: str
    field: FieldInfo

    @property
    def secret(self) -> bool:
        return self.name in secret_variables()

    @property
    def default(self) -> str | None:
        """As one would write it; None where there is none."""
        value = self.field.default
        if value is None or value == ():
            return None
        return str(value).lower() if isinstance(value, bool) else str(value)


def settings() -> tuple[Setting, ...]:
    """In the order of .env.example.

    Raises:
        KeyError: it explains a variable that there is not.
    """
    return tuple(_read((ROOT / ".env.example").read_text("utf-8").splitlines()))


def _read(lines: list[str]) -> Iterator[Setting]:
    known, section, said, saying = variables(), "", [""], False
    for line in lines:
        if heading := HEADING.fullmatch(line):
            section, said, saying = heading[1], [], False
        elif shown := SHOWN.fullmatch(line):
            saying = False
            yield Setting(shown[1], section, " ".join(said), shown[2], known[shown[1]])
        elif section and line.startswith("# "):
            said = [*said, line[2:]] if saying else [line[2:]]
            saying = True
