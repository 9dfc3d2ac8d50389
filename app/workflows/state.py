"""Where a workflow stands in one session: plain JSON for `sessions.workflow_state`, whoever reads it next."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from app.frozen import Frozen

VERSION = 1
MOST_EARLIER = 10
"""Earlier values of one answer that are kept."""

Status = Literal["asking", "confirming", "making", "paused", "done", "cancelled"]
How = Literal["said", "proposed", "form", "model", "opening"]
"""In words, by taking the proposal, with buttons, read by a model, named when it began."""


class Earlier(Frozen):
    """What an answer was before somebody corrected it."""

    value: Any
    by: str


class Given(Frozen):
    """An answer that was valid when it was given, and who gave it how."""

    value: Any
    by: str
    how: How = "said"
    before: tuple[Earlier, ...] = ()


class State(Frozen):
    """`at` is the slot asked now: a field, or a field of one item as `target[pay]`. `reopened` is the one
    that somebody went back to. `trail` are the slots people closed, in order; `asked` those that were asked;
    `looked` says for which circumstances each want was looked up; `facts` are what was found, in sources
    on `hosts`. `drafts` are
    texts that nobody has taken or replaced yet, by slot; `heard` are values that a model has read and nobody
    has said, until somebody takes them or answers. `begun` tells it from others of the same thread.
    `since` is when what stands now was asked, by the database's clock (0 when it was not stored yet).
    """

    version: int = VERSION
    workflow: str
    title: str
    revision: str
    started_by: str
    status: Status = "asking"
    paused_in: Status = "asking"
    at: str | None = None
    proposed: Any = None
    reopened: str | None = None
    answers: dict[str, Given] = Field(default_factory=dict)
    skipped: dict[str, str] = Field(default_factory=dict)
    trail: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    facts: dict[str, Any] = Field(default_factory=dict)
    looked: dict[str, str] = Field(default_factory=dict)
    hosts: tuple[str, ...] = ()
    drafts: dict[str, str] = Field(default_factory=dict)
    heard: dict[str, Any] = Field(default_factory=dict)
    made: int = 0
    begun: str = ""
    since: float = 0.0

    @property
    def is_under_way(self) -> bool:
        """Whether words in the thread are answers to it."""
        return self.status in ("asking", "confirming", "making")

    @property
    def is_over(self) -> bool:
        return self.status in ("done", "cancelled")

    def to_json(self) -> dict[str, Any]:
        """What is stored; what has its default is left out."""
        stored: dict[str, Any] = self.model_dump(mode="json", exclude_defaults=True)
        return {"version": VERSION, **stored}

    @classmethod
    def from_json(cls, stored: Any) -> State | None:
        """None for what this version cannot read."""
        if not isinstance(stored, dict) or stored.get("version") != VERSION:
            return None
        try:
            return cls.model_validate(stored)
        except ValueError:
            return None
