"""What is said only to be polite, or to hear whether anybody is there: nothing to look up or to note."""

from __future__ import annotations

import re

HELLO = frozenset({"hi", "hey", "hello", "hallo", "hola", "bonjour", "ciao"})
WAVES = ("👋", ":wave:", "?")
CALLING = frozenset({"anyone", "anybody", "someone", "somebody", "ping", "you"})
"""Asks for somebody where it is a question; else it may be an answer."""
BESIDE = frozenset({
    "are", "is", "there", "here", "still", "around", "home", "again", "all", "everyone", "everybody",
    "team", "agent", "bot", "sre", "good", "morning", "afternoon", "evening",
})  # fmt: skip
POLITE = frozenset({"thanks", "thank", "thx", "cheers", "sorry", "bye"})
"""“Ok” and “great” are not among them: they may agree to what somebody has just proposed."""
BESIDE_POLITE = frozenset({
    "you", "a", "lot", "so", "much", "very", "many", "it", "this", "that", "for", "now", "ok", "okay",
    "great", "cool", "nice", "perfect", "fine", "got", "understood", "alright", "right", "well",
})  # fmt: skip
EMOJI = re.compile(r":[\w+-]+:")


def is_greeting(said: str) -> bool:
    """Whether somebody calls, in words that answer no question."""
    words = _words(said)
    calls = HELLO & words or {"you", "there"} <= words or (said.endswith("?") and CALLING & words)
    return bool(calls) and words <= HELLO | CALLING | BESIDE


def is_polite(said: str) -> bool:
    """Whether it says nothing that anybody can do something about."""
    words = _words(said)
    if not words:
        return any(wave in said for wave in WAVES)
    known = HELLO | BESIDE | POLITE | BESIDE_POLITE
    return bool(POLITE & words) and words <= known and not said.endswith("?")


def _words(said: str) -> frozenset[str]:
    return frozenset(re.findall(r"[^\W_]+", EMOJI.sub(" ", said).casefold()))
