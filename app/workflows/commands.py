"""What somebody means by a message in a thread with a workflow, as far as no model is needed to tell."""

from __future__ import annotations

import re

from app.workflows.events import (
    Aside,
    AskStatus,
    Back,
    Cancel,
    Event,
    Greeting,
    Pause,
    Resume,
    Skip,
    Values,
    Why,
    Words,
)
from app.workflows.finding import find, nearest, slips
from app.workflows.hearing import fits
from app.workflows.small_talk import is_greeting, is_polite
from app.workflows.view import View

IT = r"(?:\s+(?:it|this|that|this one|that one|here|please|for now|the (?:question|workflow)))*"
END = r"\s*[.!]*$"
SKIP = re.compile(rf"^(?:skip|pass|next|(?:i )?(?:don'?t|do not) know|dunno|no idea|not sure){IT}{END}", re.I)
BACK = re.compile(r"^(?:please )?(?:go |take me )?back(?:\s+(?:to\s+)?(?P<to>[^?]{1,80}?))?\s*[.!]*$", re.I)
WHY = re.compile(r"^why(?:\s+(?:do|would|should|is|are|must)\b.{0,60})?\s*[?.!]*$", re.I)
WHY_ASKED = re.compile(r"^why$|\b(?:you|i|we|that|this|it)\b", re.I)
STATUS = re.compile(
    r"^(?:status|progress|where (?:are|were) we|how far are we|show (?:me )?(?:the )?status)\s*[?.!]*$", re.I
)
PAUSE = re.compile(
    rf"^(?:pause|later|let'?s (?:pause|stop here|(?:continue|go on) (?:later|tomorrow|on \w+))){IT}{END}",
    re.I,
)
RESUME = re.compile(rf"^(?:resume|continue|go on|carry on|let'?s (?:resume|continue|go on)){IT}{END}", re.I)
CANCEL = re.compile(
    rf"^(?:cancel|abort|quit|never ?mind|forget (?:it|about it)|stop the workflow){IT}{END}", re.I
)
FIGURE = re.compile(r"^\W{0,2}\d[\d.,\s]*\w{0,12}\s*[%.]?$")
FIGURES = ("number", "percent", "duration")
PAIR = re.compile(r"^\s*(?:[-*•]\s*)?(?P<name>[A-Za-z][\w \[\]./-]{0,80}?)\s*(?::|=)\s*(?P<value>\S.*)$")
CHANGE = re.compile(
    r"^(?:please )?(?:change|set|correct|update|make)\s+(?:the\s+)?(?P<name>.{1,80}?)\s+(?:to|=|into)\s+"
    r"(?P<value>\S.*)$",
    re.IGNORECASE | re.DOTALL,
)


def event_of(text: str, by: str, view: View) -> Event | None:
    """The event that a message is; None when the workflow has nothing to do with it.

    What ends in a question mark is a question beside the workflow; corrections name a field. In a pause the
    thread is a conversation like others: only what is said to the workflow alone, or asks nothing, is heard.
    """
    said = text.strip()
    status = view.state.status
    if status == "cancelled":
        return None
    if values := corrections(said, view):
        answers = _may_answer(said, view) and any(view.slot(name) is None for name in values)
        return Values(values, by, words=said if answers else "")
    event = command(said, by)
    if status == "done":
        return event if isinstance(event, Skip | Back | AskStatus) else None
    if status == "paused":
        return _in_a_pause(said, by, event, view)
    if is_greeting(said):
        return Greeting(by)
    return event or (Aside(text, by) if said.endswith("?") else Words(text, by))


def _in_a_pause(said: str, by: str, event: Event | None, view: View) -> Event | None:
    """“Why?” may be about what the analyst has said, and so may any answer but a figure."""
    if isinstance(event, Why):
        return None
    if event is None and (is_greeting(said) or is_polite(said)):
        return Greeting(by)
    slot = view.slot(view.state.at)
    if (
        event is None
        and slot
        and slot.field.type in FIGURES
        and FIGURE.match(said)
        and fits(said, slot, view)
    ):
        return Words(said, by)
    return event


def command(said: str, by: str) -> Event | None:
    """What is said about the workflow itself."""
    if match := BACK.match(said):
        return Back(by, (match["to"] or "").strip())
    if WHY.match(said) and WHY_ASKED.search(said.rstrip("?.! ")):
        return Why(by)
    for pattern, event in (
        (SKIP, Skip(by)),
        (STATUS, AskStatus(by)),
        (PAUSE, Pause(by)),
        (RESUME, Resume(by)),
        (CANCEL, Cancel(by)),
    ):
        if pattern.match(said):
            return event
    return None


def corrections(said: str, view: View) -> dict[str, str]:
    """Values that a message gives to fields by name: `target: 99.9`, one a line, or `change target to 99.9`.

    A message that is only partly so is none: it is an answer in words. A name that is nearly a field's is
    kept as it is said, as is any that may be meant for one where the words cannot be an answer.
    """
    if match := CHANGE.match(said):
        name = _named(match["name"], view)
        if name is None and not _may_answer(said, view) and nearest(view, match["name"]):
            name = match["name"]
        return {name: match["value"].strip()} if name else {}
    found = {}
    for line in said.splitlines():
        if not line.strip():
            continue
        name, value = _pair(line, view)
        if name is None:
            return {}
        found[name] = value
    return found


def _pair(line: str, view: View) -> tuple[str | None, str]:
    """What a line names and the value it gives, whatever characters are in an item's name."""
    for slot in view.slots:
        if line.startswith(f"{slot.id}: "):
            return slot.id, line[len(slot.id) + 1 :].strip()
    pair = PAIR.match(line)
    return (_named(pair["name"], view), pair["value"].strip()) if pair else (None, "")


def _named(name: str, view: View) -> str | None:
    """The id of the slot of this name, or the name itself where it is misspelled; None for no name."""
    if slot := find(view, name):
        return slot.id
    return name if slips(view, name) else None


def _may_answer(said: str, view: View) -> bool:
    """Whether words fit what is asked; beside a question that stands, they may be meant for the analyst."""
    if view.state.status != "asking":
        return view.state.status != "confirming"
    slot = view.slot(view.state.at)
    return slot is not None and fits(said, slot, view)
