"""What the keys of a workflow's YAML say, each checked; what is wrong with them is kept, by line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.knowledge.models import Fault, Severity
from app.workflows.in_words import text_of
from app.workflows.templates import Syntax, Template, TemplateBroken, parse

NAME = re.compile(r"^[a-z][a-z0-9_]{0,39}$")
PATH = re.compile(r"^[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)*$")


@dataclass(frozen=True)
class Keys:
    """`path` is the workflow's, `files` are the knowledge repo's; `faults` grow while it is read."""

    path: str
    files: Mapping[str, str]
    faults: list[Fault] = field(default_factory=list)

    def template(
        self,
        text: str,
        line: int,
        *,
        syntax: Syntax = "text",
        loose: bool = False,
        keep: bool = False,
        file: str | None = None,
    ) -> Template | None:
        try:
            return parse(
                text, syntax=syntax, loose=loose, keep=keep, files=self.files, file=file, first_line=line
            )
        except TemplateBroken as problem:
            self.faults.append(Fault(problem.path or self.path, problem.line, "error", problem.message))
            return None

    def optional(self, said: Mapping[str, Any], key: str, line: int) -> Template | None:
        given = said.get(key)
        return None if given is None else self.template(text_of(given), line)

    def texts(self, said: Mapping[str, Any], key: str, keys: Mapping[str, int]) -> tuple[str, ...]:
        given = said.get(key)
        if given is None:
            return ()
        listed = given if isinstance(given, list) else [given]
        if any(isinstance(each, dict | list) for each in listed):
            self.error(keys.get(key, 1), f"{key} is a list of words")
            return ()
        return tuple(text_of(each).strip() for each in listed if text_of(each).strip())

    def wants(self, said: Mapping[str, Any], line: int) -> tuple[str, ...]:
        wants = self.texts(said, "wants", {"wants": line})
        for each in wants:
            if not NAME.match(each):
                self.error(line, f"“{each[:60]}” is not something that can be wanted; see docs/workflows.md")
        return tuple(each for each in wants if NAME.match(each))

    def tiers(self, said: Mapping[str, Any], line: int) -> tuple[int, ...]:
        given = said.get("tiers")
        listed = given if isinstance(given, list) else [] if given is None else [given]
        if any(isinstance(each, bool) or each not in (1, 2, 3, 4) for each in listed):
            self.error(line, "tiers are numbers from 1 to 4, such as [1, 2]")
            return ()
        return tuple(listed)

    def whole(self, said: Mapping[str, Any], key: str, line: int, low: int, high: int) -> int | None:
        given = said.get(key)
        if given is None:
            return None
        if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
            self.error(line, f"{key} is a whole number from {low} to {high}")
            return None
        return given

    def dotted(self, said: Mapping[str, Any], key: str, line: int) -> str | None:
        given = said.get(key)
        if given is None:
            return None
        if not isinstance(given, str) or not PATH.match(given):
            self.error(line, f"{key} names a list, such as journeys or service.depends_on")
            return None
        return given

    def named_item(self, said: Mapping[str, Any], line: int) -> str:
        given = said.get("as", "item")
        if not isinstance(given, str) or not NAME.match(given):
            self.error(line, "as is a name in lower case, such as dependency")
            return "item"
        return given

    def unknown_keys(self, said: Mapping[Any, Any], known: Sequence[str], line: Callable[[str], int]) -> None:
        for key in said:
            if key not in known:
                near = difflib.get_close_matches(text_of(key), known, 1, 0.7)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                self.warning(line(text_of(key)), f"{text_of(key)[:60]} is not read here; {hint}")

    def error(self, line: int, message: str) -> None:
        self.fault(line, "error", message)

    def warning(self, line: int, message: str) -> None:
        self.fault(line, "warning", message)

    def fault(self, line: int, severity: Severity, message: str) -> None:
        self.faults.append(Fault(self.path, line, severity, message))
