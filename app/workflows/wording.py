"""What the engine wants said, in markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.workflows.actions import (
    Action,
    Ask,
    AskToConfirm,
    Explain,
    Left,
    PhaseStanding,
    Progress,
    Refused,
    Report,
    Rest,
    Say,
    Took,
    Unknown,
    Unsure,
)
from app.workflows.document import Field, Slot, Workflow
from app.workflows.engine import taking
from app.workflows.finding import asking_sentence
from app.workflows.in_words import text_of
from app.workflows.rendering import Handed
from app.workflows.state import State
from app.workflows.view import View

LONGEST_SHOWN = 300
LONGEST_WHY = 800
LONGEST_NAME = 80
SOMEBODY = "somebody"
ENDS = frozenset(".!?…")
MAKE_IT = "make it"
RESUME = "resume"
HOW = (
    "Say **skip**, **back**, **why**, **status**, **pause** or **cancel** at any time; anyone in this thread "
    "may answer, and `name: value` corrects an earlier answer."
)
GO_ON = "Say **resume** to go on, **cancel** to end it, or ask me something else meanwhile."
SAID = {
    "paused": "Paused. Say **resume** in this thread to go on, today or next week; nothing is lost.",
    "here": "I am here.",
    "resumed": "Going on where we were.",
    "cancelled": "Cancelled. Nothing was made; what you answered stays in this thread.",
    "at_the_start": "This is the first question; there is nothing to go back to.",
    "not_found": "I know no phase and no field “{detail}” here.",
    "what_to_change": "What should I change? Say `name: value`, or **back to** a phase.",
    "too_early": (
        "“{detail}” was written before I asked what stands now, so I take it for no answer to that. "
        "Say it again, or say `name: value` if it was to an earlier question."
    ),
    "over": "This workflow is over; start it again to make another one.",
    "made": (
        "This workflow has ended. Say `name: value` to change something, then I make it anew, or start it "
        "again to make another one."
    ),
}


def opening(workflow: Workflow, view: View) -> str:
    about = f" for **{view.service}**" if view.service else ""
    count = len(workflow.asking)
    return f"**{workflow.title}**{about}: {count} phase{'s' * (count != 1)}. {HOW}"


def worded(actions: Sequence[Action], names: Mapping[str, str] | None = None) -> str:
    """Everything that is to be said, in the order in which the engine said it; `names` are those of `people`,
    by what the answers are kept with. Who has none there is somebody: an id tells a reader nothing."""
    return "\n\n".join(said for each in actions if (said := _one(each, names or {})))


def people(actions: Sequence[Action]) -> frozenset[str]:
    """Whose names are said in these."""
    shown = (each.answers for each in actions if isinstance(each, Report | AskToConfirm))
    return frozenset(by for answers in shown for _, _, by in answers if by)


def _one(action: Action, names: Mapping[str, str]) -> str:
    match action:
        case Took() | Refused() | Unsure() | Left():
            return _of_answer(action)
        case Unknown():
            return _unknown(action)
        case Rest():
            unheard = f"I have not noted “{_short(action.words)}”: " if action.words else ""
            return f"{unheard}{resting(action)}. {GO_ON}"
        case Say():
            return SAID[action.what].format(detail=_short(action.detail))
        case Explain():
            return _short(action.text, LONGEST_WHY) or "It goes into what I make at the end."
    return _of_standing(action, names)


def _unknown(action: Unknown) -> str:
    said = f"I know no field “{_short(action.name)}” here."
    if not action.near:
        return said
    meant = " or ".join(f"**{slot.label}**" for slot in action.near)
    value = _short(text_of(action.value), LONGEST_NAME)
    return f"{said} Did you mean {meant}? Say `{action.near[0].label}: {'…' if '`' in value else value}`."


def _of_answer(action: Took | Refused | Unsure | Left) -> str:
    slot = action.slot
    if isinstance(action, Unsure):
        return (
            f"I read **{shown(slot.field, action.value)}** for {slot.label}, and you did not say it in these "
            "words. Say **yes** if you mean that, or say it again."
        )
    if isinstance(action, Refused):
        return f"{slot.label.capitalize()}: {action.reason}"
    if isinstance(action, Left):
        why = "I ask no more in this phase" if action.capped else "Left open"
        return f"{why}: {slot.label}{'; it is a TODO in what I make' * slot.field.required}."
    old = action.instead_of
    instead = "" if old is None else f" (instead of {shown(slot.field, old)})"
    now = shown(slot.field, action.value)
    return f"Noted: {slot.label} is {strong(now)}{instead}{'.' * (bool(instead) or now[-1:] not in ENDS)}"


def _of_standing(action: Action, names: Mapping[str, str]) -> str:
    if isinstance(action, Report):
        return _report(action, names)
    if isinstance(action, Ask):
        return _asked(action)
    if isinstance(action, AskToConfirm):
        known = _answers(action.answers, names)
        return f"{known}\n\nShall I make it? Say **yes**, or correct with `name: value`."
    return ""


def _asked(ask: Ask) -> str:
    if ask.again:
        return _reminder(ask)
    field = ask.slot.field
    lines = [_heading(ask), ""]
    if ask.lead_in:
        lines += [ask.lead_in, ""]
    lines.append(ask.question)
    if field.choices:
        lines += ["", *(f"{n}. {each.label}" for n, each in enumerate(field.choices, 1))]
    if ask.present is not None:
        lines += ["", f"It is {strong(shown(field, ask.present))} now; **skip** keeps that."]
    elif ask.heard:
        lines += [
            "",
            f"From what was said before I read **{shown(field, ask.proposal)}**, which are not your words; "
            "say **yes** if it is right.",
        ]
    elif ask.proposal is not None and field.draft:
        draft = (f"> {line}".rstrip() for line in text_of(ask.proposal).splitlines())
        lines += ["", "I have drafted this; say **yes** to take it, or write your own.", "", *draft]
    elif ask.proposal is not None:
        lines += ["", f"I propose {strong(shown(field, ask.proposal))}; say **yes** to take it."]
    return "\n".join(lines)


def _heading(ask: Ask) -> str:
    return f"**{ask.slot.phase.name}** · {_place(ask.at)}"


def _place(at: Progress) -> str:
    question = f", question {at.number} of {at.total}" if at.total > 1 else ""
    return f"phase {at.phase} of {at.phases}{question}"


def resting(rest: Rest) -> str:
    """That it is paused, and where, without marks and without a full stop."""
    where = f"at {_place(rest.at)} ({rest.slot.label})" if rest.slot else "before I make the file"
    return f"“{rest.title}” is paused {where}"


def _reminder(ask: Ask) -> str:
    """One line for a question that stands right above, with what may be said to it."""
    field = ask.slot.field
    asked = asking_sentence(ask.question) or f"{ask.slot.label}?"
    line = f"{_heading(ask)} · {_short(asked)}"
    if field.choices:
        line += f" {'; '.join(f'{n}. {each.label}' for n, each in enumerate(field.choices, 1))}."
    if ask.present is not None:
        return f"{line} **skip** keeps {shown(field, ask.present)}."
    if ask.proposal is None:
        return line
    taken = "my draft" if field.draft and not ask.heard else strong(shown(field, ask.proposal))
    return f"{line} **yes** takes {taken}."


def offers(actions: Sequence[Action]) -> tuple[tuple[str, str], ...]:
    """What may be chosen as an answer to what is asked last, with what choosing it says.

    It names its field: chosen late, it corrects that field and answers no other question.
    """
    last = actions[-1] if actions else None
    meant = tuple(_meant(actions))
    if isinstance(last, AskToConfirm):
        return (*meant, ("Make it", MAKE_IT))
    if isinstance(last, Rest):
        return (*meant, *_of_rest(last))
    return (*meant, *_of_question(last)) if isinstance(last, Ask) else meant


def _meant(actions: Sequence[Action]) -> Iterator[tuple[str, str]]:
    """What a name that is no field may have been meant as: a field's, or the beginning of an answer."""
    unknown = [each for each in actions if isinstance(each, Unknown)]
    for each in unknown:
        value = text_of(each.value)
        for slot in each.near:
            says = f"change {slot.id} to {value}" if "\n" in value else f"{slot.id}: {value}"
            yield f"{slot.label}: {_short(value, LONGEST_NAME)}", says
    if unknown and unknown[0].words and isinstance(actions[-1], Ask):
        yield "It is my answer", f"{actions[-1].slot.id}: {' '.join(unknown[0].words.split())}"


