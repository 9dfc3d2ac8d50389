"""What a webhook source provides, and how the sources are found.

A source is one module in this folder with a function `source(settings) -> WebhookSource | Off`. It answers
`Off` when the secret that would prove its sender is not set: then its route is absent, never open.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import app.web.webhooks
from app.investigations.alert import Alert
from app.investigations.intake import Accepted
from app.settings import AlertSettings


@dataclass(frozen=True)
class Head:
    """What a request says beside its body. Names of headers are asked for in lower case."""

    headers: Mapping[str, str]
    query: Mapping[str, str]


@dataclass(frozen=True)
class Ignored:
    """An authentic payload that changes nothing here, and why; the sender is told."""

    reason: str


Prove = Callable[[Head, bytes, datetime], None]
"""Raises `NotProven` unless the head proves who sent these very bytes; the time is now."""

Parse = Callable[[Any, datetime], tuple[Alert, ...] | Ignored]
"""Turns decoded JSON into alerts; raises `NotUnderstood` naming the field that is wrong, and nothing else."""


@dataclass(frozen=True)
class WebhookSource:
    """One product that tells of alerts at `/webhooks/<name>`."""

    name: str
    prove: Prove
    parse: Parse


@dataclass(frozen=True)
class Off:
    """A source whose secret is not set; `needs` names the variable that would switch it on."""

    name: str
    needs: str


class Door(Protocol):
    """Where alerts go. When a method returns, what it was given is stored."""

    async def accept(self, alert: Alert) -> Accepted: ...

    async def reject(self, source: str, reason: str, payload: Any) -> None:
        """Keep an authentic payload that could not be read, so that it can be replayed."""


def discover(settings: AlertSettings) -> Iterator[WebhookSource | Off]:
    """Ask every module of this folder, in the order of their names; most of them are no source."""
    for module in sorted(pkgutil.iter_modules(app.web.webhooks.__path__), key=lambda each: each.name):
        make = getattr(importlib.import_module(f"app.web.webhooks.{module.name}"), "source", None)
        if make is not None:
            yield make(settings)
