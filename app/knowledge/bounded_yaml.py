"""YAML as repos hold it, read so that no file can stop the program.

libyaml's own composer recurses in C and ends the whole process on a few hundred thousand brackets; aliases
of aliases grow without bound when they are written out. So nodes are composed here, to a depth, and aliases
only where a reader asks for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from yaml.composer import Composer, ComposerError
from yaml.nodes import Node

DEEPEST = 64
LONGEST_FRONT_MATTER = 16_000
"""Characters; some numbers and dates take quadratic time to read."""
LONGEST_FILE = 200_000
"""Characters of a file of many short values."""


_Events: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(Composer, _Events):  # type: ignore[misc]
    """Events from libyaml, nodes from here."""

    takes_aliases = True

    def __init__(self, text: str) -> None:
        _Events.__init__(self, text)
        Composer.__init__(self)
        self._depth = 0

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        mark: Any = self.peek_event().start_mark
        if not self.takes_aliases and self.check_event(yaml.AliasEvent):
            raise ComposerError(None, None, "aliases (*name) are not read here", mark)
        if self._depth >= DEEPEST:
            raise ComposerError(None, None, f"it is nested too deeply, more than {DEEPEST} levels", mark)
        self._depth += 1
        try:
            node: Node | None = super().compose_node(parent, index)
        finally:
            self._depth -= 1
        return node


class _WithoutAliases(_Loader):
    takes_aliases = False


def compose(text: str) -> Node | None:
    """The node of a file with one document.

    Raises:
        yaml.YAMLError: it is no YAML, or nested too deeply.
    """
    return next(compose_all(text), None)


def compose_all(text: str) -> Iterator[Node]:
    """The nodes of a file's documents; raises as `compose` does, after those that came before."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            if (node := loader.get_node()) is not None:
                yield node
    finally:
        loader.dispose()


def load_front_matter(text: str) -> Any:
    """The plain values of a small document without aliases.

    Raises:
        yaml.YAMLError, ValueError: it is no YAML, nested too deeply, too long, or has aliases.
    """
    if len(text) > LONGEST_FRONT_MATTER:
        raise ValueError(f"it has {len(text):,} characters, at most {LONGEST_FRONT_MATTER:,} are read")
    loader = _WithoutAliases(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()


def load_documents(text: str) -> list[Any]:
    """The plain values of a file's documents, without aliases.

    Raises:
        yaml.YAMLError, ValueError: it is no YAML, nested too deeply, too long, or has aliases.
    """
    if len(text) > LONGEST_FILE:
        raise ValueError(f"it has {len(text):,} characters, at most {LONGEST_FILE:,} are read")
    loader = _WithoutAliases(text)
    documents = []
    try:
        while loader.check_data():
            documents.append(loader.get_data())
    finally:
        loader.dispose()
    return documents