def _of_rest(rest: Rest) -> Iterator[tuple[str, str]]:
    yield "Resume", RESUME
    if rest.slot and rest.words:
        yield f"{rest.slot.label}: {_short(rest.words, LONGEST_NAME)}", f"{rest.slot.id}: {rest.words}"


def _of_question(last: Ask) -> tuple[tuple[str, str], ...]:
    field, slot_id = last.slot.field, last.slot.id
    offered: list[tuple[str, Any]] = []
    if field.type == "choice":
        offered = [(each.label, each.value) for each in field.choices]
    elif field.type == "yes_no":
        offered = [("Yes", "yes"), ("No", "no")]
    elif last.proposal is not None and field.draft:
        offered = [("Take this text", taking(last.proposal))]
    elif last.proposal is not None and field.type in ("text", "list"):
        offered = [(f"Take {shown(field, last.proposal)}", taking(last.proposal))]
    elif last.proposal is not None:
        offered = [(f"Take {shown(field, last.proposal)}", text_of(last.proposal))]
    return tuple((label, f"{slot_id}: {' '.join(text_of(value).split())}") for label, value in offered)


def _report(report: Report, names: Mapping[str, str]) -> str:
    lines = "\n".join(map(_standing, report.phases))
    return f"{lines}\n\n{_answers(report.answers, names)}".strip()


