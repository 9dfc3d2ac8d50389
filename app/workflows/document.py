"""A workflow as the engine reads it: what a markdown file of `knowledge/workflows/` says, as frozen types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any, Literal

from app.workflows.in_words import key_of
from app.workflows.templates import Template

FieldType = Literal["text", "number", "percent", "duration", "choice", "list", "yes_no", "service"]
FIELD_TYPES: tuple[FieldType, ...] = (
    "text",
    "number",
    "percent",
    "duration",
    "choice",
    "list",
    "yes_no",
    "service",
)

MOST_PHASES = 50
MOST_FIELDS = 200
"""Of a whole workflow."""
MOST_ITEMS = 50
"""How often a phase with `each` is walked, and how long a list may be."""
LARGEST_WORKFLOW = 200_000
"""Characters of a workflow's file."""
LONGEST_VALUE = 8_000
"""Characters of one answer as it is kept."""


@dataclass(frozen=True)
class Choice:
    """`value` is what templates and later phases see, `label` what people read."""

    value: str
    label: str


@dataclass(frozen=True)
class Field:
    """One thing a phase must learn.

    `minimum` and `maximum` bound a number, a percent, a duration (seconds), the length of a text and the
    count of a list. `default` is taken without asking when all it refers to is known; `propose` is shown
    with the question, and "yes" takes it, as it does what a model has written of a text with `draft`.
    `line` is that of its entry in the file.
    """

    name: str
    question: Template
    type: FieldType = "text"
    choices: tuple[Choice, ...] = ()
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    default: Template | None = None
    propose: Template | None = None
    required: bool = True
    why: Template | None = None
    example: str = ""
    draft: bool = False
    line: int = 1

    @property
    def label(self) -> str:
        """Its name as people read it: `error rate` for `error_rate`."""
        return self.name.replace("_", " ").replace("-", " ")


@dataclass(frozen=True)
class Phase:
    """One step. `prose` guides the model and says why it asks; `each` names the list it is walked for, and
    `item` the name under which its questions see the one in hand. `wants` are looked up when it is reached.

    `follow_ups` bounds its questions: one, and so many more.
    """

    name: str
    prose: str = ""
    fields: tuple[Field, ...] = ()
    each: str | None = None
    item: str = "item"
    wants: tuple[str, ...] = ()
    follow_ups: int | None = None
    line: int = 1

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """Those of a phase that is walked once."""
        return tuple(Slot(self, each) for each in self.fields)


@dataclass(frozen=True)
class Slot:
    """One field to fill, of one item where its phase is walked for each of a list."""

    phase: Phase
    field: Field
    item: Any = None

    @cached_property
    def key(self) -> str | None:
        return None if self.phase.each is None else key_of(self.item)

    @cached_property
    def id(self) -> str:
        return self.field.name if self.key is None else f"{self.field.name}[{self.key}]"

    @property
    def label(self) -> str:
        """As people read it: `target of pay`."""
        return self.field.label if self.key is None else f"{self.field.label} of {self.key}"


@dataclass(frozen=True)
class Artifact:
    """What is handed over: a template (`path` is its file; None for one inside the workflow), the file's name
    and type, and the JSON schema it has to satisfy.

    `when` are the values of fields with which this one is made; `each` makes one file per item of a list.
    """

    template: Template
    path: str | None
    file_name: Template
    title: Template
    media_type: str
    schema: Mapping[str, Any] | None = None
    when: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), hash=False)
    each: str | None = None
    item: str = "item"
    line: int = 1


@dataclass(frozen=True)
class Workflow:
    """`guidance` is what stands outside of phases; `plain` says that the file has none of our own notation:
    no front matter of a workflow and no blocks of fields.

    `tiers` are those of the services it is for, empty for all; `confirm` asks once more before the artifact
    is made.
    """

    path: str
    title: str
    triggers: tuple[str, ...]
    phases: tuple[Phase, ...]
    artifacts: tuple[Artifact, ...]
    wants: tuple[str, ...] = ()
    follow_up_cap: int | None = None
    tiers: tuple[int, ...] = ()
    confirm: bool = False
    guidance: str = ""
    plain: bool = False

    @cached_property
    def asking(self) -> tuple[Phase, ...]:
        """The phases that have anything to learn."""
        return tuple(phase for phase in self.phases if phase.fields)

    @cached_property
    def fields(self) -> Mapping[str, tuple[Phase, Field]]:
        """All fields by name, each with its phase."""
        return {each.name: (phase, each) for phase in self.phases for each in phase.fields}
