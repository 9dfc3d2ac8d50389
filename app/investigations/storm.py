"""Storms: many incidents at once share a thread, and each is told why it is in there.

Pure functions. What connects two incidents is tried from the most telling to the least; what is left over
is together for no other reason than the time, and that is what it says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Generic, TypeVar

from app.investigations.alert import Severity

NARROW_LABELS = ("node", "host", "hostname", "instance", "pod", "zone", "availability_zone")
"""Labels of one place: two incidents that share a value may well share a cause."""
WIDE_LABELS = ("alertname", "namespace", "cluster", "datacenter", "region")
"""Labels many things share; the better of no reason."""
MOST_VALUES = 50
"""Kept of a label for a group: a storm of thousands must not make its leader's row grow."""

DependsOn = Callable[[str], Sequence[str]]
Key = TypeVar("Key")


@dataclass(frozen=True)
class Marks:
    """What a storm is grouped by: the services of one or more incidents, and their labels' values."""

    services: tuple[str, ...] = ()
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    for_the_rest: bool = False
    """Whether incidents that nothing connects are gathered here."""

    @classmethod
    def of(cls, service: str | None, labels: Mapping[str, str]) -> Marks:
        telling = {name: (labels[name],) for name in (*NARROW_LABELS, *WIDE_LABELS) if labels.get(name)}
        return cls((service,) if service else (), telling)

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Marks:
        """What was stored of one, as JSON."""
        labels = {name: tuple(values) for name, values in stored.get("labels", {}).items()}
        return cls(tuple(stored.get("services", ())), labels, bool(stored.get("for_the_rest")))

    def gathering_the_rest(self) -> Marks:
        return replace(self, for_the_rest=True)

    def with_those_of(self, other: Marks) -> Marks:
        labels = {
            name: _both(self.labels.get(name, ()), other.labels.get(name, ()))
            for name in (*self.labels, *other.labels)
        }
        return Marks(_both(self.services, other.services), labels, self.for_the_rest)


@dataclass(frozen=True)
class Placed(Generic[Key]):
    """Which group an incident goes to, None for one of its own, and the clause behind “grouped because”."""

    group: Key | None
    because: str


@dataclass(frozen=True)
class Stormy:
    """An incident as `group` sees it."""

    id: str
    severity: Severity
    marks: Marks


@dataclass(frozen=True)
class Group:
    """Incidents in one thread, P1 first; `because` has a clause for each but the one that opened it."""

    leader: str
    members: tuple[str, ...]
    because: Mapping[str, str]


def place(new: Marks, groups: Mapping[Key, Marks], depends_on: DependsOn) -> Placed[Key]:
    """The group a new incident belongs to: by its service, by dependency, by labels, by time alone.

    `groups` are in the order they were opened; of equals the oldest is taken. Deterministic.
    """
    for connection in (_same_service, _dependency, _narrow_label, _shared_dependency, _wide_label):
        for key, marks in groups.items():
            if because := connection(new, marks, depends_on):
                return Placed(key, because)
    rest = next((key for key, marks in groups.items() if marks.for_the_rest), None)
    return Placed(rest, "it came in the same storm; nothing else is known to connect it with the others")


def group(incidents: Sequence[Stormy], depends_on: DependsOn) -> tuple[Group, ...]:
    """Incidents of one storm in their order of arrival, placed one after the other."""
    marks: dict[str, Marks] = {}
    members: dict[str, list[Stormy]] = {}
    because: dict[str, dict[str, str]] = {}
    for each in incidents:
        placed = place(each.marks, marks, depends_on)
        leader = each.id if placed.group is None else placed.group
        if placed.group is None:
            marks[leader] = each.marks.gathering_the_rest()
        else:
            marks[leader] = marks[leader].with_those_of(each.marks)
            because.setdefault(leader, {})[each.id] = placed.because
        members.setdefault(leader, []).append(each)
    return tuple(
        Group(leader, _by_severity(several), because.get(leader, {})) for leader, several in members.items()
    )


def _by_severity(incidents: Sequence[Stormy]) -> tuple[str, ...]:
    return tuple(each.id for each in sorted(incidents, key=lambda each: each.severity))


def sentence(because: str, *, storm: str) -> str:
    return f"Grouped because {because} ({storm})."


def _same_service(new: Marks, marks: Marks, _: DependsOn) -> str | None:
    shared = [name for name in new.services if name in marks.services]
    return f"it is about {shared[0]} as well" if shared else None


def _dependency(new: Marks, marks: Marks, depends_on: DependsOn) -> str | None:
    for mine in new.services:
        for theirs in marks.services:
            if theirs in depends_on(mine):
                return f"{mine} depends on {theirs}"
            if mine in depends_on(theirs):
                return f"{theirs} depends on {mine}"
    return None


def _shared_dependency(new: Marks, marks: Marks, depends_on: DependsOn) -> str | None:
    for mine in new.services:
        needed = depends_on(mine)
        for theirs in marks.services:
            if shared := [each for each in depends_on(theirs) if each in needed]:
                return f"{mine} and {theirs} both depend on {shared[0]}"
    return None


def _narrow_label(new: Marks, marks: Marks, _: DependsOn) -> str | None:
    return _label(new, marks, NARROW_LABELS)


def _wide_label(new: Marks, marks: Marks, _: DependsOn) -> str | None:
    return _label(new, marks, WIDE_LABELS)


def _label(new: Marks, marks: Marks, names: Sequence[str]) -> str | None:
    for name in names:
        if shared := [each for each in new.labels.get(name, ()) if each in marks.labels.get(name, ())]:
            return f"both have {name} {shared[0]}"
    return None


def _both(first: tuple[str, ...], second: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*first, *second)))[:MOST_VALUES]
