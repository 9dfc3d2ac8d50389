"""The phase machine: (document, state, event) → (state, actions). Pure; no model decides where it goes.

What is asked next follows from which slots are filled and valid. Whoever carries out the actions comes back
with events: what was looked up, whether the artifact could be made, what somebody said.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.workflows.actions import (
    Action,
    AnswerAside,
    Ask,
    AskToConfirm,
    Explain,
    Left,
    Look,
    Make,
    PhaseStanding,
    Progress,
    Refused,
    Report,
    Rest,
    Say,
    Step,
    Took,
    Unknown,
    Unsure,
)
from app.workflows.document import Phase, Slot, Workflow
from app.workflows.events import (
    Aside,
    AskStatus,
    Back,
    Cancel,
    Confirm,
    Drafted,
    Early,
    Event,
    Greeting,
    Looked,
    Made,
    NotMade,
    Pause,
    Resume,
    Skip,
    Values,
    Why,
    Words,
)
from app.workflows.finding import (
    agrees,
    agrees_to_nothing,
    answered,
    circumstances,
    find,
    nearest,
    progress,
    slots_of_phase,
)
from app.workflows.in_words import MISSING, text_of
from app.workflows.state import MOST_EARLIER, Earlier, Given, How, State
from app.workflows.values import NO, Invalid, ServiceNames, anything, example, parse
from app.workflows.view import View

MOST_TRAIL = 500
NOTHING_PROPOSED = "I have proposed nothing to agree to here; say it in your words, or **skip**."
TAKE = "take what is proposed"


def taking(proposal: Any) -> str:
    """What taking a proposal with a button says where its words would not be read as the same value again.

    It is that proposal and no later one: what was read is what is taken.
    """
    return f"{TAKE} ({hashlib.blake2s(text_of(proposal).encode(), digest_size=6).hexdigest()})"


def begin(
    workflow: Workflow,
    *,
    revision: str,
    by: str,
    begun: str = "",
    service: str | None = None,
    facts: Mapping[str, Any] | None = None,
    services: ServiceNames = anything,
) -> Step:
    """A new workflow, about a service if one was named; `begun` is a name of its own."""
    known = dict(facts or {})
    state = State(
        workflow=workflow.path,
        title=workflow.title,
        revision=revision,
        started_by=by,
        facts=known,
        begun=begun,
    )
    asks_for = next(
        (
            each
            for phase in workflow.phases
            if phase.each is None
            for each in phase.fields
            if each.type == "service"
        ),
        None,
    )
    if service and asks_for:
        state = state.model_copy(
            update={"answers": {asks_for.name: Given(value=service, by=by, how="opening")}}
        )
    elif service:
        state = state.model_copy(update={"facts": {**known, "service": {"name": service}}})
    machine = _Machine(workflow, state, services)
    machine.go_on()
    return machine.step()


def step(workflow: Workflow, state: State, event: Event, *, services: ServiceNames = anything) -> Step:
    """What becomes of an event; the same every time."""
    machine = _Machine(workflow, state, services)
    machine.take(event)
    return machine.step()


def resting(view: View, words: str = "") -> Rest:
    """How a paused workflow stands."""
    slot = view.slot(view.state.at) if view.state.paused_in == "asking" else None
    at = progress(view, slot) if slot else Progress()
    return Rest(view.state.title, slot, at, words if slot else "")


@dataclass
class _Machine:
    workflow: Workflow
    state: State
    services: ServiceNames
    actions: list[Action] = field(default_factory=list)
    _view: View | None = None

    def step(self) -> Step:
        return Step(self.state, tuple(self.actions))

    @property
    def view(self) -> View:
        """Of the state as it is now."""
        if self._view is None or self._view.state is not self.state:
            self._view = View(self.workflow, self.state, self.services)
        return self._view

    def change(self, **values: Any) -> None:
        self.state = self.state.model_copy(update=values)

    def take(self, event: Event) -> None:
        match event:
            case Words():
                self.words(event)
            case Values():
                self.values(event)
            case Skip():
                self.skip(event.by)
            case Back():
                self.back(event.to)
            case Looked():
                self.looked(event)
            case Drafted():
                self.drafted(event)
            case Confirm():
                self.confirm()
            case _:
                self.about_itself(event)

    def about_itself(self, event: Event) -> None:
        """What changes no answer."""
        match event:
            case Why():
                self.why()
            case AskStatus():
                self.actions.append(self.report())
                self.ask_again()
            case Pause():
                self.pause()
            case Resume():
                self.resume()
            case Cancel():
                self.cancel()
            case Greeting():
                if self.state.status != "paused":
                    self.actions.append(Say("here"))
                self.ask_again()
            case Aside():
                self.actions.append(AnswerAside(event.text))
                self.ask_again()
            case Early():
                self.actions.append(Say("too_early", event.text))
                self.ask_again()
            case Made():
                self.change(status="done", at=None, proposed=None, made=self.state.made + 1)
            case NotMade():
                self.change(status="confirming", at=None, proposed=None)

    # -- answers ---------------------------------------------------------------------------------------------

    def words(self, event: Words) -> None:
        if self.state.status == "confirming":
            self.words_to_confirm(event)
            return
        if self.state.status == "paused":
            self.actions.append(resting(self.view, event.text))
            return
        slot = self.view.slot(self.state.at) if self.state.status == "asking" else None
        if slot is None:
            self.actions.append(AnswerAside(event.text))
            return
        if self.state.proposed is not None and slot.field.type != "yes_no" and agrees(event.text):
            self.fill(slot, self.state.proposed, event.by, "proposed")
        elif agrees_to_nothing(slot, event.text, self.view):
            self.actions.append(Refused(slot, f"{NOTHING_PROPOSED} {example(slot.field)}"))
            self.ask_again()
            return
        elif not self.try_to_fill(slot, event.text, event.by, "said"):
            self.ask_again()
            return
        self.go_on()

    def words_to_confirm(self, event: Words) -> None:
        first = event.text.strip().casefold().rstrip("!. ")
        if agrees(event.text):
            self.confirm()
        elif first.split(" ")[:1] and first.split(" ")[0].strip(",") in NO:
            self.actions.append(Say("what_to_change"))
        else:
            self.actions.append(AnswerAside(event.text))
            self.ask_again()

    def values(self, event: Values) -> None:
        """Each that is valid is taken, whatever becomes of the others."""
        if self.state.status == "cancelled":
            self.actions.append(Say("over"))
            return
        taken = False
        for name, said in event.values.items():
            slot = find(self.view, name)
            if slot is None:
                self.actions.append(Unknown(name, said, nearest(self.view, name), event.words))
            elif self.try_to_fill(slot, said, event.by, event.how):
                taken = True
        for name, said in event.unsaid.items():
            self.hear(name, said)
        if self.state.status == "paused" or (self.state.status == "done" and not taken):
            return
        if taken:
            self.go_on()
        else:
            self.ask_again()

    def hear(self, name: str, said: Any) -> None:
        """Keep what nobody has said as a proposal for when its question stands."""
        slot = find(self.view, name)
        if slot is None or not self.view.is_open(slot):
            return
        try:
            value = parse(slot.field, said, self.services)
        except Invalid:
            return
        self.change(heard={**self.state.heard, slot.id: value})
        if slot.id == self.state.at:
            self.actions.append(Unsure(slot, value))

    def try_to_fill(self, slot: Slot, said: Any, by: str, how: How) -> bool:
        if isinstance(said, str) and said.startswith(TAKE):
            proposed = self.view.proposal(slot)
            if proposed is MISSING or said != taking(proposed):
                self.actions.append(Refused(slot, "That proposal is gone; say what it should be instead."))
                return False
            said, how = proposed, "proposed"
        try:
            value = parse(slot.field, said, self.services)
        except Invalid as refused:
            self.actions.append(Refused(slot, refused.sentence))
            return False
        self.fill(slot, value, by, how)
        return True

    def fill(self, slot: Slot, value: Any, by: str, how: How) -> None:
        old = self.state.answers.get(slot.id)
        before = (*old.before, Earlier(value=old.value, by=old.by))[-MOST_EARLIER:] if old else ()
        given = Given(value=value, by=by, how=how, before=before)
        skipped = {each: who for each, who in self.state.skipped.items() if each != slot.id}
        self.change(
            answers={**self.state.answers, slot.id: given},
            skipped=skipped,
            trail=self.trail_with(slot.id),
            reopened=None if self.state.reopened == slot.id else self.state.reopened,
            drafts={},  # what was drafted knew nothing of this answer
            heard={each: heard for each, heard in self.state.heard.items() if each != slot.id},
        )
        self.actions.append(Took(slot, value, how, old.value if old else None))

    def trail_with(self, slot_id: str) -> tuple[str, ...]:
        return (*(each for each in self.state.trail if each != slot_id), slot_id)[-MOST_TRAIL:]

    def skip(self, by: str) -> None:
        if self.state.is_over:
            self.say_over()
            return
        slot = self.view.slot(self.state.at) if self.state.status == "asking" else None
        if slot is None:
            self.ask_again()
            return
        if self.state.reopened == slot.id:
            self.change(reopened=None)  # what was answered stands
        elif slot.id in self.state.heard:
            self.change(heard={each: heard for each, heard in self.state.heard.items() if each != slot.id})
        elif self.state.proposed is not None:
            self.fill(slot, self.state.proposed, by, "proposed")
        if slot.id not in self.state.answers and slot.id not in self.state.skipped:
            self.change(skipped={**self.state.skipped, slot.id: by}, trail=self.trail_with(slot.id))
            self.actions.append(Left(slot))
        self.go_on()

    def back(self, to: str) -> None:
        """To a slot that was closed; what it holds stands until somebody says something else."""
        if self.state.is_over:
            self.say_over()
            return
        if self.state.status == "paused":
            self.ask_again()
            return
        view = self.view
        if to:
            slot = find(view, to) or next(iter(slots_of_phase(view, to)), None)
            if slot is None:
                self.actions.append(Say("not_found", to))
                self.ask_again()
                return
        else:
            trail = self.state.trail
            here = self.state.reopened if self.state.reopened in trail else None
            earlier = trail[: trail.index(here)] if here else trail
            slot = next((found for each in reversed(earlier) if (found := view.slot(each))), None)
            if slot is None:
                self.actions.append(Say("at_the_start"))
                self.ask_again()
                return
        self.change(reopened=slot.id, status="asking")
        self.go_on()

    # -- what comes next -------------------------------------------------------------------------------------

    def go_on(self) -> None:
        """Look up what is wanted, else ask for the next open slot, else make the artifact."""
        if self.state.status not in ("asking", "confirming", "making", "done"):
            return
        self.forget_what_is_gone()
        view = self.view
        reopened = view.slot(self.state.reopened)
        for phase, wants in self.reached(view):
            if wants:
                self.actions.append(Look(wants))
                return
            if reopened is not None:
                break
            if phase is not None and (slot := self.next_open(view, phase)) is not None:
                self.ask(slot)
                return
        if reopened is not None:
            self.ask(reopened)
        elif self.workflow.confirm and self.state.status != "making":
            self.change(status="confirming", at=None, proposed=None)
            self.actions.append(AskToConfirm(self.answered()))
        else:
            self.make()

    def forget_what_is_gone(self) -> None:
        """A slot of an item that is in the list no more is not asked any more; its answer is kept."""
        if self.state.reopened is not None and self.view.slot(self.state.reopened) is None:
            self.change(reopened=None)

    def reached(self, view: View) -> Iterator[tuple[Phase | None, tuple[str, ...]]]:
        """The phases in order, each with what has to be looked up before it; the workflow itself first."""
        service = view.service
        stamp = service or ""
        first = tuple(dict.fromkeys((*(("service",) if service else ()), *self.workflow.wants)))
        yield None, tuple(want for want in first if self.state.looked.get(want) != stamp)
        for number, phase in enumerate(self.workflow.phases):
            wants: tuple[str, ...] = ()
            if phase.wants:
                stamp = circumstances(view, number)
                wants = tuple(
                    each for each in phase.wants if self.state.looked.get(f"{number}:{each}") != stamp
                )
            yield phase, wants

    def next_open(self, view: View, phase: Phase) -> Slot | None:
        """The first open slot of a phase; beyond its follow-ups the others are left."""
        for slot in view.slots_of(phase):
            if not view.is_open(slot):
                continue
            if view.may_ask(slot):
                return slot
            self.change(skipped={**self.state.skipped, slot.id: ""})
            self.actions.append(Left(slot, capped=True))
        return None

    def ask(self, slot: Slot) -> None:
        view = self.view
        proposal = view.proposal(slot)
        given = self.state.answers.get(slot.id)
        again = slot.id == self.state.at and self.just_said_no()
        asked = (*(each for each in self.state.asked if each != slot.id), slot.id)
        self.change(
            status="asking", at=slot.id, asked=asked, proposed=None if proposal is MISSING else proposal
        )
        self.actions.append(
            Ask(
                slot,
                view.text(slot.field.question, slot),
                self.state.proposed,
                progress(self.view, slot),
                given.value if given else None,
                again,
                slot.id in self.state.heard and slot.id not in self.state.drafts,
            )
        )

    def just_said_no(self) -> bool:
        """Whether what was said last only says why nothing has changed."""
        last = self.actions[-1] if self.actions else None
        return isinstance(last, Refused | Unsure | Unknown | Explain) or (
            isinstance(last, Say) and last.what in ("at_the_start", "not_found", "too_early", "here")
        )

    def ask_again(self) -> None:
        """What is open stands again, after something else was said."""
        if self.state.status == "asking":
            self.go_on()
        elif self.state.status == "confirming":
            self.actions.append(AskToConfirm(self.answered()))
        elif self.state.status == "paused":
            self.actions.append(resting(self.view))

    def looked(self, event: Looked) -> None:
        view = self.view
        stamp = view.service or ""
        looked = dict(self.state.looked)
        for want in event.wants:
            looked[want] = stamp
            for number, phase in enumerate(self.workflow.phases):
                if want in phase.wants:
                    looked[f"{number}:{want}"] = circumstances(view, number)
        kept = {name: value for name, value in self.state.facts.items() if name not in event.wants}
        hosts = tuple(dict.fromkeys((*self.state.hosts, *event.hosts)))
        self.change(facts={**kept, **event.facts}, looked=looked, hosts=hosts)
        self.go_on()

    def drafted(self, event: Drafted) -> None:
        """Propose a text for what is asked now; it counts when somebody takes it."""
        slot = self.view.slot(event.slot)
        if slot is None or not slot.field.draft or (self.state.status, self.state.at) != ("asking", slot.id):
            return
        try:
            text = parse(slot.field, event.text, self.services)
        except Invalid:
            return
        self.change(drafts={slot.id: str(text)})
        self.ask(slot)

    def confirm(self) -> None:
        if self.state.status == "confirming":
            self.make()
        elif self.state.is_over:
            self.actions.append(Say("over"))
        else:
            self.ask_again()

    def make(self) -> None:
        self.change(status="making", at=None, proposed=None)
        self.actions.append(Make())

    # -- about the workflow itself ---------------------------------------------------------------------------

    def why(self) -> None:
        slot = self.view.slot(self.state.at) if self.state.status == "asking" else None
        if slot is not None:
            why = self.view.text(slot.field.why, slot) if slot.field.why else slot.phase.prose
            self.actions.append(Explain(slot, why))
        self.ask_again()

    def pause(self) -> None:
        if self.state.is_over:
            self.actions.append(Say("over"))
        elif self.state.status == "paused":
            self.ask_again()
        else:
            self.change(paused_in=self.state.status, status="paused")
            self.actions.append(Say("paused"))

    def resume(self) -> None:
        if self.state.is_over:
            self.actions.append(Say("over"))
            return
        if self.state.status == "paused":
            self.change(status=self.state.paused_in)
            self.actions.append(Say("resumed"))
        self.ask_again()

    def cancel(self) -> None:
        if self.state.is_over:
            self.actions.append(Say("over"))
            return
        self.change(status="cancelled", at=None, proposed=None, reopened=None)
        self.actions.append(Say("cancelled"))

    def say_over(self) -> None:
        self.actions.append(Say("made" if self.state.status == "done" else "over"))

    def answered(self) -> tuple[tuple[Slot, Any, str], ...]:
        return answered(self.view)

    def report(self) -> Report:
        view = self.view
        at = view.slot(self.state.at)
        phases = []
        for phase in self.workflow.asking:
            slots = view.slots_of(phase)
            filled = sum(not view.is_open(slot) for slot in slots)
            is_current = at is not None and at.phase is phase
            phases.append(PhaseStanding(phase.name, filled, len(slots), is_current))
        return Report(tuple(phases), self.answered())
