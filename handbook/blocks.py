"""The shell blocks of the documentation: each says of itself who runs it.

```console run                          a test runs it, in a folder like a checkout
```console in=tests/test_x.py           that file does, which names the command
```console not-run                      nobody: it needs what is not there in CI
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FENCE = re.compile(r"^( *(?:\d+\. |[-*] )?)(`{3,})([^\n`]*)\n(.*?)^ *\2`*[ ]*$", re.M | re.S)
SHELLS = ("console", "sh", "bash", "shell", "shell-session", "zsh")


@dataclass(frozen=True)
class Block:
    """One shell block: `mark` is what it says of itself, `commands` what follows `$ `, without comments."""

    file: Path
    line: int
    mark: str
    commands: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


def pages() -> list[Path]:
    """Where commands are told to people."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), ROOT / "knowledge/README.md"]


def blocks(file: Path) -> Iterator[Block]:
    text = file.read_text("utf-8")
    for fence in FENCE.finditer(text):
        language, _, mark = fence[3].strip().partition(" ")
        lines = [line.strip() for line in fence[4].splitlines()]
        if language in SHELLS or any(line.startswith("$ ") for line in lines):
            yield Block(
                file.relative_to(ROOT), text.count("\n", 0, fence.start()) + 1, mark, _commands(lines)
            )


def _commands(lines: list[str]) -> tuple[str, ...]:
    """A command goes on in the next line after a backslash."""
    joined = re.sub(r"\\\n", "", "\n".join(lines)).splitlines()
    return tuple(re.sub(r"\s+#.*", "", line[2:]).strip() for line in joined if line.startswith("$ "))


def titled(markdown: str) -> str:
    """The marks as the titles of their blocks, for the book."""
    titles = {"run": "run by CI", "not-run": "not run by CI"}

    def title(fence: re.Match[str]) -> str:
        return f'{fence[1]} title="{titles.get(fence[2], "run by CI")}"'

    return re.sub(r"(?m)^( *(?:\d+\. |[-*] )?`{3,}console) (run|not-run|in=\S+)$", title, markdown)
