"""What the words of a payload mean, whichever product sent them: how bad, which service, since when."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

from app.investigations.alert import Link, Severity
from app.web.webhooks.fields import TITLE, cleaned

SEVERITY_LABELS = ("priority", "severity", "sev", "alert_severity", "alert_priority")

NUMBERED = re.compile(
    r"(?:\b(?:p|s|sev|severity|prio|priority)[\s_:-]*|^)([0-5])(?!\.?\d|\w|%)", re.IGNORECASE
)

WORDS: Mapping[str, Severity] = {
    **dict.fromkeys(
        ("critical", "crit", "page", "fatal", "emergency", "disaster", "urgent", "highest"), "P1"
    ),
    **dict.fromkeys(("high", "error", "err", "major"), "P2"),
    **dict.fromkeys(("medium", "moderate", "average", "warning", "warn", "minor"), "P3"),
    **dict.fromkeys(("low", "notice"), "P4"),
    **dict.fromkeys(("info", "informational", "information", "lowest", "none", "debug"), "P5"),
}

SERVICE_LABELS = (
    "service",
    "service_name",
    "servicename",
    "app",
    "application",
    "app_kubernetes_io_name",
    "app_name",
    "component",
    "deployment",
    "container_name",
    "container",
    "job",
)

EXPORTERS = re.compile(
    r"(?:^|[-_/])(?:kube-state-metrics|cadvisor|kubelet|\w+[-_]exporter|prometheus)$", re.I
)
"""What measures rather than what is measured: as `job` or `service` it says nothing about the alert."""

LONGEST_KEY = 1000
"""Bytes: PostgreSQL refuses entries of a btree index above a third of a page."""

LONGEST_NAME = 200
"""Characters of a service's name."""

LONGEST_AGE = timedelta(days=366)
FURTHEST_AHEAD = timedelta(minutes=5)


def severity(words: str | None) -> Severity | None:
    """`P1 - Critical`, `SEV-2`, `3` or `warning` as P1 to P5; None when it says none of these.

    P0 and sev0 are P1, for there is nothing above.
    """
    if not words:
        return None
    if found := NUMBERED.search(words):
        return f"P{max(1, int(found[1]))}"  # type: ignore[return-value]  # the pattern admits 0 to 5
    named = re.findall(r"[a-z]+", words.lower())
    return next((WORDS[each] for each in named if each in WORDS), None)


def severity_of(labels: Mapping[str, str]) -> Severity | None:
    """What the first label says that says something; a priority counts before a severity."""
    plain = _plain(labels)
    return next((found for name in SEVERITY_LABELS if (found := severity(plain.get(name)))), None)


def service_of(labels: Mapping[str, str]) -> str | None:
    """The service by the usual labels, the most telling first; None when none of them names one."""
    plain = _plain(labels)
    for name in SERVICE_LABELS:
        value = plain.get(name, "").rpartition("/")[2].strip()
        if value and not EXPORTERS.search(value):
            return value[:LONGEST_NAME]
    return None


def _plain(labels: Mapping[str, str]) -> dict[str, str]:
    """Names of labels as Prometheus writes them: `app.kubernetes.io/name` is `app_kubernetes_io_name`."""
    return {_plain_name(name): value for name, value in labels.items()}


@lru_cache(1024)
def _plain_name(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "_", name.lower())


def moment(value: Any, now: datetime) -> datetime:
    """A time as the products write it: RFC 3339, or seconds or milliseconds since 1970, as number or text.

    `now` where it says nothing usable: absent, unreadable, more than `FURTHEST_AHEAD` in the future or more
    than `LONGEST_AGE` ago (Go's zero time, 0, a template's example).
    """
    try:
        told = _read(value)
    except (ValueError, OverflowError, OSError):
        return now
    if told is None or told > now + FURTHEST_AHEAD or told < now - LONGEST_AGE:
        return now
    return told


def _read(value: Any) -> datetime | None:
    if isinstance(value, str):
        text = value.strip()[:64]
        if not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
            told = datetime.fromisoformat(text)
            return (told if told.tzinfo else told.replace(tzinfo=UTC)).astimezone(UTC)
        value = float(text)
    if not isinstance(value, int | float):
        return None
    # 1e11 s is the year 5138; 1e11 ms is 1973.
    return datetime.fromtimestamp(value / 1000 if value > 1e11 else value, UTC)


def incident_key(text: str) -> str:
    """A source's key, within what an index entry takes; a longer one is cut and told apart by its digest."""
    written = text.encode()
    if len(written) <= LONGEST_KEY:
        return text
    return f"{written[: LONGEST_KEY - 65].decode(errors='ignore')}#{hashlib.sha256(written).hexdigest()}"


def title(text: str) -> str:
    """A title on one line."""
    return cleaned(" ".join(text.split()), TITLE)


def links(**addresses: str | None) -> tuple[Link, ...]:
    """Those that are addresses of web pages, each once; names are the titles, `_` for a blank."""
    found: dict[str, Link] = {}
    for name, url in addresses.items():
        if url and len(url) < TITLE and re.fullmatch(r"https?://[^\s/]\S*", url):
            found.setdefault(url, Link(title=name.replace("_", " "), url=url))
    return tuple(found.values())
