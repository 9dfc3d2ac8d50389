"""Next steps only look, and remedies are options for a human, safest first: how a sentence is made so."""

from __future__ import annotations

import re
from collections.abc import Iterable

LOOKING = ("check", "inspect", "verify", "review", "page", "look", "compare")
"""The verbs a next step may begin with; anything else becomes “Review: …”."""

SAFEST_FIRST = (
    re.compile(r"\b(?:roll(?:ing|ed)?[ -]?back|revert\w*|undo|switch(?:ing)? back|turn(?:ing)? off)\b", re.I),
    re.compile(r"\b(?:restart\w*|reboot\w*|recycl\w+|bounc\w+)\b", re.I),
    re.compile(r"\b(?:scal(?:e|es|ing)|add(?:ing)? (?:replicas|pods|nodes|capacity|instances))\b", re.I),
    re.compile(r"\b(?:config\w*|settings?|limits?|rais\w+|increas\w+|renew\w*|certificates?|flags?)\b", re.I),
)
"""Rollback, restart, scale, configuration change; whatever is none of these comes last."""

_ACTING = re.compile(
    r"(?:please |immediately |just |simply |now |manually |temporarily |try to |you (?:should|can|must) )*"
    r"(?:restart|reboot|bounce|recycle|kill|terminate|delete|remove|truncate|purge|flush|wipe"
    r"|roll[ -]?(?:back|out|forward)|revert|undo|deploy|redeploy|apply|upgrade|downgrade|install|uninstall"
    r"|scale|resize|drain|cordon|evict|fail over|promote|disable|enable|turn (?:on|off)|increase|decrease"
    r"|raise|lower|reduce|renew|rotate|reissue|run|execute|exec|throttle|grant|revoke|acknowledge|resolve|silence"
    r"|mute|suspend|resume|pause|force|restore"
    # Words that are also nouns or adjectives: orders only with an object behind them.
    r"|(?:stop|start|drop|clear|release|patch|switch|toggle|set|unset|change|edit|update|modify|extend|add|create"
    r"|replace|move|migrate|merge|push|trigger|block|ban|allow|open|close|shed|reset|reload|refresh)"
    r" (?:the|a|an|it|them|all|its|their|this|that|off|up|down|back|to|more|some|any|every|\S*[\d_`-]\S*)"
    r")(?!\w)",
    re.IGNORECASE,
)
_JOINT = re.compile(
    r"(\s*(?:[;,.:!?\u2014\u2013]+|[\u2192>]|\s-)\s*(?:(?:and|or|then)\s+)*"
    r"|\s+(?:and|or|then)(?:\s+then)?\s+|(?<!whether)(?<!how)(?<!when)(?<!what)(?<!need)\s+to\s+)",
    re.IGNORECASE,
)
"""What stands between two clauses; captured, so that the sentence can be put together again."""


def looking(step: str) -> str:
    """`step` as one that only looks: what it says to do besides is left out, and “Review: …” is put before
    what does not begin with a looking verb. Doing it twice changes nothing."""
    step = step.strip().lstrip("-*#>•0123456789.) ").strip()
    if not step:
        return ""
    if _looks(step):
        return _without_acts(step)
    return f"Review: {step}"


def safest_first(options: Iterable[str]) -> tuple[str, ...]:
    """Stable within one kind of remedy."""
    return tuple(sorted(options, key=danger))


def danger(option: str) -> int:
    """0 for a rollback up to 4 for what is none of the known remedies."""
    return next((rank for rank, words in enumerate(SAFEST_FIRST) if words.search(option)), len(SAFEST_FIRST))


def acts(step: str) -> bool:
    """Whether some clause of a step that begins by looking tells its reader to change something."""
    return not step.startswith("Review: ") and any(_ACTING.match(each) for each in _JOINT.split(step)[::2])


def _looks(step: str) -> bool:
    first = re.match(r"[A-Za-z]+", step)
    return first is not None and first[0].lower() in LOOKING


def _without_acts(step: str) -> str:
    """The clauses up to the first that acts; what comes after it may hang on it."""
    if step.startswith("Review: "):
        return step
    pieces = _JOINT.split(step)
    kept = pieces[0]
    for joint, clause in zip(pieces[1::2], pieces[2::2], strict=True):
        if _ACTING.match(clause):
            return kept.rstrip() + "." if len(kept.split()) > 1 else f"Review: {step}"
        kept += joint + clause
    return kept
