"""Where an everyday word stands as a name does: “is reports ready?”, “who owns search?”, “the SLO for mail”.

Only English is read so: in other languages such a word is marked by being English.
"""

from __future__ import annotations

from app.context.speech import Speech

SINGULAR = frozenset({"is", "isn", "has", "hasn", "does", "doesn", "was", "wasn"})
"""Verbs that no plural takes: “is reports ready” cannot be about some reports."""

_JOINTS = "and because before but after how if once since so that though until when whether while why"
_ENDS = """
are as at be by can do for from in into must next now of on or please should soon then this to today tomorrow
tonight we what which who will with
"""
_OWNING = "launch launched launches launching own owned owns release releasing ship shipping"
_MATTERS = """
blueprint budget call checklist contract dependencies launch oncall owner owners owns readiness ready
requirements runbook slo slos team tier
"""

JOINTS = frozenset(_JOINTS.split())
"""Words after which a sentence begins."""

ENDS = frozenset(_ENDS.split()) | JOINTS | SINGULAR
"""Words that do not belong to the one before them, as “traffic” would in “launch search traffic”."""

STATES = frozenset({"ready", "live", "launched", "ours", "owned"})
NEEDS = frozenset({"have", "meet", "need", "own"})
OWNING = frozenset(_OWNING.split())
"""Verbs that people say of a service to ask about it."""

MATTERS = frozenset(_MATTERS.split())
"""What people ask about a service."""

NEAR = 6
"""Words before “for” in which the matter is named: “what SLO do we need for reports”."""

PRONOUNS = frozenset({"all", "i", "it", "me", "one", "that", "this", "us", "we", "what", "you"})
NO_PLURALS = frozenset({"access", "analytics", "dns", "news", "process", "progress", "status"})


def stands_as_name(speech: Speech, at: int) -> bool:
    """Whether word `at` is used as the name of one thing, without an article."""
    words = speech.words
    if words[at] in PRONOUNS:
        return False
    before = words[at - 1] if at else None
    after = words[at + 1] if at + 1 < len(words) else None
    ends = after is None or after in ENDS
    if before in SINGULAR:
        return is_plural(words[at]) or after in STATES or (after in NEEDS and before in ("does", "doesn"))
    if after in SINGULAR and is_plural(words[at]):
        return before is None or before in JOINTS
    if before in OWNING:
        return ends
    if before in ("for", "of"):
        return ends and not MATTERS.isdisjoint(words[max(at - 1 - NEAR, 0) : at - 1])
    return False


def is_plural(word: str) -> bool:
    return word.endswith("s") and not word.endswith("ss") and word not in NO_PLURALS
