"""The workflows of a knowledge revision, read once, and which of them a message starts."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from app.knowledge.models import Knowledge
from app.workflows.document import Workflow
from app.workflows.reading import read

MOST_REVISIONS = 16
LONGEST_ORDER = 300
"""Characters of a message in which a trigger is looked for: a page that somebody pastes starts nothing."""
FIRST = r"^(?:\W|hey|hi|hello|please|ok|okay|and|so|now)*"
POLITE = re.compile(FIRST + r"(?:can|could|would|will|shall|should|may) (?:you|we|i)\b", re.IGNORECASE)
QUESTION = re.compile(
    FIRST + r"(?:what|which|who|whom|whose|when|where|why|how|is|are|was|were|do|does|did|has|have|had)\b",
    re.IGNORECASE,
)


@dataclass
class WorkflowLibrary:
    """Keeps what was read by revision, the newest few."""

    _read: OrderedDict[str, tuple[Workflow, ...]] = field(default_factory=OrderedDict)

    def of(self, knowledge: Knowledge) -> tuple[Workflow, ...]:
        """All workflows that can be carried out, in the order of their paths."""
        found = self._read.get(knowledge.revision)
        if found is None:
            found = tuple(_workflows(knowledge))
            self._read[knowledge.revision] = found
            while len(self._read) > MOST_REVISIONS:
                self._read.popitem(last=False)
        self._read.move_to_end(knowledge.revision)
        return found

    def at(self, knowledge: Knowledge, path: str) -> Workflow | None:
        return next((each for each in self.of(knowledge) if each.path == path), None)

    def started(self, words: str, knowledge: Knowledge) -> Workflow | None:
        """The workflow that a message asks to begin: one of whose triggers it holds, the longest of several.

        A question that only names one (“what is the SLO workshop?”) asks for none.
        """
        if len(words) > LONGEST_ORDER or (QUESTION.match(words) and not POLITE.match(words)):
            return None
        heard = f" {_plain(words)} "
        found = [
            (len(trigger), each)
            for each in self.of(knowledge)
            for trigger in map(_plain, (*each.triggers, each.title))
            if trigger and f" {trigger} " in heard
        ]
        return max(found, key=lambda pair: pair[0])[1] if found else None


def _workflows(knowledge: Knowledge) -> Iterator[Workflow]:
    documents = (*knowledge.workflows, *knowledge.artifacts, *knowledge.templates)
    files = {document.path: document.text for document in documents}
    for document in knowledge.workflows:
        if (workflow := read(document.path, document.text, files).workflow) is not None:
            yield workflow


def _plain(words: str) -> str:
    return " ".join(re.sub(r"[^\w]+", " ", words.casefold()).split())
