"""What to ask of each source about an alert that names no service: selectors made of its narrow labels.

Values are data from outside; they stand between quotes they cannot leave.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from app.investigations.questions import Questions, Signals

NARROW = ("pod", "container", "instance", "node", "host", "deployment", "job", "namespace")
"""The narrowest first; others (severity, environment, team) would select half of everything."""
OF_LOGS = (("pod", "container", "namespace"), ("node", "host", "instance", "job"))
"""Labels of log streams: those of Kubernetes, which all its collectors set, before those of machines."""
OF_TRACES = {
    "pod": "k8s.pod.name",
    "container": "k8s.container.name",
    "node": "k8s.node.name",
    "host": "host.name",
    "deployment": "k8s.deployment.name",
    "namespace": "k8s.namespace.name",
}
"""Attributes of resources by convention: opentelemetry.io/docs/specs/semconv/resource/k8s/."""
LONGEST_VALUE = 200
SELECTED = '$label=~"$services"'


def narrow(labels: Mapping[str, str]) -> dict[str, str]:
    """The labels that tell where an alert is, the narrowest first."""
    return {name: labels[name] for name in NARROW if 0 < len(labels.get(name, "")) <= LONGEST_VALUE}


def questions_by_labels(signals: Signals, labels: Mapping[str, str]) -> Questions:
    """The questions about services, asked of what the labels select; a query that does not select by
    `$label=~"$services"` cannot be."""
    found = narrow(labels)
    if not found:
        return Questions((), None)
    metrics = tuple(
        (each, query)
        for each in signals.metrics
        if (query := _selecting(each.query, signals, found, tuple(found))) is not None
    )
    of_logs = next((names for names in OF_LOGS if set(names) & set(found)), ())
    logs = _selecting(signals.logs, signals, found, of_logs) if signals.logs else None
    return Questions(metrics, logs, traces=_traces(found), by=tuple(found))


def _selecting(query: str, signals: Signals, found: Mapping[str, str], names: Sequence[str]) -> str | None:
    matchers = ",".join(f"{name}={_quoted(found[name])}" for name in names if name in found)
    pieces = query.split(SELECTED)
    if not matchers or len(pieces) < 2:
        return None
    narrowest = next(name for name in found if name in names)
    # What was put in is not looked at again: a value may hold `$window`.
    return matchers.join(
        piece.replace("$label", narrowest).replace("$window", signals.window) for piece in pieces
    )


def _traces(found: Mapping[str, str]) -> str | None:
    conditions = [
        f"resource.{attribute} = {_quoted(found[name])}"
        for name, attribute in OF_TRACES.items()
        if name in found
    ]
    return f"{{ {' && '.join(conditions)} }}" if conditions else None


def _quoted(value: str) -> str:
    """As PromQL, LogQL and TraceQL read strings, which is as Go does."""
    return json.dumps(value, ensure_ascii=False)
