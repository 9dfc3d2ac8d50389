"""What stands in the file of `investigate --alert`, as an alert: a webhook payload, or a few words."""

from __future__ import annotations

import importlib
import json
import pkgutil
from dataclasses import dataclass
from datetime import UTC, date, datetime
from types import ModuleType
from typing import Any

import app.web.webhooks
from app.context.names import slug
from app.errors import AgentError
from app.investigations.alert import Alert
from app.knowledge.bounded_yaml import load_front_matter
from app.web.webhooks.fields import PROSE, Fields
from app.web.webhooks.meaning import (
    FURTHEST_AHEAD,
    LONGEST_AGE,
    LONGEST_NAME,
    incident_key,
    links,
    severity,
    title,
)
from app.web.webhooks.refusals import NotUnderstood
from app.web.webhooks.source import Ignored, Parse

BY_HAND = "by hand"
"""The source of an alert that somebody wrote."""
OWN_FIELDS = frozenset(
    {"title", "name", "service", "severity", "started_at", "labels", "annotations", "description", "url"}
)
LARGEST = 1024 * 1024
OWN_FORM = (
    "title: Error rate of checkout above 5 %\n"
    "service: checkout\n"
    "severity: P1                        # P1 to P5; may be left out\n"
    "started_at: 2026-11-21T02:05:00Z    # may be left out: now"
)


class NotAnAlert(AgentError):
    """What was given cannot be read as an alert."""

    code = "not_an_alert"
    status = 422


@dataclass(frozen=True)
class Read:
    """An alert, the source it was read as, and what is worth saying about it."""

    alert: Alert
    source: str
    notes: tuple[str, ...] = ()


def sources() -> tuple[str, ...]:
    """The names `--source` knows, in the order of the alphabet."""
    return tuple(_parsers())


def read(text: str, now: datetime, *, source: str | None = None) -> Read:
    """The alert in a file's text.

    Raises:
        NotAnAlert: what is wrong with it, or that its source must be named.
    """
    return understood(decoded(text), now, source=source)


def understood(payload: Any, now: datetime, *, source: str | None = None) -> Read:
    """The alert in a payload, read as `source` where it is named. Raises `NotAnAlert`."""
    if source is not None:
        return _as(source, payload, now)
    if _is_own(payload):
        return Read(own(payload, now), BY_HAND)
    return _guessed(payload, now)


def decoded(text: str) -> Any:
    """JSON, or YAML of plain values. Raises `NotAnAlert`."""
    if len(text) > LARGEST:
        raise NotAnAlert("The file is larger than 1 MiB; no webhook's payload is.")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as fault:
        not_json = str(fault)
    try:
        return load_front_matter(text)
    except Exception as fault:
        if text.lstrip().startswith(("{", "[")):
            raise NotAnAlert(f"The file is not JSON: {not_json}.") from fault
        raise NotAnAlert(f"The file is neither JSON nor YAML: {' '.join(str(fault).split())}") from fault


def own(payload: Any, now: datetime) -> Alert:
    """An alert in a few words of one's own. Raises `NotAnAlert`."""
    try:
        said = Fields(_with_plain_times(payload))
        heading, service = title(said.text("title")), said.maybe("service", LONGEST_NAME)
        annotations = said.texts("annotations", PROSE)
        if described := said.maybe("description", PROSE):
            annotations.setdefault("description", described)
        return Alert(
            source=BY_HAND,
            incident_key=incident_key(slug(f"{service or ''} {heading}") or heading),
            title=heading,
            name=said.maybe("name"),
            service=service,
            severity=_severity(said),
            started_at=_started(said, now),
            labels=said.texts("labels"),
            annotations=annotations,
            links=links(Link=said.maybe("url")),
        )
    except NotUnderstood as fault:
        raise NotAnAlert(f"{fault.sentence} An alert of your own looks like this:\n\n{OWN_FORM}") from fault


def _severity(said: Fields) -> Any:
    written = said.maybe("severity")
    level = severity(written)
    if written and level is None:
        raise NotUnderstood(f"severity should be P1 to P5, not {written!r}.")
    return level


def _started(said: Fields, now: datetime) -> datetime:
    written = said.maybe("started_at")
    if written is None:
        return now
    try:
        told = datetime.fromisoformat(written)
    except ValueError:
        told = None
    if told is not None:
        told = (told if told.tzinfo else told.replace(tzinfo=UTC)).astimezone(UTC)
        if now - LONGEST_AGE < told <= now + FURTHEST_AHEAD:
            return told
    raise NotUnderstood("started_at should be a time of the last year, such as 2026-11-21T02:05:00Z.")


def _with_plain_times(payload: Any) -> Any:
    """YAML reads a time as one; fields are read as texts."""
    if not isinstance(payload, dict):
        return payload
    return {key: value.isoformat() if isinstance(value, date) else value for key, value in payload.items()}


def _is_own(payload: Any) -> bool:
    return isinstance(payload, dict) and "title" in payload and payload.keys() <= OWN_FIELDS


# -- payloads of sources -----------------------------------------------------------------------------------


def _as(name: str, payload: Any, now: datetime) -> Read:
    parsers = _parsers()
    if name not in parsers:
        raise NotAnAlert(f"{name} is no source I know; those are {', '.join(parsers)}.")
    try:
        return _first(name, parsers[name](payload, now))
    except NotUnderstood as fault:
        raise NotAnAlert(f"This is no payload of {name}: {fault.sentence}") from fault


def _guessed(payload: Any, now: datetime) -> Read:
    """By trying: a payload of one source lacks what the others must have.

    Grafana's parser takes Alertmanager's payloads too, which it is modelled on; not the other way round, and
    Alertmanager comes first.
    """
    for name, parse in _parsers().items():
        try:
            return _first(name, parse(payload, now))
        except NotUnderstood:
            continue
    raise NotAnAlert(
        "I cannot tell which source this payload is of. Name it with --source "
        f"({', '.join(_parsers())}), or write an alert of your own:\n\n{OWN_FORM}"
    )


def _first(name: str, parsed: tuple[Alert, ...] | Ignored) -> Read:
    if isinstance(parsed, Ignored):
        raise NotAnAlert(f"This payload of {name} tells of no incident: {parsed.reason}.")
    notes = []
    if len(parsed) > 1:
        notes.append(f"{len(parsed)} alerts are in it; this looks into the first.")
    if parsed[0].status == "resolved":
        notes.append("The payload says that it is over; this looks into how it began.")
    return Read(parsed[0], name, tuple(notes))


def _parsers() -> dict[str, Parse]:
    """By name: of every module in the folder of webhooks that is a source."""
    found: dict[str, Parse] = {}
    for module in sorted(pkgutil.iter_modules(app.web.webhooks.__path__), key=lambda each: each.name):
        there = importlib.import_module(f"app.web.webhooks.{module.name}")
        if _is_source(there):
            found[there.NAME] = there.parse
    return found


def _is_source(module: ModuleType) -> bool:
    return all(callable(getattr(module, name, None)) for name in ("source", "parse"))
