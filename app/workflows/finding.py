"""Which slot somebody means, what words agree, what has been answered so far, and how far a question is."""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from app.context.typos import LIKELY, LONG, NEAREST, same_beginning
from app.workflows.actions import Progress
from app.workflows.document import Slot
from app.workflows.in_words import MISSING
from app.workflows.values import YES
from app.workflows.view import View

AGREED = YES | {
    "ok", "okay", "sure", "fine", "agreed", "good", "great", "perfect", "accept", "take it", "looks good",
    "sounds good", "do it", "go ahead", "make it", "go", "confirm", "as proposed", "that works",
}  # fmt: skip


SHORTEST = 4
"""Letters; a shorter name is one mistake away from too many others."""
SENTENCES = re.compile(r"(?<=[.!?…])\s+|\n+")
OPEN = re.compile(r"(?:\w+ )?(?:what|which|who|whom|whose|where|when|why|how)\b", re.IGNORECASE)


def answered(view: View) -> tuple[tuple[Slot, Any, str], ...]:
    """All values there are, in order, each with who gave it; nobody gave a default."""
    found = []
    for slot in view.slots:
        value = view.value(slot)
        if value is not MISSING:
            given = view.state.answers.get(slot.id)
            found.append((slot, value, given.by if given else ""))
    return tuple(found)


def circumstances(view: View, number: int) -> str:
    """A digest of what was answered before a phase, by which it is known whether to look again."""
    values = [
        (slot.id, view.value(slot))
        for phase in view.workflow.phases[:number]
        for slot in view.slots_of(phase)
        if not view.is_open(slot)
    ]
    text = json.dumps([view.service, *((name, str(value)) for name, value in values)])
    return hashlib.blake2s(text.encode(), digest_size=6).hexdigest()


def progress(view: View, slot: Slot) -> Progress:
    """How far a question is, in what people are asked: what was named when it began, is known, or is left
    because its phase may ask no more, is no question. Only the phase in hand is counted by questions: what
    later ones ask depends on what is looked up for them."""
    phases = view.workflow.asking
    counted = list(_asked_of_people(view, slot))
    number = next((n for n, each in enumerate(counted, 1) if each.id == slot.id), len(counted))
    return Progress(phases.index(slot.phase) + 1, len(phases), number, len(counted))


def _asked_of_people(view: View, at: Slot) -> Iterator[Slot]:
    cap = view.cap_of(at.phase)
    spent: Counter[str | None] = Counter()
    state = view.state
    for slot in view.slots_of(at.phase):
        given = state.answers.get(slot.id)
        by_people = (given is not None and given.how != "opening") or bool(state.skipped.get(slot.id))
        if slot.id == at.id or by_people:
            spent[slot.key] += slot.id in state.asked
            yield slot
        elif view.is_open(slot) and (cap is None or spent[slot.key] <= cap):
            spent[slot.key] += 1
            yield slot


def asking_sentence(question: str) -> str:
    """The sentence of a question that asks; empty when none does."""
    return next((each for each in SENTENCES.split(question) if each.endswith("?")), "")


def agrees_to_nothing(slot: Slot, text: str, view: View) -> bool:
    """Whether words only agree where nothing is proposed and the question asks what, who or how."""
    if view.state.proposed is not None or slot.field.type not in ("text", "list") or not agrees(text):
        return False
    return OPEN.match(asking_sentence(view.text(slot.field.question, slot))) is not None


def agrees(text: str) -> bool:
    """Whether these words take what was proposed, and say nothing else."""
    words = " ".join(text.casefold().replace(",", " ").split()).strip("!. :)")
    return words in AGREED or words.removesuffix(" please") in AGREED or words.removeprefix("yes ") in AGREED


def find(view: View, name: str) -> Slot | None:
    """The slot somebody means: by its id, its label, or a field's name, then for the item in hand."""
    wanted = _plain(name)
    at = view.slot(view.state.at)
    named = []
    for slot in view.slots:
        if wanted in (_plain(slot.id), _plain(slot.label)):
            return slot
        if slot.key is not None and wanted == _plain(f"{slot.key} {slot.field.label}"):
            return slot
        if wanted == _plain(slot.field.label):
            named.append(slot)
    here = [slot for slot in named if at is not None and slot.key == at.key]
    filled = [slot for slot in named if slot.id in view.state.answers]
    return next(iter((*here, *filled, *named)), None)


def slips(view: View, name: str) -> tuple[Slot, ...]:
    """The slots that a name nearly is, the nearest alone; counted as misspelled services are."""
    from rapidfuzz import process  # noqa: PLC0415
    from rapidfuzz.distance import OSA  # noqa: PLC0415 - 3 MB that a quiet process does not need

    wanted, spellings = _squeezed(name), _spellings(view)
    if len(wanted) < SHORTEST:
        return ()
    allowed = 2 if len(wanted) >= LONG else 1
    near = process.extract(wanted, list(spellings), scorer=OSA.distance, score_cutoff=allowed, limit=None)
    near = [hit for hit in near if len(hit[0]) >= SHORTEST and same_beginning(wanted, hit[0])]
    best = min((hit[1] for hit in near), default=0)
    return _meant(view, (spellings[hit[0]] for hit in near if hit[1] == best))


def nearest(view: View, name: str) -> tuple[Slot, ...]:
    """Up to three slots that somebody may mean by a name that is none, the likeliest first."""
    from rapidfuzz import process  # noqa: PLC0415
    from rapidfuzz.distance import JaroWinkler  # noqa: PLC0415 - as above

    if found := slips(view, name):
        return found
    wanted, spellings = _squeezed(name), _spellings(view)
    if len(wanted) < SHORTEST:
        return ()
    likely = process.extract(
        wanted, list(spellings), scorer=JaroWinkler.similarity, score_cutoff=LIKELY, limit=NEAREST
    )
    return _meant(view, (spellings[hit[0]] for hit in likely))


def _spellings(view: View) -> dict[str, str]:
    """What slots may be called, by how it is written without spaces."""
    names = (
        name
        for slot in view.slots
        for name in (slot.field.label, slot.label, slot.id, f"{slot.key or ''} {slot.field.label}")
    )
    return {_squeezed(name): name for name in names}


def _squeezed(name: str) -> str:
    return _plain(name).replace(" ", "")


def _meant(view: View, names: Iterable[str]) -> tuple[Slot, ...]:
    found = (slot for name in names if (slot := find(view, name)))
    return tuple({slot.id: slot for slot in found}.values())[:NEAREST]


def slots_of_phase(view: View, to: str) -> Iterator[Slot]:
    """The slots of the phase somebody names, by its name or its number."""
    wanted = _plain(to).removeprefix("the ").removeprefix("phase ").strip()
    for number, phase in enumerate(view.workflow.phases, 1):
        name = _plain(phase.name)
        if wanted in (str(number), name) or (len(wanted) > 3 and wanted in name):
            yield from view.slots_of(phase)


def _plain(words: str) -> str:
    spaced = "".join(letter if letter.isalnum() else " " for letter in words.casefold())
    return " ".join(spaced.split())