def _standing(phase: PhaseStanding) -> str:
    if not phase.total:
        return f"- · {phase.name}: nothing to ask so far"
    mark = "→" if phase.is_current else "✓" if phase.filled == phase.total else "·"
    return f"- {mark} {phase.name}: {phase.filled} of {phase.total}"


def _answers(answers: Sequence[tuple[Slot, Any, str]], names: Mapping[str, str]) -> str:
    return "\n".join(
        f"- {slot.label}: {strong(shown(slot.field, value))} ({_short(_who(by, names), LONGEST_NAME)})"
        for slot, value, by in answers
    )


def _who(by: str, names: Mapping[str, str]) -> str:
    return names.get(by, SOMEBODY) if by else "default"


def handed_over(workflow: Workflow, view: View, files: Sequence[Handed], state: State) -> str:
    """What was made, what is open in it, where defaults were left, and what is wrong."""
    again = " anew" if state.made > 1 else ""
    names = ", ".join(f"`{file.base_name}`" for file in files)
    about = f" for **{view.service}**" if view.service else ""
    lines = [f"**{workflow.title}**{about} is done. I attached {names}{again}."]
    if not files:
        lines = [f"**{workflow.title}**{about} is done; by your answers there is no file to make."]
    for file in files:
        if file.faults:
            faults = "\n".join(f"- {fault}" for fault in file.faults)
            lines.append(f"`{file.base_name}` is **not valid**:\n{faults}")
        if file.repaired:
            faults = "\n".join(f"- {fault}" for fault in file.repaired)
            lines.append(
                f"`{file.base_name}` was not valid as its template was filled in, and a model has repaired "
                f"it; every answer is in it as before. What was wrong:\n{faults}"
            )
    todos = dict.fromkeys(todo for file in files for todo in file.todos)
    if todos:
        lines.append(f"Open, marked as TODO: {', '.join(todos)}.")
    defaults = [
        f"{slot.label} = {shown(slot.field, view.value(slot))}"
        for slot in view.slots
        if view.is_default(slot)
    ]
    if defaults:
        lines.append("\n".join(("Nobody was asked for these:", *(f"- {each}" for each in defaults))))
    lines.append("To change something, say `name: value`; then I make it anew.")
    return "\n\n".join(lines)


def shown(field: Field, value: Any) -> str:
    """A value as people read it, with its unit or label."""
    if field.type == "percent":
        return f"{text_of(value)} %"
    if field.unit and field.type == "number":
        return f"{text_of(value)} {field.unit}"
    labels = {each.value: each.label for each in field.choices}
    if isinstance(value, list):
        return _short(", ".join(labels.get(text_of(each), text_of(each)) for each in value)) or "none"
    return _short(labels.get(text_of(value), text_of(value)))


def strong(text: str) -> str:
    """A value in bold; an address stays bare, because marks behind it would be taken for a part of it."""
    return text if "://" in text else f"**{text}**"


def _short(text: str, longest: int = LONGEST_SHOWN) -> str:
    line = " ".join(text.split())
    return line if len(line) <= longest else line[: longest - 1] + "…"
