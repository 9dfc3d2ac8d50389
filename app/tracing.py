"""The trace that work belongs to, and the spans it consists of.

A trace has one id from the webhook or message to the last tool call: that of its row in the database, which
is also `X-Trace-Id` on what we answer and on what we ask. Spans go to the `Exporter` that `app/otlp.py`
installs; without one, `span` only tells its length at log level DEBUG.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, Literal, Protocol

import structlog
from structlog.contextvars import bound_contextvars, get_contextvars

log = structlog.get_logger(__name__)

HEADER = "X-Trace-Id"
Kind = Literal["internal", "client", "server"]
Value = str | int | float | bool | list[str]
Attributes = Mapping[str, Value | None]


class Span(Protocol):
    def set(self, attributes: Attributes) -> None:
        """Add what is known by now; None is left out."""
        ...

    def fail(self, kind: str) -> None:
        """Mark as failed without an exception; `kind` becomes `error.type`."""
        ...


class Exporter(Protocol):
    def span(self, name: str, attributes: Attributes, kind: Kind) -> AbstractContextManager[Span]: ...

    def below(self, trace_id: str) -> AbstractContextManager[None]:
        """Spans within hang below the entrance of this trace, whichever process made it."""
        ...

    def entrance(
        self, name: str, trace_id: str, seconds: float, attributes: Attributes, *, root: bool
    ) -> None: ...


class _Nothing:
    def set(self, attributes: Attributes) -> None: ...

    def fail(self, kind: str) -> None: ...


NOTHING = _Nothing()
_exporter: Exporter | None = None


def install(exporter: Exporter | None) -> None:
    """Where spans go from now on; None for nowhere."""
    global _exporter  # noqa: PLW0603 — one process has one
    _exporter = exporter


def current_trace_id() -> str | None:
    """The trace this task works on, as its log lines carry it."""
    found = get_contextvars().get("trace_id")
    return found if isinstance(found, str) and found else None


@contextmanager
def span(name: str, attributes: Attributes | None = None, *, kind: Kind = "internal") -> Iterator[Span]:
    """One step of the present trace. An exception that leaves it marks it as failed."""
    began = time.monotonic()
    try:
        if _exporter is None:
            yield NOTHING
        else:
            with _exporter.span(name, attributes or {}, kind) as exported:
                yield exported
    finally:
        _tell(name, time.monotonic() - began, attributes)


@contextmanager
def work(trace_id: str, name: str, attributes: Attributes | None = None, **bound: Any) -> Iterator[Span]:
    """A job of a trace that began elsewhere: its log lines carry the trace's id and what is `bound`."""
    with (
        bound_contextvars(trace_id=trace_id, **bound),
        _exporter.below(trace_id) if _exporter and trace_id else nullcontext(),
        span(name, attributes) as made,
    ):
        yield made


def entrance(
    name: str, trace_id: str, began: float, attributes: Attributes | None = None, *, root: bool = True
) -> None:
    """The root of a trace, told when its id is known: what began at `began` (`time.monotonic()`) ends now.
    What comes to a trace that has its root already is no other one."""
    seconds = time.monotonic() - began
    if _exporter is not None:
        _exporter.entrance(name, trace_id, seconds, attributes or {}, root=root)
    _tell(name, seconds, attributes, trace_id=trace_id)


def _tell(name: str, seconds: float, attributes: Attributes | None, **more: str) -> None:
    if logging.getLogger("app").isEnabledFor(logging.DEBUG):
        told = {key: value for key, value in (attributes or {}).items() if value is not None}
        log.debug("span", name=name, ms=round(seconds * 1000, 1), **more, attributes=told)
