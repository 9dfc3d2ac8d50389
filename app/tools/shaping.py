"""Results brought to the size a model reads by leaving out the least telling parts, never by cutting."""

from __future__ import annotations

from collections.abc import Sequence

from app.tools.masking import mask

ROOM_FOR_REST = 60
"""Bytes kept free for the line that says how much is not shown."""


def fitted(head: str, blocks: Sequence[str], limit_bytes: int, what: str) -> tuple[str, int]:
    """`head` and as many whole blocks, best first, as fit, masked; and how many of them that were.

    Each is masked before it is measured, because a mask may be longer than what it hides.
    """
    shown = [mask(head)]
    room = limit_bytes - len(shown[0].encode()) - ROOM_FOR_REST
    for block in map(mask, blocks):
        room -= len(block.encode()) + 1
        if room < 0:
            break
        shown.append(block)
    count = len(shown) - 1
    rest = [f"(and {len(blocks) - count} more {what})"] if count < len(blocks) else []
    return "\n".join([*shown, *rest]), count


def number(value: float) -> str:
    """Four significant digits, without an exponent where one can do without."""
    if value == 0:
        return "0"
    if 1e-4 <= abs(value) < 1e7:
        digits = f"{value:.4g}"
        return f"{value:.0f}" if "e" in digits else digits
    return f"{value:.3e}"


def shortened(text: str, most: int) -> str:
    """`text` on one line, at most `most` characters."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def milliseconds(value: float) -> str:
    """`850 ms`, `2.1 s`."""
    return f"{value:.0f} ms" if value < 1000 else f"{value / 1000:.1f} s"


def plural(count: int, word: str) -> str:
    return f"{count} {word}{'' if count == 1 or word.endswith('s') else 's'}"
