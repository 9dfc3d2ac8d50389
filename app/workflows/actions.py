"""What the engine wants done: asked, said, looked up, made. Whoever carries it out words it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from app.workflows.document import Slot
from app.workflows.state import How, State


@dataclass(frozen=True)
class Look:
    """Look these up and come back with `Looked`; nothing else is asked before."""

    wants: tuple[str, ...]


@dataclass(frozen=True)
class Progress:
    """How far a question is: `phase` of `phases` that ask anything, and `number` of `total` that people are
    asked in it."""

    phase: int = 1
    phases: int = 1
    number: int = 1
    total: int = 1


@dataclass(frozen=True)
class Ask:
    """Ask for one slot. `proposal` is None when there is none; `at` says how far it is. `again`: it stands
    right above already, so that a reminder is enough. `heard`: nobody has said what is proposed. `lead_in` is
    said before the question; the engine leaves it empty."""

    slot: Slot
    question: str
    proposal: Any = None
    at: Progress = Progress()
    present: Any = None
    again: bool = False
    heard: bool = False
    lead_in: str = ""


@dataclass(frozen=True)
class Took:
    """An answer that counts from now on; `instead_of` is what it replaces."""

    slot: Slot
    value: Any
    how: How
    instead_of: Any = None


@dataclass(frozen=True)
class Refused:
    """An answer that does not fit."""

    slot: Slot
    reason: str


@dataclass(frozen=True)
class Unsure:
    """A value that a model has read out of an answer and that nobody has said; it counts when it is taken."""

    slot: Slot
    value: Any


@dataclass(frozen=True)
class Unknown:
    """A name that is no field, with the value given to it and the slots that may be meant. `words` are the
    whole message where it may have been the answer to what is asked instead."""

    name: str
    value: Any = None
    near: tuple[Slot, ...] = ()
    words: str = ""


@dataclass(frozen=True)
class Left:
    """A slot that is left open: a TODO when it is required. `capped`: nobody was asked any more."""

    slot: Slot
    capped: bool = False


@dataclass(frozen=True)
class Explain:
    slot: Slot
    text: str


@dataclass(frozen=True)
class PhaseStanding:
    name: str
    filled: int
    total: int
    is_current: bool


@dataclass(frozen=True)
class Report:
    """Where it stands: phases, and the answers with who gave them."""

    phases: tuple[PhaseStanding, ...]
    answers: tuple[tuple[Slot, Any, str], ...]


@dataclass(frozen=True)
class Say:
    """Something short about the workflow itself: `paused`, `resumed`, `cancelled`, `at_the_start`,
    `not_found`, `what_to_change`, `too_early`, `over`, `made`."""

    what: str
    detail: str = ""


@dataclass(frozen=True)
class Rest:
    """It is paused: before its last check, or at a question. `words` are what somebody has answered to that
    meanwhile, which is not noted."""

    title: str
    slot: Slot | None = None
    at: Progress = Progress()
    words: str = ""


@dataclass(frozen=True)
class AnswerAside:
    """Let the analyst answer this."""

    text: str


@dataclass(frozen=True)
class AskToConfirm:
    answers: tuple[tuple[Slot, Any, str], ...]


@dataclass(frozen=True)
class Make:
    """Make the artifact of what is known, and come back with `Made` or `NotMade`."""


Action = (
    Look
    | Ask
    | Took
    | Refused
    | Unsure
    | Unknown
    | Left
    | Explain
    | Report
    | Say
    | Rest
    | AnswerAside
    | AskToConfirm
    | Make
)


@dataclass(frozen=True)
class Step:
    state: State
    actions: tuple[Action, ...]
