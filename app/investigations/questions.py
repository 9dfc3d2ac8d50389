"""What is asked first about an incident: the queries of the knowledge repo's `templates/signals.yaml`.

Metrics are named differently everywhere; the team writes its own names into that file, and the names of the
signals (`error_rate`, `latency_p99` …) are what the ranking and people read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Self

import yaml
from pydantic import ConfigDict, Field, ValidationError, model_validator

from app.errors import AgentError
from app.frozen import Frozen
from app.investigations.alert import Alert
from app.knowledge.models import Knowledge
from app.knowledge.packaged import packaged_path

SIGNALS = "templates/signals.yaml"


class SignalsError(AgentError):
    """`templates/signals.yaml` cannot be used."""

    code = "signals"


class Signal(Frozen):
    """One thing that is measured of every service; `symptom` are words of alerts that complain of it."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    query: str
    unit: str = ""
    symptom: tuple[str, ...] = ()


class Signals(Frozen):
    model_config = ConfigDict(extra="forbid")
    label: Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")] = "service"
    window: Annotated[str, Field(pattern=r"^\d+[smh]$")] = "2m"
    metrics: tuple[Signal, ...] = ()
    logs: str | None = None
    probe: str | None = None
    """The signal that is asked first, of the service alone; by default the first that counts errors."""

    @model_validator(mode="after")
    def _probe_is_there(self) -> Self:
        if self.probe is not None and self.probe not in {each.name for each in self.metrics}:
            raise ValueError(f"probe: there is no metric {self.probe!r}")
        return self

    @property
    def asked_first(self) -> Signal | None:
        named = self.probe
        return next(
            (each for each in self.metrics if each.name == named or (not named and each.name[:5] == "error")),
            None,
        )


@dataclass(frozen=True)
class Questions:
    """The queries about some services, ready to be asked; `probe` is about the first of them. Those about
    what an alert's labels select name these in `by`, the narrowest first, and ask for `traces` in TraceQL."""

    metrics: tuple[tuple[Signal, str], ...]
    logs: str | None
    probe: tuple[Signal, str] | None = None
    traces: str | None = None
    by: tuple[str, ...] = ()


def signals_of(knowledge: Knowledge) -> Signals:
    """Those of the knowledge repo, else the ones that come with the program.

    Raises:
        SignalsError: the file is there and cannot be used.
    """
    for document in knowledge.templates:
        if document.path == SIGNALS:
            return _read(document.text)
    return packaged_signals()


def packaged_signals() -> Signals:
    """Those that come with the program."""
    return _read((packaged_path() / SIGNALS).read_text("utf-8"))


@lru_cache(maxsize=8)
def _read(text: str) -> Signals:
    try:
        return Signals.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        raise SignalsError(f"{SIGNALS} cannot be used: {str(error).splitlines()[0]}") from error


def questions(signals: Signals, services: Collection[str]) -> Questions:
    """What to ask about these services, whose names cannot break out of the queries' quotes; nothing about
    none."""
    if not services:
        return Questions((), None)
    first = signals.asked_first

    def filled(query: str, about: Iterable[str] = services) -> str:
        return (
            query.replace("$services", "|".join(map(_literal, about)))
            .replace("$label", signals.label)
            .replace("$window", signals.window)
        )

    return Questions(
        tuple((each, filled(each.query)) for each in signals.metrics),
        filled(signals.logs) if signals.logs else None,
        probe=(first, filled(first.query, list(services)[:1])) if first else None,
    )


def _literal(service: str) -> str:
    """A name within a pattern within double quotes: what is no plain character stands for any one."""
    return re.sub(r"[^\w-]", ".", service)


def symptom_names(signals: Signals, alert: Alert) -> tuple[str, ...]:
    """The signals an alert complains of by its words, the most words first, then those of any harm."""
    said = " ".join([alert.name or "", alert.title, *alert.annotations.values()]).lower()
    told = {each.name: sum(word in said for word in each.symptom) for each in signals.metrics}
    complained = sorted((name for name, words in told.items() if words), key=lambda name: -told[name])
    return (*complained, *(name for name in _of_users(signals) if not told[name]))


def _of_users(signals: Signals) -> Iterator[str]:
    """Errors and latency: what any incident shows to those who use the service."""
    return (each.name for each in signals.metrics if each.name.startswith(("error", "latency")))
