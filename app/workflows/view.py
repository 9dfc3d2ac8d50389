"""What a workflow knows at one moment: the slots to fill, the values there are, and what each name means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from app.workflows.document import MOST_ITEMS, Field, Phase, Slot, Workflow
from app.workflows.filling import TooLarge, plain, render, within
from app.workflows.in_words import MISSING, dig, key_of, listed
from app.workflows.state import State
from app.workflows.templates import Path, Scope, Template
from app.workflows.values import Invalid, ServiceNames, anything, parse

DEEPEST_DEFAULT = 40
"""How many defaults may lean on each other."""


@dataclass
class View:
    """A document and a state, read together. Pure; what is found once is remembered."""

    workflow: Workflow
    state: State
    services: ServiceNames = anything
    _values: dict[str, Any] = field(default_factory=dict)
    _busy: set[str] = field(default_factory=set)

    @property
    def fields(self) -> Mapping[str, tuple[Phase, Field]]:
        return self.workflow.fields

    @cached_property
    def slots(self) -> tuple[Slot, ...]:
        """All that is to be filled, as far as the lists are known that phases are walked for."""
        return tuple(slot for phase in self.workflow.phases for slot in self.slots_of(phase))

    def slots_of(self, phase: Phase) -> tuple[Slot, ...]:
        if phase.each is None:
            return phase.slots
        return tuple(Slot(phase, each, item) for item in self.items(phase.each) for each in phase.fields)

    def items(self, each: str) -> tuple[Any, ...]:
        """The entries of a list, each once."""
        found = listed(self.resolve(tuple(each.split("."))))
        return tuple({key_of(item): item for item in found}.values())[:MOST_ITEMS]

    def slot(self, slot_id: str | None) -> Slot | None:
        return self._by_id.get(slot_id) if slot_id else None

    @cached_property
    def _by_id(self) -> Mapping[str, Slot]:
        return {slot.id: slot for slot in reversed(self.slots)}

    # -- values ----------------------------------------------------------------------------------------------

    def value(self, slot: Slot) -> Any:
        """What was answered, or the default when all it refers to is known; else `MISSING`."""
        slot_id = slot.id
        if (given := self.state.answers.get(slot_id)) is not None:
            return given.value
        if slot.field.default is None or slot_id in self.state.skipped:
            return MISSING
        if slot_id not in self._values:
            # In a circle nothing is known of any, nor of what leans on too many others.
            if slot_id in self._busy or len(self._busy) >= DEEPEST_DEFAULT:
                return MISSING
            self._busy.add(slot_id)
            try:
                self._values[slot_id] = self.worked_out(slot, slot.field.default)
            finally:
                self._busy.discard(slot_id)
        return self._values[slot_id]

    def worked_out(self, slot: Slot, template: Template) -> Any:
        """A default or a proposal as a valid value; `MISSING` when it is none."""
        scope = self.scope(slot)
        if not template.known(scope):
            return MISSING
        only = template.sole()
        try:
            said = scope(only.path) if only else render(template, scope, marker=lambda path: "").text
            return parse(slot.field, said, self.services)
        except (Invalid, TooLarge):
            return MISSING

    def proposal(self, slot: Slot) -> Any:
        """Its draft, else what was heard for it, else what its field proposes."""
        for proposed in (self.state.drafts, self.state.heard):
            if slot.id in proposed:
                return proposed[slot.id]
        return MISSING if slot.field.propose is None else self.worked_out(slot, slot.field.propose)

    def is_open(self, slot: Slot) -> bool:
        """Whether it has neither a value nor somebody who left it."""
        if slot.id in self.state.answers or slot.id in self.state.skipped:
            return False
        return self.value(slot) is MISSING

    def may_ask(self, slot: Slot) -> bool:
        """Whether its phase's follow-ups are not used up by what was asked before it."""
        cap = self.cap_of(slot.phase)
        if cap is None or slot.id in self.state.asked:
            return True
        same = (each for each in self.slots_of(slot.phase) if each.key == slot.key)
        return sum(each.id in self.state.asked for each in same) <= cap

    def cap_of(self, phase: Phase) -> int | None:
        return phase.follow_ups if phase.follow_ups is not None else self.workflow.follow_up_cap

    def is_default(self, slot: Slot) -> bool:
        return slot.id not in self.state.answers and self.value(slot) is not MISSING

    # -- names -----------------------------------------------------------------------------------------------

    def scope(self, slot: Slot) -> Scope:
        """What names mean in the questions of a slot."""
        if slot.phase.each is None:
            return self.resolve
        return within(self.resolve, slot.phase.item, slot.item)

    def resolve(self, path: Path) -> Any:
        """What a name means: a field, else what was looked up, else something of the service.

        A last part such as `[pay]` asks for the value of one item."""
        key = path[-1][1:-1] if path[-1].startswith("[") else None
        path = path[:-1] if key is not None else path
        name = path[0]
        if len(path) > 1:
            return dig(self.state.facts, path)
        if name in self.fields:
            phase, found = self.fields[name]
            if phase.each is None:
                return self.value(Slot(phase, found))
            values = [self.value(Slot(phase, found, item)) for item in self._of(phase, key)]
            if key is not None:
                return values[0] if values else MISSING
            return [value for value in values if value is not MISSING] or MISSING
        known = self.state.facts.get(name)
        if isinstance(known, Mapping):
            known = known.get("name", known) or None
        if known is not None:
            return known
        return dig(self.state.facts, ("service", name.removeprefix("service_")))

    def _of(self, phase: Phase, key: str | None) -> list[Any]:
        assert phase.each is not None
        items = self.items(phase.each)
        return [item for item in items if key is None or key_of(item) == key]

    def text(self, template: Template, slot: Slot | None = None) -> str:
        """A question or a title with what is known filled in."""
        return plain(template, self.scope(slot) if slot else self.resolve)

    @property
    def service(self) -> str | None:
        """The service it is about, as far as anybody said."""
        for phase, each in self.fields.values():
            if each.type == "service" and phase.each is None:
                value = self.value(Slot(phase, each))
                if value is not MISSING:
                    return str(value)
        name = dig(self.state.facts, ("service", "name"))
        return None if name is MISSING else str(name)
