"""Next steps only look, and remedies are options for a human, safest first: how a sentence is made so."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.investigations.cleaning import has_command
from app.investigations.orders import LOOKING, order_in

SAFEST_FIRST = (
    re.compile(r"\b(?:roll(?:ing|ed)?[ -]?back|revert\w*|undo|switch(?:ing)? back|turn(?:ing)? off)\b", re.I),
    re.compile(r"\b(?:restart\w*|reboot\w*|recycl\w+|bounc\w+)\b", re.I),
    re.compile(r"\b(?:scal(?:e|es|ing)|add(?:ing)? (?:replicas|pods|nodes|capacity|instances))\b", re.I),
    re.compile(r"\b(?:config\w*|settings?|limits?|rais\w+|increas\w+|renew\w*|certificates?|flags?)\b", re.I),
)
"""Rollback, restart, scale, configuration change; whatever is none of these comes last."""

_TAIL = re.compile(r"[^\w)\]”’\"'`%]+$")
"""What joined the next clause."""


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
    """Whether a step that begins by looking tells its reader to change something besides."""
    return not step.startswith("Review: ") and (order_in(step) is not None or has_command(step))


def _looks(step: str) -> bool:
    first = re.match(r"[A-Za-z]+", step)
    return first is not None and first[0].lower() in LOOKING


def _without_acts(step: str) -> str:
    """What stands before the first clause that acts; what comes after it may hang on it."""
    if step.startswith("Review: ") or not acts(step):
        return step
    kept = _TAIL.sub("", step[: order_in(step) or 0])
    if len(kept.split()) > 1 and not acts(f"{kept}."):
        return f"{kept}."
    return f"Review: {step}"
