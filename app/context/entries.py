"""The entries of `services.yaml`: what is right is kept, what is wrong becomes a fault with its line."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from app.context.addresses import AddressRefused, of_service
from app.context.models import Service
from app.knowledge.bounded_yaml import compose
from app.knowledge.models import Fault

TIER = re.compile(r"^\s*(?:tier)?[-_ ]?([1-4])\s*$", re.IGNORECASE)
NAME = re.compile(r"^[^\W_][\w .-]{0,79}$")
GITHUB = "https://api.github.com"
"""Which GitHub `owner/name` is on does not change whether it can be one."""


class Unusable(ValueError):
    """A value cannot be used; the message says what it should have been."""


@dataclass(frozen=True)
class Entry:
    """A service and the lines that declare it."""

    service: Service
    path: str
    first_line: int
    last_line: int

    def of(self, service: Service) -> Entry:
        return replace(self, service=service)


def merged(entry: Entry, other: Entry) -> Entry:
    """The entry with what only the other one says."""
    ours, theirs = entry.service.model_dump(), other.service.model_dump()
    return entry.of(Service.model_validate({key: value or theirs[key] for key, value in ours.items()}))


def read_entries(path: str, text: str, faults: list[Fault]) -> Iterator[Entry]:
    """The services of a `services.yaml`."""

    def fault(node: Node | None, message: str) -> None:
        faults.append(Fault(path, node.start_mark.line + 1 if node else 1, "error", message))

    try:
        root = compose(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        faults.append(yaml_fault(path, error))
        return
    listed = child(root, "services")
    if not isinstance(listed, SequenceNode):
        fault(listed or root, "needs a list `services:` with an entry per service")
        return
    for node in listed.value:
        fields = fields_of(node)
        name = fields.pop("name", None)
        if not isinstance(node, MappingNode) or name is None:
            fault(node, "an entry needs a `name`; it is left out")
            continue
        try:
            values: dict[str, Any] = {"name": service_name(plain(name))}
        except Unusable as problem:
            fault(name, f"name: {problem}; the entry is left out")
            continue
        for key, value in fields.items():
            reader = READERS.get(key)
            if reader is None:
                near = difflib.get_close_matches(key, READERS, 1)
                hint = f"; did you mean {near[0]}?" if near else ""
                faults.append(
                    Fault(path, value.start_mark.line + 1, "warning", f"{key} is no field of a service{hint}")
                )
                continue
            try:
                if (read := reader(plain(value))) is not None:
                    values[key] = read
            except Unusable as problem:
                fault(value, f"{key} of {values['name']}: {problem}; it is ignored")
        line = node.start_mark.line + 1
        service = Service(**values, declared_in=f"{path}:{line}")
        yield Entry(service, path, line, last_line(text, node))


def yaml_fault(path: str, error: Exception) -> Fault:
    """Where and why a file is not YAML."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None) or "it cannot be read"
    return Fault(path, mark.line + 1 if mark else 1, "error", f"is not valid YAML: {problem}")


def last_line(text: str, node: Node) -> int:
    """The last line of an entry that says something; a block's end mark stands before the next entry,
    below the comments that belong to that one."""
    first = node.start_mark.line
    lines = text[: node.end_mark.index].split("\n")
    while len(lines) > first + 1 and lines[-1].strip()[:1] in ("", "#"):
        lines.pop()
    return len(lines)


def child(node: Node | None, key: str) -> Node | None:
    return fields_of(node).get(key)


def fields_of(node: Node | None) -> dict[str, Node]:
    """The values of a mapping by their plain keys."""
    if not isinstance(node, MappingNode):
        return {}
    return {key.value: value for key, value in node.value if isinstance(key, ScalarNode)}


def plain(node: Node, depth: int = 0, seen: dict[int, Any] | None = None) -> Any:
    """Text, lists and mappings of a node: everything scalar stays the text it is written as.

    A node that is referred to many times is read once, so that aliases of aliases cost nothing.
    """
    seen = {} if seen is None else seen
    if depth > 8:
        raise Unusable("is nested too deeply")
    if id(node) not in seen:
        seen[id(node)] = _plain(node, depth, seen)
    return seen[id(node)]


def _plain(node: Node, depth: int, seen: dict[int, Any]) -> Any:
    if isinstance(node, ScalarNode):
        return None if node.tag.endswith(":null") else node.value
    if isinstance(node, SequenceNode):
        return [plain(item, depth + 1, seen) for item in node.value]
    return {key: plain(value, depth + 1, seen) for key, value in fields_of(node).items()}


def service_name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.match(value):
        raise Unusable("must be a name of letters, digits, spaces, dots, hyphens and underscores")
    return value.strip()


def text(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise Unusable("must be text")
    return value.strip() or None


def texts(value: Any) -> tuple[str, ...]:
    """A list of texts; a single text counts as a list of one."""
    listed = [value] if isinstance(value, str) else value or []
    if not isinstance(listed, list) or not all(isinstance(item, str) for item in listed):
        raise Unusable("must be a list of texts, such as [one, two]")
    return tuple(dict.fromkeys(item.strip() for item in listed if item.strip()))


def addresses(value: Any) -> tuple[str, ...]:
    """A list of addresses; a link may also be written as a mapping with a title and a `url`."""
    if isinstance(value, list):
        value = [item.get("url") if isinstance(item, dict) else item for item in value]
    return texts(value)


def tier(value: Any) -> int | None:
    if value is None:
        return None
    found = TIER.match(value) if isinstance(value, str) else None
    if found is None:
        # Only a text is repeated: a list of aliases of lists may be larger than memory when written out.
        raise Unusable(
            f"must be 1, 2, 3 or 4, not {value[:40]!r}" if isinstance(value, str) else "must be 1, 2, 3 or 4"
        )
    return int(found[1])


def channel(value: Any) -> str | None:
    named = text(value)
    return named.lstrip("#") if named else None


def repo(value: Any) -> str | None:
    address = text(value)
    if address is not None:
        try:
            of_service(address, GITHUB)
        except AddressRefused as error:
            raise Unusable(error.sentence[0].lower() + error.sentence[1:].rstrip(".")) from error
    return address


def labels(value: Any) -> dict[str, str]:
    if not isinstance(value or {}, dict):
        raise Unusable("must be a mapping of texts, such as {job: checkout}")
    return {key: item for key, item in (value or {}).items() if isinstance(item, str)}


READERS: dict[str, Callable[[Any], Any]] = {
    "aliases": texts,
    "tier": tier,
    "team": text,
    "slack_channel": channel,
    "repo": repo,
    "depends_on": texts,
    "labels": labels,
    "dashboards": addresses,
    "runbooks": addresses,
}
