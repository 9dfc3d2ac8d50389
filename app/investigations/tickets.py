"""Open tickets about an incident: what a model says of them holds where a tool's result names them."""

from __future__ import annotations

import re
from collections.abc import Iterable

MOST_TICKETS = 5
TELL_OF_TICKETS = ("read_result", "channel_history", "past_incidents", "deploy_history")
"""Tools whose results may name one, beside those of MCP servers."""
REFERENCE = re.compile(
    r"https?://[^\s<>|)\]\"']+"
    r"|(?<![\w-])[A-Z][A-Z0-9_]{1,19}-\d{1,9}(?![\w-])"
    r"|(?<![\w/#])(?:[\w.-]+/[\w.-]+)?#\d{1,9}\b"
)
"""An address, a key such as OPS-12, a number such as #12 or acme/shop#12."""
DROPPED = "A ticket was dropped: no result of a tool in this investigation names it."


def supported(stated: Iterable[str], results: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Those of `stated` all of whose references occur in `results`, and a sentence where some do not."""
    told, seen = tuple(stated), "\n".join(results)
    kept = tuple(each for each in told if _named(each, seen))
    return kept[:MOST_TICKETS], (DROPPED,) if len(kept) < len(told) else ()


def _named(ticket: str, seen: str) -> bool:
    references = [found.rstrip(".,;:") for found in REFERENCE.findall(ticket)]
    return bool(references) and all(
        re.search(rf"(?<![\w#-]){re.escape(each)}(?![\w-])", seen) for each in references
    )
