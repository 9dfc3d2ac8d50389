"""A workflow as the engine reads it: what a markdown file of `knowledge/workflows/` says, as frozen types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

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
    with the question, and "yes" takes it. `line` is that of its entry in the file.
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

    def field(self, name: str) -> tuple[Phase, Field] | None:
        """The field of that name and its phase."""
        return next(
            ((phase, each) for phase in self.phases for each in phase.fields if each.name == name), None
        )
