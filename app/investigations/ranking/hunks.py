"""A unified diff taken apart into the places it changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

MOST_LINES = 2_000


@dataclass(frozen=True)
class Hunk:
    """Lines of one place of a diff, without their marks; `context` are those before the first change."""

    file: str
    removed: tuple[str, ...]
    added: tuple[str, ...]
    context: tuple[str, ...]


def hunks_of(diff: str, files: Sequence[str] = ()) -> tuple[Hunk, ...]:
    """Split a unified diff; hunks that name no file belong to the only one there is."""
    found: list[Hunk] = []
    file = files[0] if len(files) == 1 else ""
    removed: list[str] = []
    added: list[str] = []
    context: list[str] = []

    def end() -> None:
        if removed or added:
            found.append(Hunk(file, tuple(removed), tuple(added), tuple(context)))
        removed.clear()
        added.clear()
        context.clear()

    for line in diff.splitlines()[:MOST_LINES]:
        if line.startswith(("@@", "diff ", "--- ", "+++ ")):
            end()
            file = next((name for name in files if name and name in line), file)
            if line.startswith("+++ ") and not files:
                file = line[4:].removeprefix("b/").strip()
            # What git tells after the second @@ is the function the hunk is in.
            context += [line.rpartition("@@")[2]] if line.startswith("@@") else []
        elif line.startswith("-"):
            removed.append(line[1:])
        elif line.startswith("+"):
            added.append(line[1:])
        elif not removed and not added:
            context.append(line)
    end()
    return tuple(found)
