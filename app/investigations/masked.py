"""An alert as it may be stored: secrets masked, without characters that no text of a database holds."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from app.investigations.alert import LONGEST_TITLE, Alert, Link
from app.tools.masking import mask


def masked(alert: Alert) -> Alert:
    """`alert` with every text masked; the incident's key stays as it is, for its source knows it by that."""
    return alert.model_copy(
        update={
            "source": storable(alert.source),
            "incident_key": storable(alert.incident_key),
            "title": clean(alert.title)[:LONGEST_TITLE],  # a mask may be longer than what it stands for
            "name": _maybe(alert.name),
            "service": _maybe(alert.service),
            "note": _maybe(alert.note),
            "labels": _values(alert.labels),
            "annotations": _values(alert.annotations),
            "links": tuple(Link(title=clean(link.title), url=clean(link.url)) for link in alert.links),
        }
    )


def _maybe(text: str | None) -> str | None:
    return clean(text) if text else text


def _values(texts: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({storable(name): clean(text) for name, text in texts.items()})


MOST_KNOWN = 4_096
LONGEST_KNOWN = 500
_known: set[str] = set()
"""Texts that masking leaves as they are: labels and links come again with every alert. What has a secret in
it is never kept."""


def clean(text: str) -> str:
    if text in _known:
        return text
    shown = mask(storable(text))
    if shown == text and len(text) <= LONGEST_KNOWN:
        if len(_known) >= MOST_KNOWN:
            _known.clear()
        _known.add(text)
    return shown


def storable(text: str) -> str:
    """Without NUL and without halves of surrogate pairs."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "").encode("utf-8", "replace").decode()
