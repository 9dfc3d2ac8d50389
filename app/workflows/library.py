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
VERBS = frozenset({
    "let", "start", "begin", "run", "do", "make", "write", "draft", "create", "prepare", "open", "plan",
    "help", "walk", "go", "kick", "try", "repeat", "launch",
})  # fmt: skip
BEFORE = VERBS | {
    "s", "us", "please", "pls", "off", "i", "we", "d", "ll", "want", "need", "would", "like", "to",
    "can", "could", "will", "you", "me", "with", "the", "a", "an", "our", "my", "new", "another", "hey",
    "hi", "hello", "ok", "okay", "and", "now", "so", "should", "shall", "through", "up", "this", "have",
    "then", "must", "it", "time", "workflow",
}  # fmt: skip
BEHIND = frozenset({
    "", "for", "of", "on", "please", "pls", "now", "with", "about", "and", "workflow", "here",
})  # fmt: skip
"""What may stand before and behind a trigger in a message that asks to begin. Where no verb of beginning is
before it, only few words follow one."""


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

        Words that only name one (“what is the SLO workshop?”, “the SLO workshop was good”) ask for none.
        """
        if len(words) > LONGEST_ORDER:
            return None
        clauses = [_plain(clause) for clause in re.split(r"[.,:;!?\n]+|\s[–—-]\s", words)]
        found = [
            (len(trigger), each)
            for each in self.of(knowledge)
            for trigger in map(_plain, (*each.triggers, each.title))
            if trigger and any(_orders(trigger, clause) for clause in clauses)
        ]
        return max(found, key=lambda pair: pair[0])[1] if found else None


def _orders(trigger: str, clause: str) -> bool:
    before, found, behind = f" {clause} ".partition(f" {trigger} ")
    if not found:
        return False
    first = before.split()
    if not BEFORE.issuperset(first):
        return False
    return not VERBS.isdisjoint(first) or (behind.split() or [""])[0] in BEHIND


def _workflows(knowledge: Knowledge) -> Iterator[Workflow]:
    documents = (*knowledge.workflows, *knowledge.artifacts, *knowledge.templates)
    files = {document.path: document.text for document in documents}
    for document in knowledge.workflows:
        if (workflow := read(document.path, document.text, files).workflow) is not None:
            yield workflow


def _plain(words: str) -> str:
    return " ".join(re.sub(r"[^\w]+", " ", words.casefold()).split())
