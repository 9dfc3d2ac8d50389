"""A block of fields as `Field`s: names, types, choices and bounds, and what is wrong with them, by line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from app.knowledge.bounded_yaml import compose, load_front_matter
from app.knowledge.pages import yaml_problem
from app.workflows.document import FIELD_TYPES, Choice, Field, FieldType
from app.workflows.in_words import seconds, slug, text_of
from app.workflows.keys import NAME, Keys
from app.workflows.sections import Block, Section
from app.workflows.templates import Template
from app.workflows.values import LARGEST_NUMBER, Invalid, duration

PHASE_KEYS = ("fields", "each", "as", "wants", "follow_ups")
FIELD_KEYS = (
    "name", "question", "type", "choices", "unit", "min", "max", "default", "propose", "required", "why",
    "example", "draft",
)  # fmt: skip


@dataclass(frozen=True)
class FieldReader:
    """`named` are the names that are taken, with their lines."""

    keys: Keys
    named: dict[str, int] = field(default_factory=dict)

    def asked_by(self, part: Section, question: str) -> Field:
        """The field of a phase that has only its quoted prompt."""
        name = slug(part.phase).replace("-", "_")[:40].strip("_")
        name = name if NAME.match(name) else f"phase_{name}"[:40]
        while name in self.named:
            name = f"{name[:36]}_{part.line}"
        self.named[name] = part.line
        # What another author wrote in braces is shown as it is where nothing is known of it.
        shown = self.keys.template(question, part.line, loose=True, keep=True)
        return Field(name, shown or Template("", ()), line=part.line)

    def fields(self, block: Block) -> tuple[list[Field], dict[str, Any]]:
        """The fields of a block and what it says of its phase."""
        try:
            said = load_front_matter(block.text)
        except (yaml.YAMLError, ValueError, RecursionError) as problem:
            line, reason = yaml_problem(problem, block.text)
            at = block.text.split("\n")[line - 1 : line]
            if re.search(r"[:-]\s+\{\{", "".join(at)):
                reason = "a value that begins with {{ must stand in quotation marks"
            self.keys.error(block.line + line - 1, f"the fields are not valid YAML: {reason}")
            return [], {}
        lines = _lines_of_entries(block)
        options: dict[str, Any] = {}
        if isinstance(said, dict):
            self.keys.unknown_keys(said, PHASE_KEYS, lambda key: block.line)
            options, said = said, said.get("fields") or []
        if not isinstance(said, list):
            self.keys.error(block.line, "fields are a list; each begins with `- name: …`")
            return [], options
        made = [self.field(each, line) for each, line in zip(said, lines, strict=False)]
        return [each for each in made if each is not None], options

    def field(self, said: Any, line: int) -> Field | None:
        if not isinstance(said, dict) or not isinstance(said.get("name"), str):
            self.keys.error(line, "this field has no name; it begins with `- name: …`")
            return None
        name = said["name"].strip()
        self.keys.unknown_keys(said, FIELD_KEYS, lambda key: line)
        if not NAME.match(name):
            self.keys.error(
                line, f"the name “{name[:60]}” is not usable; it is lower case, such as `error_rate`"
            )
            return None
        if name in self.named:
            self.keys.error(line, f"the field {name} is there already, at line {self.named[name]}")
            return None
        self.named[name] = line
        choices = self.choices(said, name, line)
        kind = self.kind(said, name, line, bool(choices))
        if kind == "choice" and not choices:
            self.keys.error(
                line, f"the field {name} is a choice without choices; add `choices: [one, other]`"
            )
        question = said.get("question")
        if question is None:
            question = f"What is the {name.replace('_', ' ')}?"
        low, high = self.bound(said, "min", kind, line), self.bound(said, "max", kind, line)
        if low is not None and high is not None and low > high:
            self.keys.error(line, f"the field {name} has min above max: nothing would be valid")
        if not isinstance(said.get("required", True), bool):
            self.keys.error(line, f"the field {name} has required: {said['required']}; it is true or false")
        return Field(
            name=name,
            question=self.keys.template(text_of(question), line) or Template("", ()),
            type=kind,
            choices=choices,
            unit=text_of(said.get("unit") or ""),
            minimum=low,
            maximum=high,
            default=self.keys.optional(said, "default", line),
            propose=self.keys.optional(said, "propose", line),
            required=said.get("required", True) is not False,
            why=self.keys.optional(said, "why", line),
            example=text_of(said.get("example") if said.get("example") is not None else ""),
            draft=self.drafted(said, name, kind, line),
            line=line,
        )

    def drafted(self, said: Mapping[str, Any], name: str, kind: FieldType, line: int) -> bool:
        given = said.get("draft", False)
        if not isinstance(given, bool):
            self.keys.error(line, f"the field {name} has draft: {given}; it is true or false")
        elif given and kind != "text":
            self.keys.error(line, f"the field {name} is a {kind}; only a text can be drafted")
        return given is True

    def kind(self, said: Mapping[str, Any], name: str, line: int, has_choices: bool) -> FieldType:
        kind = text_of(said.get("type") or ("choice" if has_choices else "text"))
        kind = {"yes/no": "yes_no", "yes-no": "yes_no", "boolean": "yes_no", "bool": "yes_no"}.get(kind, kind)
        if kind not in FIELD_TYPES:
            near = difflib.get_close_matches(kind, FIELD_TYPES, 1)
            hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FIELD_TYPES)}"
            self.keys.error(line, f"the field {name} has the type {kind}, which there is not; {hint}")
            return "text"
        return kind

    def choices(self, said: Mapping[str, Any], name: str, line: int) -> tuple[Choice, ...]:
        given = said.get("choices")
        if given is None:
            return ()
        pairs: list[tuple[Any, Any]] = []
        if isinstance(given, dict):
            pairs = list(given.items())
        elif isinstance(given, list):
            for each in given:
                pairs += list(each.items()) if isinstance(each, dict) else [(each, each)]
        choices = tuple(Choice(text_of(value), text_of(label)) for value, label in pairs)
        if not choices or len(choices) > 100:
            self.keys.error(line, f"the choices of {name} are a list of 1 to 100")
        if len({each.value for each in choices}) < len(choices):
            self.keys.error(line, f"the choices of {name} are not all different")
        return choices

    def bound(self, said: Mapping[str, Any], key: str, kind: FieldType, line: int) -> float | None:
        given = said.get(key)
        if given is None:
            return None
        if kind == "duration" and isinstance(given, str):
            try:
                return seconds(duration(Field("bound", Template("", ())), given, str))
            except Invalid:
                given = None
        if isinstance(given, bool) or not isinstance(given, int | float) or not abs(given) <= LARGEST_NUMBER:
            self.keys.error(
                line, f"{key} is a number{', or a duration such as 300ms' * (kind == 'duration')}"
            )
            return None
        return float(given)


def _lines_of_entries(block: Block) -> list[int]:
    """The line of the file at which each field begins."""
    node = compose(block.text)
    if isinstance(node, yaml.MappingNode):
        values = [value for key, value in node.value if getattr(key, "value", None) == "fields"]
        node = values[0] if values else None
    if not isinstance(node, yaml.SequenceNode):
        return []
    return [block.line + each.start_mark.line for each in node.value]
