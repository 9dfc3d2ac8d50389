"""Logs as JSON lines on stdout, each with the trace id of the turn it belongs to."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, TextIO

import structlog
from structlog.contextvars import merge_contextvars
from structlog.typing import Processor

from app.recent_errors import RECENT_ERRORS
from app.tools.masking import mask


def set_up_logging(level: str, *, stream: Any = None) -> None:
    """Send our logs and the libraries' warnings to `stream` (stdout), secrets masked."""
    shared: list[Processor] = [
        merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _mask_texts,
        _remember,
    ]
    out = stream or sys.stdout
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=lambda *_: _Lines(out),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    # Libraries log what they handle, bodies and SQL parameters included: from them, warnings only.
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("app").setLevel(level)
    # These repeat request bodies in their errors.
    logging.getLogger("slack_bolt").setLevel(logging.CRITICAL)


class _Lines:
    """Where our lines end. They go around the standard library's records, which cost as much again; and as
    there, a stream that takes nothing any more is nobody's failure."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(f"{line}\n")
            self._stream.flush()

    debug = info = warning = error = critical = msg


def level() -> str:
    """From which level on this process logs."""
    return logging.getLevelName(logging.getLogger("app").getEffectiveLevel())


def set_level(level: str) -> str:
    """Log from this level on, in this process and from now on; the level before."""
    ours = logging.getLogger("app")
    before = logging.getLevelName(ours.getEffectiveLevel())
    ours.setLevel(level)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)))
    return before


listeners: list[Callable[[Mapping[str, Any]], None]] = []
"""Told every event that is logged, masked; `app/otlp.py` sends them on."""


def _remember(_logger: Any, _name: str, event: Any) -> Any:
    RECENT_ERRORS.note(event)
    for hear in listeners:
        hear(event)
    return event


def _mask_texts(_logger: Any, _name: str, event: Any) -> Any:
    for key, value in event.items():
        if key not in ("timestamp", "level", "trace_id", "turn_id") and not key.startswith("_"):
            event[key] = _masked(value)
    return event


def _masked(value: Any) -> Any:
    """A value as it may be logged: what is neither a number nor made of texts is logged as its text."""
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return mask(value)
        case dict():
            return {str(key): _masked(each) for key, each in value.items()}
        case list() | tuple():
            return [_masked(each) for each in value]
        case _:
            return mask(str(value))
