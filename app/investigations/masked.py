"""An alert as it may be stored: secrets masked, without characters that no text of a database holds."""

from __future__ import annotations

from app.investigations.alert import Alert
from app.tools.masking import mask


def masked(alert: Alert) -> Alert:
    """`alert` with every text masked; the incident's key stays as it is, for its source knows it by that."""
    values = alert.model_dump()
    for name in ("title", "name", "service", "note"):
        values[name] = clean(values[name]) if values[name] else values[name]
    values["source"] = storable(alert.source)
    values["incident_key"] = storable(alert.incident_key)
    for name in ("labels", "annotations"):
        values[name] = {storable(key): clean(value) for key, value in values[name].items()}
    values["links"] = [{name: clean(text) for name, text in link.items()} for link in values["links"]]
    return Alert.model_validate(values)


MOST_KNOWN = 4_096
LONGEST_KNOWN = 200
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
    return text.replace("\0", "").encode("utf-8", "replace").decode()
