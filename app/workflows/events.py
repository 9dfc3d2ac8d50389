"""What can happen to a workflow: what people say and what comes back of its actions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.workflows.state import How


@dataclass(frozen=True)
class Words:
    """Free text to what is asked now."""

    text: str
    by: str


@dataclass(frozen=True)
class Values:
    """Values for fields by name or slot: corrections, a form, or what a model has read. `unsaid` are those of
    its readings that are not in the person's words; they are proposed, and count when somebody takes them.
    `words` are the whole message where it may be an answer instead, because a name in it is no field's."""

    values: Mapping[str, Any]
    by: str
    how: How = "said"
    unsaid: Mapping[str, Any] = field(default_factory=dict)
    words: str = ""


@dataclass(frozen=True)
class Skip:
    by: str


@dataclass(frozen=True)
class Back:
    """To the last slot, or to the phase or field that `to` names."""

    by: str
    to: str = ""


@dataclass(frozen=True)
class Why:
    by: str


@dataclass(frozen=True)
class AskStatus:
    by: str


@dataclass(frozen=True)
class Pause:
    by: str


@dataclass(frozen=True)
class Resume:
    by: str


@dataclass(frozen=True)
class Cancel:
    by: str


@dataclass(frozen=True)
class Greeting:
    """Somebody asks whether anybody is there, or is only polite."""

    by: str


@dataclass(frozen=True)
class Aside:
    """A question beside the workflow."""

    text: str
    by: str


@dataclass(frozen=True)
class Confirm:
    by: str


@dataclass(frozen=True)
class Early:
    """Words that were written before what stands now was asked: to what was asked then, if to anything."""

    text: str
    by: str


@dataclass(frozen=True)
class Looked:
    """What was found for `wants`, by their names; what nobody could find is not among `facts`. `hosts` are
    those of the sources it was found in."""

    wants: tuple[str, ...]
    facts: Mapping[str, Any]
    hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Drafted:
    """A text for the slot that is asked now and wants a draft."""

    slot: str
    text: str


@dataclass(frozen=True)
class Made:
    """The artifact is in the thread."""


@dataclass(frozen=True)
class NotMade:
    reason: str


Event = (
    Words
    | Values
    | Skip
    | Back
    | Why
    | AskStatus
    | Pause
    | Resume
    | Cancel
    | Greeting
    | Aside
    | Confirm
    | Early
    | Looked
    | Drafted
    | Made
    | NotMade
)
