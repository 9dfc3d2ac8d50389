"""What a raw log line says: its message, level and trace, whether it is JSON, logfmt or prose."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic_core import from_json

LONGEST_LINE = 8_000
"""Characters kept of one line; a dump that somebody logs on one line says nothing more after that."""

LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "information": "info",
    "notice": "info",
    "warn": "warn",
    "warning": "warn",
    "error": "error",
    "err": "error",
    "severe": "error",
    "fatal": "fatal",
    "critical": "fatal",
    "crit": "fatal",
    "panic": "fatal",
    "emergency": "fatal",
    "alert": "fatal",
}
LEVEL_KEYS = (
    "level",
    "detected_level",
    "severity",
    "severity_text",
    "lvl",
    "log.level",
    "loglevel",
    "levelname",
)
TRACE_KEYS = ("trace_id", "traceID", "traceId", "traceid", "trace.id", "otelTraceID")
MESSAGE_KEYS = ("message", "msg", "event", "log", "body", "text")
DETAIL_KEYS = ("error", "err", "exception", "cause", "reason", "status", "code")

LEVEL_SAID = re.compile(r"\b(?:level|lvl|severity)=\"?(\w+)", re.IGNORECASE)
LEVEL_SHOUTED = re.compile(r"\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|SEVERE|FATAL|CRITICAL|PANIC)\b")
TRACE_SAID = re.compile(r"\btrace[_.]?id[\"']?\s*[=:]\s*[\"']?([0-9a-f]{16,32})\b", re.IGNORECASE)
HEAD = 160
"""Characters in which a line of prose names its level; further on, the word is part of the message."""


def understood(line: str, labels: Mapping[str, str]) -> tuple[str, str, str | None]:
    """(text, level, trace id) of a line; `labels` go before what the line itself says."""
    line = line[:LONGEST_LINE]
    fields = _fields(line)
    text = _message(fields) or line
    level = _level(labels) or _level(fields) or _level_in(line)
    return text, level, _named(TRACE_KEYS, labels) or _named(TRACE_KEYS, fields) or _trace_in(line)


def _fields(line: str) -> Mapping[str, Any]:
    if not line.startswith("{"):
        return {}
    try:
        parsed = from_json(line)
    except ValueError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _message(fields: Mapping[str, Any]) -> str | None:
    """The message of a structured line, followed by the fields that say what went wrong."""
    message = _named(MESSAGE_KEYS, fields)
    if message is None:
        return None
    details = [f"{key}={fields[key]}" for key in DETAIL_KEYS if isinstance(fields.get(key), str | int)]
    return " ".join([message, *details])


def _named(keys: tuple[str, ...], fields: Mapping[str, Any]) -> str | None:
    return next((value for key in keys if isinstance(value := fields.get(key), str) and value), None)


def _level(fields: Mapping[str, Any]) -> str:
    return LEVELS.get((_named(LEVEL_KEYS, fields) or "").lower(), "")


def _level_in(line: str) -> str:
    found = LEVEL_SAID.search(line) or LEVEL_SHOUTED.search(line[:HEAD])
    return LEVELS.get(found[1].lower(), "") if found else ""


def _trace_in(line: str) -> str | None:
    found = TRACE_SAID.search(line)
    return found[1].lower() if found else None
